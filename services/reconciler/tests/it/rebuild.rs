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

pub(crate) fn rebuild(deployment: &TestDeployment) -> Rebuild {
    Rebuild::new(deployment.reconciler.clone(), deployment.log.clone(), None)
}

pub(crate) async fn rebuild_table(deployment: &TestDeployment) -> TableReport {
    rebuild(deployment).table(&table()).await.unwrap()
}

/// As a superuser who gets around every guard.
pub(crate) async fn damage(deployment: &TestDeployment, sql: &str) {
    let (unguarded, guarded) = (schema::unguarded("crm.contact"), schema::guarded("crm.contact"));
    let sql = format!("begin; {unguarded} {sql}; {guarded} commit");
    deployment.admin.execute(AssertSqlSafe(sql)).await.unwrap();
}

/// Every row with all it has; with `ctid` and `xmin`, so that a row that was written again is noticed.
pub(crate) async fn rows(deployment: &TestDeployment, of: &str) -> Vec<String> {
    let sql = format!("select array_agg(format('%s %s %s', t.ctid, t.xmin, t) order by t::text) from {of} t");
    deployment.value(&sql).await.unwrap_or_default()
}

/// What the rows say, without what tells when and how often they were written.
pub(crate) async fn contents(deployment: &TestDeployment) -> Vec<String> {
    let sql =
        "select array_agg(format('%s', (id, name, n, tags, stamp, upwrite_key, flag)) order by id) from crm.contact";
    deployment.value(sql).await.unwrap_or_default()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_table_that_is_not_synced_is_refused() {
    let deployment = TestDeployment::start().await;
    let missing = upwrite_events::TableName::new("crm", "nothing");
    assert!(matches!(rebuild(&deployment).table(&missing).await, Err(RebuildError::NoSuchTable(_))));
}
