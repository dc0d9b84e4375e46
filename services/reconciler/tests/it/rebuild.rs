//! Projections made anew from the log.

mod damaged;
mod history;
mod live;
mod recover;
mod right;

use sqlx::{AssertSqlSafe, Executor as _};
use upwrite_reconciler::{Rebuild, RebuildError, TableReport};
use upwrite_testkit::schema;

use crate::deployment::*;

pub(crate) fn rebuild(world: &World) -> Rebuild {
    Rebuild::new(world.reconciler.clone(), world.log.clone(), None)
}

pub(crate) async fn rebuild_table(world: &World) -> TableReport {
    rebuild(world).table(&table()).await.unwrap()
}

/// As a superuser who gets around every guard.
pub(crate) async fn damage(world: &World, sql: &str) {
    let (unguarded, guarded) = (schema::unguarded("crm.contact"), schema::guarded("crm.contact"));
    let sql = format!("begin; {unguarded} {sql}; {guarded} commit");
    world.admin.execute(AssertSqlSafe(sql)).await.unwrap();
}

/// Every row with all it has; with `ctid` and `xmin`, so that a row that was written again is noticed.
pub(crate) async fn rows(world: &World, of: &str) -> Vec<String> {
    let sql = format!("select array_agg(format('%s %s %s', t.ctid, t.xmin, t) order by t::text) from {of} t");
    world.value(&sql).await.unwrap_or_default()
}

/// What the rows say, without what tells when and how often they were written.
pub(crate) async fn contents(world: &World) -> Vec<String> {
    let sql =
        "select array_agg(format('%s', (id, name, n, tags, stamp, upwrite_key, flag)) order by id) from crm.contact";
    world.value(sql).await.unwrap_or_default()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_table_that_is_not_synced_is_refused() {
    let world = World::start().await;
    let missing = upwrite_events::TableName::new("crm", "nothing");
    assert!(matches!(rebuild(&world).table(&missing).await, Err(RebuildError::NoSuchTable(_))));
}
