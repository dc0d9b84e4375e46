//! Dead rows do not gather.

use crate::deployment::*;

/// Dry runs are rolled back: what they captured is dead at once (A20).
#[tokio::test(flavor = "multi_thread")]
async fn a20_what_rolled_back_dry_runs_leave_is_vacuumed() {
    let deployment = TestDeployment::start().await;
    let mut tx = deployment.admin.begin().await.unwrap();
    let sql = "insert into crm.contact (name) select 'x' from generate_series(1, 3000)";
    sqlx::query(sql).execute(&mut *tx).await.unwrap();
    tx.rollback().await.unwrap();
    let sql =
        "select vacuum_count from pg_stat_all_tables where relid = 'upwrite.captured'::regclass and vacuum_count > 0";
    deployment.wait::<i64>("a vacuum of upwrite.captured", sql).await;
}
