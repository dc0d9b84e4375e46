//! What all clients of the brokers share: how they end, where their log goes, whether a broker can be reached and why
//! not, and the token with which they log in.

use std::ops::Deref;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use rdkafka::ClientContext;
use rdkafka::client::OAuthToken;
use rdkafka::config::RDKafkaLogLevel;
use rdkafka::consumer::ConsumerContext;
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use tokio::sync::watch;
use tokio::time::timeout;

use super::diagnosis::{Diagnosis, Weight, is_alert};
use super::token;

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

/// How librdkafka begins to say that it was given no token.
const NO_TOKEN: &str = "Failed to acquire SASL OAUTHBEARER token";

/// Whether any broker can be reached, as far as the producer knows.
#[derive(Debug)]
pub(crate) struct Reach {
    away: watch::Sender<bool>,
    diagnosis: Arc<Diagnosis>,
}

impl Reach {
    pub(crate) fn new(diagnosis: Arc<Diagnosis>) -> Self {
        Self { away: watch::Sender::new(false), diagnosis }
    }

    pub(crate) fn lost(&self) {
        if !self.away.send_replace(true) {
            tracing::warn!("{}; trying until one can", self.why());
        }
    }

    /// That no broker can be reached, and what is behind it.
    pub(crate) fn why(&self) -> String {
        self.diagnosis.with_reason("no Kafka broker can be reached")
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
#[derive(Clone)]
pub(crate) struct Context {
    /// What the client is for.
    name: &'static str,
    diagnosis: Arc<Diagnosis>,
    /// Learns when all brokers are gone.
    reach: Option<Arc<Reach>>,
    token_file: Option<PathBuf>,
}

impl Context {
    /// # Parameters
    /// `token_file`: read whenever a new token is needed.
    pub(crate) fn new(token_file: Option<PathBuf>) -> Self {
        Self { name: "", diagnosis: Arc::default(), reach: None, token_file }
    }

    /// The same for a client of that name: they share one diagnosis.
    pub(crate) fn named(&self, name: &'static str) -> Self {
        Self { name, ..self.clone() }
    }

    pub(crate) fn reaching(self, reach: &Arc<Reach>) -> Self {
        Self { reach: Some(Arc::clone(reach)), ..self }
    }

    pub(crate) fn diagnosis(&self) -> &Arc<Diagnosis> {
        &self.diagnosis
    }

    /// `None`: there is no file.
    pub(crate) fn token(&self) -> Option<Result<OAuthToken, token::TokenError>> {
        self.token_file.as_ref().map(|path| token::read(path, SystemTime::now()))
    }
}

impl ClientContext for Context {
    // Also without a file: then librdkafka makes its own first token, if an option says so, or there is none.
    const ENABLE_REFRESH_OAUTH_TOKEN: bool = true;

    fn log(&self, level: RDKafkaLogLevel, facility: &str, message: &str) {
        let client = self.name;
        if facility == "FAIL" {
            // A listener that hangs up is mentioned here only.
            self.diagnosis.note(Weight::Remark, message);
        }
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
            // It repeats our own error.
            _ if reason.starts_with(NO_TOKEN) => tracing::debug!(client, %error, reason, "Kafka"),
            Some(RDKafkaErrorCode::Authentication | RDKafkaErrorCode::SSL) => {
                // Every try ends with it: once is enough.
                if self.diagnosis.note(Weight::Refusal, reason) {
                    tracing::error!(client, %error, reason, "Kafka");
                } else {
                    tracing::debug!(client, %error, reason, "Kafka");
                }
            }
            Some(RDKafkaErrorCode::Fatal) => tracing::error!(client, %error, reason, "Kafka"),
            Some(RDKafkaErrorCode::BrokerTransportFailure | RDKafkaErrorCode::Resolve) => {
                // A broker that does not trust our certificate says so after the handshake, as an alert.
                let weight = if is_alert(reason) { Weight::Refusal } else { Weight::Failure };
                self.diagnosis.note(weight, reason);
                tracing::debug!(client, %error, reason, "Kafka");
            }
            _ => tracing::debug!(client, %error, reason, "Kafka"),
        }
    }

    fn generate_oauth_token(&self, _: Option<&str>) -> Result<OAuthToken, Box<dyn std::error::Error>> {
        let reason = match self.token() {
            Some(Ok(token)) => {
                self.diagnosis.passed();
                return Ok(token);
            }
            Some(Err(error)) => error.to_string(),
            None => "no token file is configured, and a token that librdkafka made itself is not renewed".to_owned(),
        };
        // librdkafka asks again every ten seconds.
        if self.diagnosis.note(Weight::Unready, &reason) {
            tracing::error!(client = self.name, reason, "no token for Kafka");
        }
        Err(reason.into())
    }
}

impl ConsumerContext for Context {}
