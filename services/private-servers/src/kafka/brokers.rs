//! One broker, or several that replicate.

use std::path::{Path, PathBuf};

use nix::sys::signal::Signal;
use tokio::sync::Mutex;

use super::node::Node;
use super::tools;
use crate::error::system;
use crate::{Error, guardian};

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

/// Combined broker and controller nodes, each a process with its own files. Dropped (or this process gone), they are
/// killed and their files removed. Nodes are numbered from 0.
pub struct Brokers {
    home: PathBuf,
    libs: PathBuf,
    cluster_id: String,
    /// Of clients, and of the brokers among themselves.
    ports: Vec<(u16, u16)>,
    advertised_port: Option<u16>,
    settings: Vec<String>,
    scram: Vec<(String, String)>,
    nodes: Vec<Mutex<Node>>,
}

impl Brokers {
    /// `count` nodes (1 or 3) that serve clients.
    ///
    /// # Errors
    /// If Kafka is not installed or does not start.
    pub async fn start(count: usize, options: Options) -> Result<Self, Error> {
        let libs = tools::folder()?.join("libs");
        let home = tempfile::Builder::new().prefix("uw-kafka-").tempdir();
        let home = home.map_err(system("a temporary directory"))?.keep();
        guardian::remove_with_us(&home)?;
        let nodes = (1..).take(count).map(|id| Node::new(id, &home)).collect::<Result<Vec<_>, _>>()?;
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
            ports: nodes.iter().map(|node| (node.client_port, node.internal_port)).collect(),
            advertised_port: options.advertised_port,
            settings,
            scram: options.scram,
            nodes: nodes.into_iter().map(Mutex::new).collect(),
        };
        brokers.launch_all().await?;
        for n in 0..brokers.count() {
            brokers.wait_ready(n).await?;
        }
        Ok(brokers)
    }

    /// What clients take as `bootstrap.servers`: every node, past a fault proxy.
    pub fn bootstrap(&self) -> String {
        let hosts: Vec<String> = self.ports.iter().map(|(port, _)| format!("127.0.0.1:{port}")).collect();
        hosts.join(",")
    }

    /// How many nodes there are.
    pub fn count(&self) -> usize {
        self.nodes.len()
    }

    /// The port on which node `n` listens to clients; it stays the same over restarts. `None`: there is no such node.
    pub fn port(&self, n: usize) -> Option<u16> {
        self.ports.get(n).map(|(port, _)| *port)
    }

    /// As [`Brokers::port`], of the listener on which the brokers themselves connect, without TLS or a login.
    pub fn internal_port(&self, n: usize) -> Option<u16> {
        self.ports.get(n).map(|(_, port)| *port)
    }

    /// Kills node `n` (SIGKILL), and returns when it is gone.
    ///
    /// # Errors
    /// `TimedOut` if it does not go; here and below, `NoNode` if there is no node `n`.
    pub async fn kill9(&self, n: usize) -> Result<(), Error> {
        self.node(n)?.lock().await.kill9().await
    }

    /// Ends node `n` in order (SIGTERM): its leaderships move first.
    ///
    /// # Errors
    /// `TimedOut` if it does not end.
    pub async fn stop(&self, n: usize) -> Result<(), Error> {
        self.node(n)?.lock().await.stop().await
    }

    /// Starts node `n` again on the same data and ports and returns when it serves clients; kills it first if it runs.
    /// That needs a majority of the nodes: see [`Brokers::restart_all`].
    ///
    /// # Errors
    /// If it does not end or does not start.
    pub async fn restart(&self, n: usize) -> Result<(), Error> {
        self.launch(n).await?;
        self.wait_ready(n).await
    }

    /// As [`Brokers::restart`] for all nodes at once, as after a power failure.
    ///
    /// # Errors
    /// As [`Brokers::restart`].
    pub async fn restart_all(&self) -> Result<(), Error> {
        self.launch_all().await?;
        for n in 0..self.count() {
            self.wait_ready(n).await?;
        }
        Ok(())
    }

    /// Starts node `n` again as [`Brokers::restart`] does, and returns at once.
    ///
    /// # Errors
    /// If it does not end, or its process cannot be started.
    pub async fn launch(&self, n: usize) -> Result<(), Error> {
        let mut node = self.node(n)?.lock().await;
        node.kill9().await?;
        let advertised = self.advertised_port.filter(|_| n == 0);
        node.launch(&self.libs, &self.cluster_id, advertised, &self.settings, &self.scram)
    }

    /// Waits until node `n`, which was started, serves clients.
    ///
    /// # Errors
    /// If it ends instead, or takes too long; with the last it said.
    pub async fn wait_ready(&self, n: usize) -> Result<(), Error> {
        self.node(n)?.lock().await.wait_ready().await
    }

    /// Stops node `n` from doing anything (SIGSTOP) until [`Brokers::resume`]; its connections stay open.
    ///
    /// # Errors
    /// `TimedOut` if one of its threads goes on.
    pub async fn pause(&self, n: usize) -> Result<(), Error> {
        self.node(n)?.lock().await.pause().await
    }

    /// Lets a paused node go on (SIGCONT).
    ///
    /// # Errors
    /// `NoNode`.
    pub async fn resume(&self, n: usize) -> Result<(), Error> {
        self.node(n)?.lock().await.signal(Signal::SIGCONT);
        Ok(())
    }

    /// The folder of node `n`'s files: with the node stopped, a copy of it is a backup that can be put back.
    ///
    /// # Errors
    /// `NoNode`.
    pub async fn data_dir(&self, n: usize) -> Result<PathBuf, Error> {
        Ok(self.node(n)?.lock().await.data().to_owned())
    }

    /// What node `n` has said since it was last started.
    ///
    /// # Errors
    /// `NoNode`.
    pub async fn log(&self, n: usize) -> Result<String, Error> {
        Ok(self.node(n)?.lock().await.lines().join("\n"))
    }

    async fn launch_all(&self) -> Result<(), Error> {
        for n in 0..self.count() {
            self.launch(n).await?;
        }
        Ok(())
    }

    fn node(&self, n: usize) -> Result<&Mutex<Node>, Error> {
        self.nodes.get(n).ok_or(Error::NoNode(n))
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

/// 16 bytes as Kafka writes them: base64 for URLs, without padding. Any 22 letters whose last one leaves no odd bits do.
fn cluster_id() -> String {
    let hex = uuid::Uuid::new_v4().simple().to_string();
    format!("{hex:.21}A")
}

#[cfg(test)]
mod tests {
    use super::cluster_id;

    #[test]
    fn names_are_fresh() {
        assert_ne!(cluster_id(), cluster_id());
        assert_eq!(cluster_id().len(), 22);
    }
}
