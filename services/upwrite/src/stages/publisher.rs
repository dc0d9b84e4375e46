//! The publisher of records: beside the reconciler, whose outbox it empties. Only with the log on Kafka.

use std::time::Duration;

use sqlx::PgPool;
use tokio_util::sync::CancellationToken;
use upwrite_event_log::kafka::{run_records, synced_tables};
use upwrite_event_log::{KafkaConfig, Membership};
use upwrite_events::TableName;

/// How often it is looked whether there are other tables than before.
const LOOK: Duration = Duration::from_secs(5);

/// Publishes its share of the tables until `stop`. When `upwrite setup` adds or removes some, the work is shared out again.
///
/// # Parameters
/// `join`: becomes a member of the group, which has so many items, until the token is cancelled.
///
/// # Errors
/// If options or schemas are not what they must be.
pub(super) async fn run(
    kafka: KafkaConfig,
    pool: PgPool,
    join: impl Fn(u16, &CancellationToken) -> Box<dyn Membership> + Send + 'static,
    stop: CancellationToken,
) -> anyhow::Result<()> {
    let mut tables = Vec::new();
    while let Some(others) = other_tables(&pool, &tables, &stop).await {
        tables = others;
        if tables.is_empty() {
            continue;
        }
        let these = stop.child_token();
        let items = u16::try_from(tables.len()).unwrap_or(u16::MAX);
        let membership = join(items, &these);
        let mut publishing =
            Box::pin(run_records(kafka.clone(), pool.clone(), tables.clone(), membership, these.clone()));
        tokio::select! {
            ended = &mut publishing => return Ok(ended?),
            _ = other_tables(&pool, &tables, &these) => {
                these.cancel();
                publishing.await?;
            }
        }
    }
    Ok(())
}

/// The tables, once they are others than these; `None`: stopped before.
async fn other_tables(pool: &PgPool, these: &[TableName], stop: &CancellationToken) -> Option<Vec<TableName>> {
    loop {
        match synced_tables(pool).await {
            Ok(tables) if tables != these => return Some(tables),
            Ok(_) => {}
            Err(error) => tracing::debug!(%error, "synced tables cannot be read now"),
        }
        tokio::select! {
            () = tokio::time::sleep(LOOK) => {}
            () = stop.cancelled() => return None,
        }
    }
}
