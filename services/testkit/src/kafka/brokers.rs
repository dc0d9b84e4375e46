//! One broker, or several that replicate, as tests see them.

use std::path::{Path, PathBuf};

use anyhow::Result;
use nix::sys::signal::Signal;
use tokio::sync::{Mutex, OnceCell};

use super::node::Node;
use super::tools;
use crate::guardian;

/// Copies of each partition, and how many of them an acknowledged event is on, in a cluster of one node; three have what
/// `deploy/kafka/server.properties` says.
const ALONE: [&str; 7] = [
    "default.replication.factor=1",
    "min.insync.replicas=1",
    "offsets.topic.replication.factor=1",
    "transaction.state.log.replication.factor=1",
    "transaction.state.log.min.isr=1",
    "share.coordinator.state.topic.replication.factor=1",
    "share.coordinator.state.topic.min.isr=1",
];

/// How brokers run.
#[derive(Debug, Clone, Default)]
pub struct Options {
    /// The port that clients of node 0 are told to connect to, where something (a fault proxy) stands before it.
    pub advertised_port: Option<u16>,
    /// Further settings of every node, by name and value, as in `server.properties`; they win.
    pub settings: Vec<(String, String)>,
    /// Users that log in by SCRAM, and their passwords.
    pub scram: Vec<(String, String)>,
}

/// Combined broker and controller nodes, each a process with its own files. Dropped (or the test process gone), they are
/// killed and their files removed. Nodes are numbered from 0.
pub struct Brokers {
    home: PathBuf,
    libs: PathBuf,
    cluster_id: String,
    ports: Vec<u16>,
    advertised_port: Option<u16>,
    settings: Vec<String>,
    scram: Vec<(String, String)>,
    nodes: Vec<Mutex<Node>>,
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
        let libs = tools::folder()?.join("libs");
        let home = tempfile::Builder::new().prefix("uw-kafka-").tempdir()?.keep();
        guardian::remove_with_us(&home);
        let nodes: Vec<Node> = (1..=count).map(|id| Node::new(id, &home)).collect();
        let voters: Vec<String> =
            nodes.iter().map(|node| format!("{}@127.0.0.1:{}", node.id, node.controller_port)).collect();
        let mut settings = vec![format!("controller.quorum.voters={}", voters.join(","))];
        if count == 1 {
            settings.extend(ALONE.map(str::to_owned));
        }
        settings.extend(options.settings.iter().map(|(name, value)| format!("{name}={value}")));
        let brokers = Self {
            home,
            libs,
            cluster_id: cluster_id(),
            ports: nodes.iter().map(|node| node.client_port).collect(),
            advertised_port: options.advertised_port,
            settings,
            scram: options.scram,
            nodes: nodes.into_iter().map(Mutex::new).collect(),
        };
        brokers.launch_all().await;
        for n in 0..count {
            brokers.node(n).lock().await.wait_ready().await?;
        }
        Ok(brokers)
    }

    /// What clients take as `bootstrap.servers`: every node, past a fault proxy.
    pub fn bootstrap(&self) -> String {
        let hosts: Vec<String> = self.ports.iter().map(|port| format!("127.0.0.1:{port}")).collect();
        hosts.join(",")
    }

    /// How many nodes there are.
    pub fn count(&self) -> usize {
        self.nodes.len()
    }

    /// The port on which node `n` listens to clients; it stays the same over restarts.
    pub fn port(&self, n: usize) -> u16 {
        self.ports[n]
    }

    /// `node.id` of node `n`: what Kafka's metadata calls it.
    pub fn node_id(&self, n: usize) -> i32 {
        i32::try_from(n + 1).expect("a handful of nodes")
    }

    /// Kills node `n` (SIGKILL), and returns when it is gone.
    pub async fn kill9(&self, n: usize) {
        self.node(n).lock().await.kill9().await;
    }

    /// Ends node `n` in order (SIGTERM): its leaderships move first.
    pub async fn stop(&self, n: usize) {
        self.node(n).lock().await.stop().await;
    }

    /// Starts node `n` again on the same data and ports and returns when it serves clients; kills it first if it runs.
    /// That needs a majority of the nodes: see [`Brokers::restart_all`].
    pub async fn restart(&self, n: usize) {
        self.launch(n).await;
        self.wait_ready(n).await;
    }

    /// As [`Brokers::restart`] for all nodes at once, as after a power failure.
    pub async fn restart_all(&self) {
        self.launch_all().await;
        for n in 0..self.count() {
            self.wait_ready(n).await;
        }
    }

    /// Starts node `n` again as [`Brokers::restart`] does, and returns at once.
    pub async fn launch(&self, n: usize) {
        let mut node = self.node(n).lock().await;
        node.kill9().await;
        let advertised = self.advertised_port.filter(|_| n == 0);
        node.launch(&self.libs, &self.cluster_id, advertised, &self.settings, &self.scram);
    }

    /// Waits until node `n`, which was started, serves clients.
    pub async fn wait_ready(&self, n: usize) {
        self.node(n).lock().await.wait_ready().await.unwrap_or_else(|error| panic!("{error:#}"));
    }

    /// Stops node `n` from doing anything (SIGSTOP) until [`Brokers::resume`]; its connections stay open.
    pub async fn pause(&self, n: usize) {
        self.node(n).lock().await.pause().await;
    }

    /// Lets a paused node go on (SIGCONT).
    pub async fn resume(&self, n: usize) {
        self.node(n).lock().await.signal(Signal::SIGCONT);
    }

    /// The folder of node `n`'s files: with the node stopped, a copy of it is a backup that can be put back.
    pub async fn data_dir(&self, n: usize) -> PathBuf {
        self.node(n).lock().await.data().to_owned()
    }

    /// What node `n` has said since it was last started.
    pub async fn log(&self, n: usize) -> String {
        self.node(n).lock().await.lines().join("\n")
    }

    async fn launch_all(&self) {
        for n in 0..self.count() {
            self.launch(n).await;
        }
    }

    fn node(&self, n: usize) -> &Mutex<Node> {
        &self.nodes[n]
    }

    fn remove(home: &Path) {
        let _ = std::fs::remove_dir_all(home); // what cannot be removed now, the guardian removes
    }
}

impl Drop for Brokers {
    fn drop(&mut self) {
        self.nodes.clear(); // ends the processes
        Self::remove(&self.home);
    }
}

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

    /// The broker that all tests of this process share. Each test takes topic names of its own ([`unique_prefix`]). Do
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
    pub async fn internal(&self) -> String {
        format!("127.0.0.1:{}", self.brokers.node(0).lock().await.internal_port)
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

/// The start of topic names that nobody else uses.
pub fn unique_prefix() -> String {
    format!("t{}", uuid::Uuid::new_v4().simple())
}

/// 16 bytes as Kafka writes them: base64 for URLs, without padding. Any 22 letters whose last one leaves no odd bits do.
fn cluster_id() -> String {
    let hex = uuid::Uuid::new_v4().simple().to_string();
    format!("{}A", &hex[..21])
}

#[cfg(test)]
mod tests {
    use super::{cluster_id, unique_prefix};

    #[test]
    fn names_are_fresh() {
        assert_ne!(unique_prefix(), unique_prefix());
        assert_ne!(cluster_id(), cluster_id());
        assert_eq!(cluster_id().len(), 22);
    }
}
