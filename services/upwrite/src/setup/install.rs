//! Setup itself: named steps, each a transaction, one setup at a time.

use sqlx::{Connection as _, Executor as _, PgConnection, Row as _};
use upwrite_events::TableSpec;

use super::binding;
use super::files::ROLES;
use super::plan::{Grant, SetupError, SetupPlan, SetupReport, at};
use super::schema::migrate;
use super::verifier;

/// One setup at a time in a database. Any number will do that no application is likely to use.
const LOCK: i64 = 0x0075_7077_7269_7465;

/// The first version with CREATE OR REPLACE TRIGGER.
const OLDEST_SERVER: i32 = 140_000;

/// Makes the database what `plan` says. Idempotent: what is there already stays as it is, with its data.
pub async fn setup(superuser: &mut PgConnection, plan: &SetupPlan) -> Result<SetupReport, SetupError> {
    if !(1..=1024).contains(&plan.partitions) {
        return Err(SetupError::PartitionRange(plan.partitions));
    }
    require_fit_server(superuser).await?;
    lock(superuser).await?;
    let outcome = steps(superuser, plan).await;
    let unlocked = sqlx::query("/* setup.unlock */ select pg_advisory_unlock($1)").bind(LOCK).execute(superuser).await;
    let report = outcome?;
    unlocked.map_err(at("unlock"))?;
    Ok(report)
}

async fn steps(connection: &mut PgConnection, plan: &SetupPlan) -> Result<SetupReport, SetupError> {
    let mut report = SetupReport::default();
    roles(connection, plan, &mut report).await?;
    migrate(connection, &mut report).await?;
    deployment(connection, plan, &mut report).await?;
    for table in &plan.tables {
        define(connection, table, &mut report).await?;
    }
    for grant in &plan.grants {
        permit(connection, grant, &mut report).await?;
    }
    Ok(report)
}

async fn require_fit_server(connection: &mut PgConnection) -> Result<(), SetupError> {
    let step = "looking at the server";
    let row = sqlx::query(
        "/* setup.server */ select current_setting('server_version_num')::int, current_setting('server_version'),
                current_setting('server_encoding'), current_setting('is_superuser')::bool, current_user::text",
    )
    .fetch_one(connection)
    .await
    .map_err(at(step))?;
    let get = |index: usize| row.try_get::<String, _>(index).map_err(at(step));
    if row.try_get::<i32, _>(0).map_err(at(step))? < OLDEST_SERVER {
        return Err(SetupError::ServerTooOld(get(1)?));
    }
    if get(2)? != "UTF8" {
        return Err(SetupError::Encoding(get(2)?));
    }
    if !row.try_get::<bool, _>(3).map_err(at(step))? {
        return Err(SetupError::NotSuperuser(get(4)?));
    }
    Ok(())
}

async fn lock(connection: &mut PgConnection) -> Result<(), SetupError> {
    sqlx::query("/* setup.lock */ select pg_advisory_lock($1)")
        .bind(LOCK)
        .execute(connection)
        .await
        .map_err(at("waiting for another setup"))?;
    Ok(())
}

/// Roles belong to the cluster: other databases' setups may be at it too (roles.sql takes care of that).
async fn roles(connection: &mut PgConnection, plan: &SetupPlan, report: &mut SetupReport) -> Result<(), SetupError> {
    let present = role_names(connection).await.map_err(at("reading roles"))?;
    let make = async {
        let mut transaction = connection.begin().await?;
        transaction.execute(sqlx::raw_sql(ROLES)).await?;
        let mut changed = Vec::new();
        for (role, password) in
            [("upwrite_service", &plan.service_password), ("upwrite_reconciler", &plan.reconciler_password)]
        {
            changed.push((role, set_password(&mut transaction, role, password).await?));
        }
        let now = role_names(&mut transaction).await?;
        transaction.commit().await?;
        Ok((now, changed))
    };
    let (now, changed) = make.await.map_err(at("roles"))?;
    for role in now {
        report.note(!present.contains(&role), format!("created role {role}"), format!("role {role}"));
    }
    for (role, set) in changed {
        report.note(set, format!("set the password of {role}"), format!("password of {role}"));
    }
    Ok(())
}

async fn role_names(connection: &mut PgConnection) -> Result<Vec<String>, sqlx::Error> {
    sqlx::query_scalar(
        "/* setup.roles */ select rolname::text from pg_roles where rolname like 'upwrite\\_%' order by 1",
    )
    .fetch_all(connection)
    .await
}

async fn set_password(connection: &mut PgConnection, role: &'static str, password: &str) -> Result<bool, sqlx::Error> {
    let stored: Option<String> =
        sqlx::query_scalar("/* setup.stored_verifier */ select rolpassword from pg_authid where rolname = $1")
            .bind(role)
            .fetch_one(&mut *connection)
            .await?;
    if stored.is_some_and(|stored| verifier::matches(&stored, password)) {
        return Ok(false);
    }
    // Both are of our own making: a fixed name, and base64 between `$` and `:`.
    let verifier = verifier::verifier(password, rand::random());
    let sql = format!("/* setup.set_password */ alter role {role} password '{verifier}'");
    connection.execute(sqlx::raw_sql(sqlx::AssertSqlSafe(sql))).await?;
    Ok(true)
}

/// The row that says whose log this is, and a counter for each partition.
async fn deployment(
    connection: &mut PgConnection,
    plan: &SetupPlan,
    report: &mut SetupReport,
) -> Result<(), SetupError> {
    let step = "deployment";
    let (here, timeline) = binding::here(connection).await.map_err(at(step))?;
    let made = sqlx::query(
        "/* setup.deployment */ insert into upwrite.deployment
             (deployment, system_identifier, timeline, log_engine, log_cluster, partitions)
         values (gen_random_uuid(), $1, $2, $3, $4, $5) on conflict do nothing",
    )
    .bind(&here)
    .bind(timeline)
    .bind(plan.log.engine)
    .bind(&plan.log.cluster)
    .bind(i32::from(plan.partitions))
    .execute(&mut *connection)
    .await
    .map_err(at(step))?;
    let row = sqlx::query(
        "/* setup.recorded */ select system_identifier, partitions, log_engine, log_cluster from upwrite.deployment",
    )
    .fetch_one(&mut *connection)
    .await
    .map_err(at(step))?;
    let (recorded, present): (String, i16) = (row.try_get(0).map_err(at(step))?, row.try_get(1).map_err(at(step))?);
    let (engine, cluster): (String, Option<String>) =
        (row.try_get(2).map_err(at(step))?, row.try_get(3).map_err(at(step))?);
    if recorded != here {
        return Err(SetupError::OtherCluster { recorded, present: here });
    }
    if i32::from(present) != i32::from(plan.partitions) {
        return Err(SetupError::Partitions { present, wanted: plan.partitions });
    }
    if engine != plan.log.engine || cluster != plan.log.cluster {
        let place = |engine: &str, cluster: &Option<String>| match cluster {
            Some(cluster) => format!("{engine} (cluster {cluster})"),
            None => engine.to_owned(),
        };
        let (present, wanted) = (place(&engine, &cluster), place(plan.log.engine, &plan.log.cluster));
        return Err(SetupError::OtherLog { present, wanted });
    }
    sqlx::query("/* setup.open_log */ select upwrite.open_log()").execute(connection).await.map_err(at(step))?;
    let place = if engine == "postgres" { "in this database" } else { "on Kafka" };
    let log = format!("the log {place}, {present} partitions a stream");
    report.note(made.rows_affected() > 0, format!("opened {log}"), log);
    Ok(())
}

async fn define(connection: &mut PgConnection, table: &TableSpec, report: &mut SetupReport) -> Result<(), SetupError> {
    let name = &table.name;
    let spec = serde_json::to_string(table).map_err(|source| SetupError::Json { table: name.clone(), source })?;
    let done: Vec<String> = sqlx::query_scalar("/* setup.define_table */ select upwrite.define_table($1::text::jsonb)")
        .bind(spec)
        .fetch_one(connection)
        .await
        .map_err(|source| SetupError::Table { table: name.clone(), source })?;
    if done.is_empty() {
        report.unchanged.push(format!("table {name}"));
    }
    report.done.extend(done);
    Ok(())
}

async fn permit(connection: &mut PgConnection, grant: &Grant, report: &mut SetupReport) -> Result<(), SetupError> {
    let Grant { role, table, privileges } = grant;
    let granted: bool = sqlx::query_scalar(
        "/* setup.grant_table */ select upwrite.grant_table(format('%I.%I', $1::text, $2::text)::regclass, $3, $4)",
    )
    .bind(&table.source)
    .bind(&table.table)
    .bind(role)
    .bind(privileges)
    .fetch_one(connection)
    .await
    .map_err(|source| SetupError::Grant { table: table.clone(), role: role.clone(), source })?;
    let what = format!("{} on {table} to {role}", privileges.join(", "));
    report.note(granted, format!("granted {what}"), format!("grant of {what}"));
    Ok(())
}
