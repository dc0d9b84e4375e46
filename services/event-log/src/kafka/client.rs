//! What all clients of the brokers share: how they end, where their log goes, and whether a broker can be reached.

use std::ops::Deref;
use std::time::Duration;

use rdkafka::ClientContext;
use rdkafka::config::RDKafkaLogLevel;
use rdkafka::consumer::ConsumerContext;
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use tokio::sync::watch;
use tokio::time::timeout;

/// A client that is dropped on a thread of its own, wherever its owner is dropped. Its end waits for its threads, and a
/// worker of the runtime that waits may be the one that all others rely on for their I/O.
#[derive(Debug)]
pub(crate) struct Aside<T: Send + 'static>(Option<T>);

impl<T: Send> Aside<T> {
    pub(crate) fn new(client: T) -> Self {
        Self(Some(client))
    }
}

impl<T: Send> Deref for Aside<T> {
    type Target = T;

    #[expect(clippy::expect_used, reason = "only `drop` takes it")]
    fn deref(&self) -> &T {
        self.0.as_ref().expect("not dropped yet")
    }
}

impl<T: Send> Drop for Aside<T> {
    fn drop(&mut self) {
        let Some(client) = self.0.take() else { return };
        // Where no thread can be had, the closure is dropped here, and the client with it.
        let aside = std::thread::Builder::new().name("kafka-client-end".to_owned()).spawn(move || drop(client));
        if let Err(error) = aside {
            tracing::warn!(%error, "no thread to end a Kafka client on");
        }
    }
}

/// Whether any broker can be reached, as far as the producer knows.
#[derive(Debug)]
pub(crate) struct Reach {
    away: watch::Sender<bool>,
}

impl Reach {
    pub(crate) fn new() -> Self {
        Self { away: watch::Sender::new(false) }
    }

    pub(crate) fn lost(&self) {
        if !self.away.send_replace(true) {
            tracing::warn!("no Kafka broker can be reached; trying until one can");
        }
    }

    pub(crate) fn back(&self) {
        if self.away.send_replace(false) {
            tracing::info!("Kafka can be reached again");
        }
    }

    /// Waits until no broker can be reached.
    pub(crate) async fn until_away(&self) {
        // The sender is `self`: it cannot have gone.
        let _ = self.away.subscribe().wait_for(|away| *away).await;
    }

    /// Waits for so long until a broker can be reached; whether one can.
    pub(crate) async fn until_back(&self, patience: Duration) -> bool {
        let mut away = self.away.subscribe();
        matches!(timeout(patience, away.wait_for(|away| !*away)).await, Ok(Ok(_)))
    }
}

/// librdkafka's callbacks.
pub(crate) struct Context {
    /// What the client is for.
    pub(crate) name: &'static str,
    /// Told when all brokers are gone.
    pub(crate) reach: Option<std::sync::Arc<Reach>>,
}

impl Context {
    pub(crate) fn quiet(name: &'static str) -> Self {
        Self { name, reach: None }
    }
}

impl ClientContext for Context {
    fn log(&self, level: RDKafkaLogLevel, facility: &str, message: &str) {
        let client = self.name;
        match level {
            // Options of consumers given to producers, and the other way round: they are meant for all clients.
            _ if facility == "CONFWARN" => tracing::trace!(client, facility, "{message}"),
            RDKafkaLogLevel::Emerg | RDKafkaLogLevel::Alert | RDKafkaLogLevel::Critical => {
                tracing::error!(client, facility, "{message}");
            }
            // Every lost connection is an "error", and is retried.
            RDKafkaLogLevel::Error | RDKafkaLogLevel::Warning => tracing::debug!(client, facility, "{message}"),
            _ => tracing::trace!(client, facility, "{message}"),
        }
    }

    fn error(&self, error: KafkaError, reason: &str) {
        let client = self.name;
        match error.rdkafka_error_code() {
            Some(RDKafkaErrorCode::AllBrokersDown) => {
                tracing::debug!(client, reason, "all brokers down");
                if let Some(reach) = &self.reach {
                    reach.lost();
                }
            }
            Some(RDKafkaErrorCode::Authentication | RDKafkaErrorCode::SSL | RDKafkaErrorCode::Fatal) => {
                tracing::error!(client, %error, reason, "Kafka");
            }
            _ => tracing::debug!(client, %error, reason, "Kafka"),
        }
    }
}

impl ConsumerContext for Context {}
