//! Which engine runs.

use std::sync::Arc;

use sqlx::PgPool;
use tokio_util::sync::CancellationToken;

use crate::{Config, EventLog, KafkaConfig, KafkaLog, LogError, Notifier, PostgresLog};

/// The engine, and how it works.
#[derive(Debug, Clone)]
#[expect(clippy::large_enum_variant, reason = "there is one per process")]
pub enum Engine {
    Postgres(Config),
    Kafka(KafkaConfig),
}

impl Engine {
    /// For a recovery: also where the deployment is bound to another log than this one.
    #[must_use]
    pub fn whatever_it_was_bound_to(self) -> Self {
        match self {
            Self::Kafka(config) => Self::Kafka(KafkaConfig { any_cluster: true, ..config }),
            postgres @ Self::Postgres(_) => postgres,
        }
    }
}

/// Opens the log on whichever engine. `pool` logs in as `upwrite_service`; `notifier` is the process's own: the
/// Postgres engine uses it to wake the readers of other processes.
///
/// # Errors
/// `Unavailable` if what it rests on does not answer, `Mismatch` if it is not set up, or is not what it was.
pub async fn open(
    engine: Engine,
    pool: PgPool,
    notifier: Notifier,
    shutdown: CancellationToken,
) -> Result<Arc<dyn EventLog>, LogError> {
    Ok(match engine {
        Engine::Postgres(config) => PostgresLog::open_with(pool, config, notifier, shutdown).await?,
        Engine::Kafka(config) => KafkaLog::open(pool, config, shutdown).await?,
    })
}
