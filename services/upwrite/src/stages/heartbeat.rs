//! Says every few seconds in `upwrite.processes` that this process lives and what it does. For people: nothing rests
//! on it.

use std::time::Duration;

use serde_json::Value;
use sqlx::PgPool;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::stage::Stage;

const EVERY: Duration = Duration::from_secs(2);

const BEAT: &str = "/* upwrite.heartbeat */
    with gone as (delete from upwrite.processes where seen_at < now() - interval '1 hour' and id <> $1)
    insert into upwrite.processes (id, host, pid, version, stages, status)
    values ($1, $2, $3, $4, $5, $6)
    on conflict (id) do update set seen_at = now(), status = excluded.status";

/// What a stage says of itself, as JSON; docs/operations.md lists it.
pub(super) type Report = Box<dyn Fn() -> Value + Send + Sync>;

/// Until `stop`; then the row goes.
pub(super) async fn keep(pool: PgPool, stages: Vec<Stage>, reports: Vec<(Stage, Report)>, stop: CancellationToken) {
    let id = Uuid::now_v7();
    let names: Vec<&str> = stages.iter().map(|stage| stage.as_str()).collect();
    let host = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    loop {
        let beat = sqlx::query(BEAT)
            .bind(id)
            .bind(host.trim())
            .bind(i32::try_from(std::process::id()).unwrap_or_default())
            .bind(env!("CARGO_PKG_VERSION"))
            .bind(&names)
            .bind(status(&reports))
            .execute(&pool);
        if let Err(error) = beat.await {
            tracing::debug!(%error, "no heartbeat");
        }
        tokio::select! {
            () = tokio::time::sleep(EVERY) => {}
            () = stop.cancelled() => break,
        }
    }
    let gone = sqlx::query("/* upwrite.gone */ delete from upwrite.processes where id = $1").bind(id).execute(&pool);
    if let Err(error) = gone.await {
        tracing::debug!(%error, "the process's row stays");
    }
}

/// By stage.
fn status(reports: &[(Stage, Report)]) -> Value {
    reports.iter().map(|(stage, report)| (stage.as_str().to_owned(), report())).collect()
}
