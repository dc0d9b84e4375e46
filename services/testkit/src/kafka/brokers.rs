//! Several brokers that replicate, as tests see them.

use std::ops::Deref;
use std::path::PathBuf;

use anyhow::Result;
use upwrite_private_servers::kafka::{self as private, Options};

use crate::must::must;

/// As [`private::Brokers`], of which it has all methods; those here panic where that has errors. Nodes are numbered
/// from 0.
pub struct Brokers(private::Brokers);

impl Deref for Brokers {
    type Target = private::Brokers;

    fn deref(&self) -> &private::Brokers {
        &self.0
    }
}

impl Brokers {
    /// `count` nodes (1 or 3) that serve clients.
    pub async fn start(count: usize) -> Self {
        Self::start_with(count, Options::default()).await
    }

    /// As [`Brokers::start`], with options.
    pub async fn start_with(count: usize, options: Options) -> Self {
        Self::try_start(count, options).await.unwrap_or_else(|error| panic!("no Kafka: {error:#}"))
    }

    /// As [`Brokers::start_with`].
    ///
    /// # Errors
    /// If Kafka is not installed or does not start.
    pub async fn try_start(count: usize, options: Options) -> Result<Self> {
        Ok(Self(private::Brokers::start(count, options).await?))
    }

    /// The port on which node `n` listens to clients; it stays the same over restarts.
    #[track_caller]
    pub fn port(&self, n: usize) -> u16 {
        self.0.port(n).unwrap_or_else(|| panic!("there is no node {n}"))
    }

    /// `node.id` of node `n`: what Kafka's metadata calls it.
    pub fn node_id(&self, n: usize) -> i32 {
        i32::try_from(n + 1).expect("a handful of nodes")
    }

    /// Kills node `n` (SIGKILL), and returns when it is gone.
    pub async fn kill9(&self, n: usize) {
        must(self.0.kill9(n).await);
    }

    /// Ends node `n` in order (SIGTERM): its leaderships move first.
    pub async fn stop(&self, n: usize) {
        must(self.0.stop(n).await);
    }

    /// Starts node `n` again on the same data and ports and returns when it serves clients; kills it first if it runs.
    /// That needs a majority of the nodes: see [`Brokers::restart_all`].
    pub async fn restart(&self, n: usize) {
        must(self.0.restart(n).await);
    }

    /// As [`Brokers::restart`] for all nodes at once, as after a power failure.
    pub async fn restart_all(&self) {
        must(self.0.restart_all().await);
    }

    /// Starts node `n` again as [`Brokers::restart`] does, and returns at once.
    pub async fn launch(&self, n: usize) {
        must(self.0.launch(n).await);
    }

    /// Waits until node `n`, which was started, serves clients.
    pub async fn wait_ready(&self, n: usize) {
        must(self.0.wait_ready(n).await);
    }

    /// Stops node `n` from doing anything (SIGSTOP) until [`Brokers::resume`]; its connections stay open.
    pub async fn pause(&self, n: usize) {
        must(self.0.pause(n).await);
    }

    /// Lets a paused node go on (SIGCONT).
    pub async fn resume(&self, n: usize) {
        must(self.0.resume(n).await);
    }

    /// The folder of node `n`'s files: with the node stopped, a copy of it is a backup that can be put back.
    pub async fn data_dir(&self, n: usize) -> PathBuf {
        must(self.0.data_dir(n).await)
    }

    /// What node `n` has said since it was last started.
    pub async fn log(&self, n: usize) -> String {
        must(self.0.log(n).await)
    }
}
