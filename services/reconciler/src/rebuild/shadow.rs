//! The temporary tables: images as they come from the log, then one for each record.

use std::collections::HashMap;

use sqlx::{AssertSqlSafe, PgConnection, Row as _};
use upwrite_events::Interval;

use super::connect::run;
use super::encode::Layout;
use super::error::{RebuildError, doing};
use super::fold::{Candidate, LatestImage, latest};
use super::shapes::{ColumnSet, Shapes};
use crate::merge::RecordState;

/// All images up to the comparison.
pub(super) const IMAGES: &str = "upwrite_images";
/// Images that came after it.
pub(super) const TAIL: &str = "upwrite_tail";
/// The images of what differs.
pub(super) const MENDING: &str = "upwrite_mending";
/// Rows in one FETCH while images are folded.
const FETCH: usize = 10_000;

pub(super) async fn create(connection: &mut PgConnection, layout: &Layout) -> Result<(), RebuildError> {
    let columns: String =
        layout.columns.iter().map(|column| format!(", {} {}", column.stored, column.stored_type())).collect();
    for table in [IMAGES, TAIL] {
        let sql = format!(
            "/* rebuild.create */ create temporary table {table} (_key text not null, _at int8, _place int8, \
             _version text, _begun int8, _ended int8, _mutation bool, _deleted bool, _shape int4{columns})"
        );
        run(connection, "making a temporary table", sql).await?;
    }
    Ok(())
}

pub(super) fn copy_into(table: &str) -> String {
    format!("copy pg_temp.{table} from stdin")
}

/// Leaves one image a record in `table`. `only`: SQL that names the keys to look at. Inside a transaction.
pub(super) async fn fold(
    connection: &mut PgConnection,
    layout: &Layout,
    shapes: &Shapes,
    table: &str,
    only: &str,
) -> Result<(), RebuildError> {
    let sql = format!(
        "/* rebuild.fold */ declare upwrite_fold no scroll cursor for
         select ctid::text, _key, _version, _begun, _ended, _mutation, _deleted, _shape from {table}
          where _key in (select _key from {table} where {only} group by _key having count(*) > 1)
          order by _key collate \"C\", _at, _place"
    );
    run(connection, "folding images", sql).await?;
    let mut group: Option<(String, Vec<Candidate>)> = None;
    loop {
        let fetch = format!("/* rebuild.fetch */ fetch {FETCH} from upwrite_fold");
        let rows = sqlx::query(AssertSqlSafe(fetch)).fetch_all(&mut *connection).await;
        let rows = rows.map_err(doing("folding images"))?;
        let known = shapes.all();
        let mut done = FoldWork::default();
        for row in &rows {
            let (key, candidate) = candidate(row, &known).map_err(doing("folding images"))?;
            match &mut group {
                Some((of, candidates)) if *of == key => candidates.push(candidate),
                _ => {
                    let before = group.replace((key, vec![candidate]));
                    done.add(before, shapes);
                }
            }
        }
        if rows.len() < FETCH {
            done.add(group.take(), shapes);
        }
        done.write(connection, layout, table).await?;
        if rows.len() < FETCH {
            break;
        }
    }
    run(connection, "folding images", "close upwrite_fold").await?;
    Ok(())
}

fn candidate(row: &sqlx::postgres::PgRow, shapes: &[ColumnSet]) -> sqlx::Result<(String, Candidate)> {
    let shape = usize::try_from(row.try_get::<i32, _>(7)?).unwrap_or_default();
    let seen = Interval { begun_us: row.try_get(3)?, ended_us: row.try_get(4)? };
    let state = RecordState { vendor_version: row.try_get(2)?, seen, by_mutation: row.try_get(5)? };
    let spoken = shapes.get(shape).cloned().unwrap_or_default();
    Ok((row.try_get(1)?, Candidate { ctid: row.try_get(0)?, state, deleted: row.try_get(6)?, spoken }))
}

/// What a number of records' folds ask for.
#[derive(Default)]
struct FoldWork {
    losers: Vec<String>,
    /// By what is added from how many earlier images, and the shape then: the rows, winner first.
    merges: HashMap<(Vec<ColumnSet>, i32), Vec<Vec<String>>>,
}

impl FoldWork {
    fn add(&mut self, group: Option<(String, Vec<Candidate>)>, shapes: &Shapes) {
        let Some((_, candidates)) = group else { return };
        let Some(LatestImage { index, from_earlier, spoken }) = latest(&candidates) else { return };
        if !from_earlier.is_empty() {
            let ctids = std::iter::once(index).chain(from_earlier.iter().map(|(earlier, _)| *earlier));
            let ctids = ctids.map(|at| candidates[at].ctid.clone()).collect();
            let beyond = from_earlier.into_iter().map(|(_, beyond)| beyond).collect();
            self.merges.entry((beyond, shapes.number(&spoken))).or_default().push(ctids);
        }
        let losers = candidates.into_iter().enumerate().filter(|(at, _)| *at != index);
        self.losers.extend(losers.map(|(_, candidate)| candidate.ctid));
    }

    async fn write(self, connection: &mut PgConnection, layout: &Layout, table: &str) -> Result<(), RebuildError> {
        for ((beyond, shape), rows) in self.merges {
            let mut query = sqlx::query(AssertSqlSafe(merge_sql(layout, table, &beyond, shape)));
            for place in 0..=beyond.len() {
                query = query.bind(rows.iter().map(|ctids| ctids[place].clone()).collect::<Vec<_>>());
            }
            query.execute(&mut *connection).await.map_err(doing("adding what earlier images tell"))?;
        }
        if !self.losers.is_empty() {
            let sql = format!("/* rebuild.losers */ delete from {table} where ctid = any($1::text[]::tid[])");
            let deleted = sqlx::query(AssertSqlSafe(sql)).bind(self.losers).execute(connection).await;
            deleted.map_err(doing("removing earlier images"))?;
        }
        Ok(())
    }
}

fn merge_sql(layout: &Layout, table: &str, beyond: &[ColumnSet], shape: i32) -> String {
    let (mut sets, mut joins) = (format!("_shape = {shape}"), String::new());
    let (mut arrays, mut names) = ("$1::text[]::tid[]".to_owned(), "w".to_owned());
    for (place, spoken) in (1..).zip(beyond) {
        for column in layout.columns_in(spoken) {
            sets.push_str(&format!(", {0} = s{place}.{0}", column.stored));
        }
        joins.push_str(&format!(" join {table} s{place} on s{place}.ctid = x.s{place}"));
        arrays.push_str(&format!(", ${}::text[]::tid[]", place + 1));
        names.push_str(&format!(", s{place}"));
    }
    format!(
        "/* rebuild.merge */ update {table} w set {sets} from unnest({arrays}) as x({names}){joins} where w.ctid = x.w"
    )
}
