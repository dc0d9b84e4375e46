//! One broker, as tests see it.

use std::path::PathBuf;

use anyhow::Result;
use tokio::sync::OnceCell;
use upwrite_private_servers::kafka::Options;

use super::brokers::Brokers;

/// A single node, with one copy of everything.
pub struct Broker {
    brokers: Brokers,
}

impl Broker {
    /// A new broker that serves clients.
    pub async fn start(options: Options) -> Self {
        Self { brokers: Brokers::start_with(1, options).await }
    }

    /// As [`Broker::start`].
    ///
    /// # Errors
    /// If Kafka is not installed or does not start.
    pub async fn try_start(options: Options) -> Result<Self> {
        Ok(Self { brokers: Brokers::try_start(1, options).await? })
    }

    /// The broker that all tests of this process share. Each test takes topic names of its own ([`super::unique_prefix`]). Do
    /// not stop, pause or kill this one.
    pub async fn shared() -> &'static Self {
        static SHARED: OnceCell<Broker> = OnceCell::const_new();
        SHARED.get_or_init(|| Self::start(Options::default())).await
    }

    /// What clients take as `bootstrap.servers`.
    pub fn bootstrap(&self) -> String {
        self.brokers.bootstrap()
    }

    /// The port on which it listens; it stays the same over restarts.
    pub fn port(&self) -> u16 {
        self.brokers.port(0)
    }

    /// Where the brokers themselves connect, without TLS or a login: `bootstrap.servers` of an administrator.
    pub fn internal(&self) -> String {
        format!("127.0.0.1:{}", self.brokers.internal_port(0).expect("there is one node"))
    }

    /// Kills it (SIGKILL), and returns when it is gone.
    pub async fn kill9(&self) {
        self.brokers.kill9(0).await;
    }

    /// Ends it in order (SIGTERM).
    pub async fn stop(&self) {
        self.brokers.stop(0).await;
    }

    /// Starts it again on the same data and port and returns when it serves clients; kills it first if it runs.
    pub async fn restart(&self) {
        self.brokers.restart(0).await;
    }

    /// Stops it from doing anything (SIGSTOP) until [`Broker::resume`]; its connections stay open.
    pub async fn pause(&self) {
        self.brokers.pause(0).await;
    }

    /// Lets it go on (SIGCONT).
    pub async fn resume(&self) {
        self.brokers.resume(0).await;
    }

    /// The folder of its files: with the broker stopped, a copy of it is a backup that can be put back.
    pub async fn data_dir(&self) -> PathBuf {
        self.brokers.data_dir(0).await
    }

    /// What it has said since it was last started.
    pub async fn log(&self) -> String {
        self.brokers.log(0).await
    }
}
