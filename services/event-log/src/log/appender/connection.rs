//! A connection of the appender's own, with settings that the append relies on.

use std::sync::Arc;
use std::time::Duration;

use sqlx::postgres::{PgConnectOptions, PgConnection};
use sqlx::{Connection as _, PgPool};
use tokio::time::timeout;

use super::batch::{AnswerRow, Columns};
use super::limits::Limits;
use crate::LogError;

const APPEND: &str = "/* event-log.append_batch */ \
    select item, outcome, first_position, at_us, claim, claimed_by \
      from upwrite.append_batch($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16)";

/// Why a round trip brought no answer.
#[derive(Debug)]
pub(crate) enum Failed {
    /// Nothing was sent: there is no connection.
    Unreachable(String),
    /// Postgres itself said no: nothing was committed, and the connection may still serve.
    Refused(String),
    /// Sent, and no answer: it may have been committed.
    Unanswered(String),
}

impl Failed {
    pub(crate) fn into_error(self) -> LogError {
        match self {
            Self::Unreachable(reason) | Self::Refused(reason) => LogError::NotAppended(reason),
            Self::Unanswered(reason) => LogError::Unknown(reason),
        }
    }
}

/// At most one connection, made when it is needed.
#[derive(Debug)]
pub(crate) struct AppendConnection {
    options: Arc<PgConnectOptions>,
    connect_timeout: Duration,
    answer_timeout: Duration,
    open: Option<PgConnection>,
}

impl AppendConnection {
    pub(crate) fn new(pool: &PgPool, limits: &Limits) -> Self {
        let milliseconds = |duration: Duration| duration.as_millis().max(1).to_string();
        let options = pool.connect_options().as_ref().clone().application_name("upwrite log").options([
            ("lock_timeout", milliseconds(limits.lock_timeout)),
            // Postgres gives up first, so that the outcome is known.
            ("statement_timeout", milliseconds(limits.answer_timeout * 2 / 3)),
            ("default_transaction_isolation", "read committed".to_owned()),
            ("default_transaction_read_only", "off".to_owned()),
            // To plan each statement of the function again costs more than to run it.
            ("plan_cache_mode", "force_generic_plan".to_owned()),
            ("jit", "off".to_owned()),
        ]);
        Self {
            options: Arc::new(options),
            connect_timeout: limits.connect_timeout,
            answer_timeout: limits.answer_timeout,
            open: None,
        }
    }

    /// One transaction, durable when this returns.
    pub(crate) async fn append(&mut self, columns: &Columns<'_>) -> Result<Vec<AnswerRow>, Failed> {
        let patience = self.answer_timeout;
        let connection = self.connected().await?;
        // All rows, to the end: the commit comes after the rows and before the end.
        let answer = sqlx::query_as(APPEND)
            .bind(&columns.item_stream)
            .bind(&columns.item_partition)
            .bind(&columns.item_mutation)
            .bind(&columns.claim_item)
            .bind(&columns.claim_source)
            .bind(&columns.claim_table)
            .bind(&columns.claim_key)
            .bind(&columns.version_item)
            .bind(&columns.version_source)
            .bind(&columns.version_table)
            .bind(&columns.version_key)
            .bind(&columns.version_wanted)
            .bind(&columns.event_item)
            .bind(&columns.event_name)
            .bind(&columns.event_mutation)
            .bind(&columns.event_value)
            .fetch_all(connection);
        match timeout(patience, answer).await {
            Ok(Ok(rows)) => Ok(rows),
            // Postgres reports an error only of what it has not committed.
            Ok(Err(sqlx::Error::Database(error))) => {
                if self.is_lost().await {
                    self.open = None;
                }
                Err(Failed::Refused(error.to_string()))
            }
            Ok(Err(error)) => {
                self.open = None;
                Err(Failed::Unanswered(error.to_string()))
            }
            Err(_) => {
                self.open = None;
                Err(Failed::Unanswered(format!("no answer within {patience:?}")))
            }
        }
    }

    /// Notices while nothing waits that the server has gone, so that the next append need not: there it would mean
    /// an unknown outcome.
    pub(crate) async fn keep(&mut self) {
        if self.is_lost().await {
            self.open = None;
        }
        // Best effort: the next append tries again, and reports.
        let _ = self.connected().await;
    }

    pub(crate) async fn close(&mut self) {
        if let Some(connection) = self.open.take() {
            let _ = timeout(self.connect_timeout, connection.close()).await;
        }
    }

    async fn is_lost(&mut self) -> bool {
        match &mut self.open {
            None => false,
            Some(connection) => !matches!(timeout(self.connect_timeout, connection.ping()).await, Ok(Ok(()))),
        }
    }

    async fn connected(&mut self) -> Result<&mut PgConnection, Failed> {
        if self.open.is_none() {
            let mut connection = match timeout(self.connect_timeout, PgConnection::connect_with(&self.options)).await {
                Ok(connection) => connection.map_err(|error| Failed::Unreachable(error.to_string()))?,
                Err(_) => {
                    return Err(Failed::Unreachable(format!("no connection within {:?}", self.connect_timeout)));
                }
            };
            // Prepared once per connection, before the first caller waits for it.
            let prepared = sqlx::Executor::prepare(&mut connection, sqlx::SqlStr::from_static(APPEND));
            match timeout(self.connect_timeout, prepared).await {
                Ok(Ok(_)) => self.open = Some(connection),
                Ok(Err(error)) => return Err(Failed::Unreachable(error.to_string())),
                Err(_) => {
                    return Err(Failed::Unreachable(format!("no answer within {:?}", self.connect_timeout)));
                }
            }
        }
        Ok(self.open.as_mut().expect("opened above"))
    }
}
