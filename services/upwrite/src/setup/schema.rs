//! Schema "upwrite", made or brought up to date in one transaction: tables once, functions and rights whenever their text is
//! not the one that was run last. A file's checksum is recorded in `upwrite.migrations`.

use sqlx::{AssertSqlSafe, Connection as _, Executor as _, PgConnection, Row as _};

use super::files::{self, File, SCHEMA};
use super::plan::{SetupError, SetupReport, at};

/// What was run here before.
#[derive(Debug, Default)]
struct Record {
    file: String,
    checksum: String,
    /// What the file made, as `regprocedure` prints it.
    functions: Vec<String>,
}

/// What there is to do.
#[derive(Debug, Default)]
struct Changes {
    /// In this order.
    run: Vec<&'static File>,
    /// Recorded files of functions that are no more.
    gone: Vec<String>,
}

/// Runs what is missing or has changed, and drops the functions that setup made and no file makes any more.
pub(super) async fn migrate(connection: &mut PgConnection, report: &mut SetupReport) -> Result<(), SetupError> {
    let step = "schema upwrite";
    let mut transaction = connection.begin().await.map_err(at(step))?;
    // That the schema is there already needs no notice; names of types in signatures are printed with their schema.
    let settings = "/* setup.settings */ set local client_min_messages = warning; \
                    set local search_path = pg_catalog, pg_temp";
    transaction.execute(sqlx::raw_sql(settings)).await.map_err(at(step))?;
    transaction.execute(sqlx::raw_sql(SCHEMA)).await.map_err(at(step))?;
    let records = read_records(&mut transaction).await?;
    let changes = changes(&records)?;
    for file in &changes.run {
        run(&mut transaction, file).await.map_err(at(file.name))?;
    }
    forget(&mut transaction, &changes.gone).await.map_err(at(step))?;
    let dropped = drop_left_over(&mut transaction, &records).await?;
    transaction.commit().await.map_err(at(step))?;

    report.note(records.is_empty(), "made schema upwrite".to_owned(), "schema upwrite".to_owned());
    if !records.is_empty() {
        report.done.extend(changes.run.iter().map(|file| format!("ran {}", file.name)));
    }
    report.done.extend(dropped.into_iter().map(|function| format!("dropped function {function}")));
    Ok(())
}

/// A file of tables that was run never changes. Functions and rights are those of the build whose setup ran last.
fn changes(records: &[Record]) -> Result<Changes, SetupError> {
    let mut changes = Changes::default();
    for record in records.iter().filter(|record| !files::all().any(|file| file.name == record.file)) {
        match record.file.split_once('/') {
            None => return Err(SetupError::SchemaTooOld(record.file.clone())),
            Some(("functions", _)) => changes.gone.push(record.file.clone()),
            Some(_) => return Err(SetupError::MigrationUnknown(record.file.clone())),
        }
    }
    for file in files::all() {
        let compiled = file.checksum();
        match records.iter().find(|record| record.file == file.name) {
            Some(record) if record.checksum == compiled => {}
            Some(record) if file.name.starts_with("tables/") => {
                let (file, recorded) = (record.file.clone(), record.checksum.clone());
                return Err(SetupError::MigrationChanged { file, recorded, compiled });
            }
            _ => changes.run.push(file),
        }
    }
    Ok(changes)
}

/// Runs a file as `upwrite_owner`, to whom everything belongs, and records it.
async fn run(connection: &mut PgConnection, file: &'static File) -> Result<(), sqlx::Error> {
    connection.execute("/* setup.as_owner */ set local role upwrite_owner").await?;
    connection.execute(sqlx::raw_sql(file.sql)).await?;
    connection.execute("/* setup.as_superuser */ reset role").await?;
    sqlx::query(
        "/* setup.record */ insert into upwrite.migrations (file, sha256, functions)
         select $1, $2, array(select p.oid::regprocedure::text from pg_proc p
                               where p.pronamespace = 'upwrite'::regnamespace and p.proname = $3
                                 and p.xmin = pg_current_xact_id()::xid order by 1)
         on conflict (file) do update set sha256 = excluded.sha256, functions = excluded.functions, applied_at = now()",
    )
    .bind(file.name)
    .bind(file.checksum())
    .bind(file.function())
    .execute(connection)
    .await?;
    Ok(())
}

async fn forget(connection: &mut PgConnection, files: &[String]) -> Result<(), sqlx::Error> {
    sqlx::query("/* setup.forget */ delete from upwrite.migrations where file = any ($1)")
        .bind(files)
        .execute(connection)
        .await?;
    Ok(())
}

/// Drops what the files of `before` made and no file makes now; returns the functions. Others in the schema are not ours.
async fn drop_left_over(connection: &mut PgConnection, before: &[Record]) -> Result<Vec<String>, SetupError> {
    let step = "dropping functions that are no more";
    let made: Vec<&String> = before.iter().flat_map(|record| &record.functions).collect();
    let left_over: Vec<String> = sqlx::query_scalar(
        "/* setup.left_over */ select to_regprocedure(f)::text from unnest($1::text[]) f
          where to_regprocedure(f) is not null
            and not exists (select from upwrite.migrations m where f = any (m.functions)) order by 1",
    )
    .bind(made)
    .fetch_all(&mut *connection)
    .await
    .map_err(at(step))?;
    for function in &left_over {
        // As Postgres itself has just printed it.
        let sql = format!("/* setup.drop_function */ drop function {function}");
        connection.execute(sqlx::raw_sql(AssertSqlSafe(sql))).await.map_err(at(step))?;
    }
    Ok(left_over)
}

/// Only by columns that every build has made: an older record is to be recognised as one.
async fn read_records(connection: &mut PgConnection) -> Result<Vec<Record>, SetupError> {
    let read = async {
        let rows = sqlx::query(
            "/* setup.records */ select m.file, m.sha256, coalesce(f.functions, '{}')
               from upwrite.migrations m
               left join jsonb_to_record(to_jsonb(m)) as f (functions text[]) on true order by m.file",
        )
        .fetch_all(connection)
        .await?;
        rows.iter()
            .map(|row| Ok(Record { file: row.try_get(0)?, checksum: row.try_get(1)?, functions: row.try_get(2)? }))
            .collect::<Result<Vec<_>, _>>()
    };
    read.await.map_err(at("reading what was run before"))
}

#[cfg(test)]
mod tests {
    use super::super::files;
    use super::{Record, SetupError, changes};

    fn all() -> Vec<Record> {
        let record = |file: &files::File| Record {
            file: file.name.to_owned(),
            checksum: file.checksum(),
            functions: Vec::new(),
        };
        files::all().map(record).collect()
    }

    #[test]
    fn tables_come_first_then_functions_then_rights() {
        let run: Vec<&str> = changes(&[]).expect("an empty database").run.iter().map(|file| file.name).collect();
        assert_eq!(run.first(), Some(&"tables/0001_deployment"));
        assert_eq!(run.last(), Some(&"rights/policies"));
        let folders = ["tables/", "functions/", "rights/"];
        let order: Vec<usize> = run
            .iter()
            .map(|name| folders.iter().position(|folder| name.starts_with(folder)).expect("one of the folders"))
            .collect();
        assert!(order.is_sorted(), "{run:?}");
    }

    #[test]
    fn only_what_changed_runs_again() {
        assert!(changes(&all()).expect("all was run").run.is_empty());
        let mut records = all();
        for record in records.iter_mut().filter(|record| ["functions/veto", "rights/grants"].contains(&&*record.file)) {
            record.checksum = "another".to_owned();
        }
        records.push(Record { file: "functions/former".to_owned(), ..Record::default() });
        let changes = changes(&records).expect("functions may change");
        let run: Vec<&str> = changes.run.iter().map(|file| file.name).collect();
        assert_eq!(run, ["functions/veto", "rights/grants"]);
        assert_eq!(changes.gone, ["functions/former"]);
    }

    #[test]
    fn tables_of_other_builds_are_refused() {
        let with = |file: &str| {
            let mut records = all();
            records.push(Record { file: file.to_owned(), ..Record::default() });
            changes(&records).expect_err(file)
        };
        assert!(matches!(with("tables/9999_newer"), SetupError::MigrationUnknown(file) if file == "tables/9999_newer"));
        assert!(matches!(with("0001_schema"), SetupError::SchemaTooOld(file) if file == "0001_schema"));
        let mut records = all();
        let table = records.iter_mut().find(|record| record.file == "tables/0003_log").expect("it was run");
        table.checksum = "another".to_owned();
        let refusal = changes(&records).expect_err("a changed table");
        assert!(matches!(refusal, SetupError::MigrationChanged { file, .. } if file == "tables/0003_log"));
    }
}
