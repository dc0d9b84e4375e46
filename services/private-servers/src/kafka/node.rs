//! One Kafka node: its ports, its files, and its process.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use nix::sys::signal::Signal;
use tokio::net::TcpStream;

use super::tools::JVM;
use crate::process::Process;
use crate::{Error, checkout, free_port, until};

/// A busy machine starts several at once.
const START_LIMIT: Duration = Duration::from_secs(120);
const END_LIMIT: Duration = Duration::from_secs(20);

/// What it says when it serves clients: its log is recovered, and the controllers let it in.
const READY: &str = "Kafka Server started";

pub(super) struct Node {
    /// `node.id`, from 1.
    pub(super) id: i32,
    pub(super) client_port: u16,
    pub(super) controller_port: u16,
    pub(super) internal_port: u16,
    data: PathBuf,
    process: Option<Process>,
}

impl Node {
    pub(super) fn new(id: i32, home: &Path) -> Result<Self, Error> {
        Ok(Self {
            id,
            client_port: free_port()?,
            controller_port: free_port()?,
            internal_port: free_port()?,
            data: home.join(format!("node-{id}")),
            process: None,
        })
    }

    /// Starts the process, and returns at once.
    pub(super) fn launch(
        &mut self,
        libs: &Path,
        cluster_id: &str,
        advertised: Option<u16>,
        settings: &[String],
        scram: &[(String, String)],
    ) -> Result<(), Error> {
        let Self { id, client_port, controller_port, internal_port, .. } = self;
        let advertised = advertised.unwrap_or(*client_port);
        let mut command = Command::new(checkout().join("deploy/kafka/start"));
        command
            .env("KAFKA_LIBS", libs)
            .env("KAFKA_CLUSTER_ID", cluster_id)
            .env("KAFKA_FORMAT_OPTIONS", format_options(scram))
            .env("KAFKA_JVM_OPTIONS", format!("-Xmx384m {}", JVM.join(" ")))
            .current_dir("/")
            .arg(&self.data)
            .arg(format!("node.id={id}"))
            .arg(format!(
                "listeners=CLIENT://127.0.0.1:{client_port},INTERNAL://127.0.0.1:{internal_port},\
                 CONTROLLER://127.0.0.1:{controller_port}"
            ))
            .arg(format!(
                "advertised.listeners=CLIENT://127.0.0.1:{advertised},INTERNAL://127.0.0.1:{internal_port},\
                 CONTROLLER://127.0.0.1:{controller_port}"
            ))
            .args(settings);
        self.process = Some(Process::spawn(command)?);
        Ok(())
    }

    /// Waits until clients are served.
    pub(super) async fn wait_ready(&self) -> Result<(), Error> {
        let Some(process) = &self.process else {
            let what = format!("Kafka node {} is not started", self.id);
            return Err(Error::Failed { what, output: String::new() });
        };
        process.find_line(READY, START_LIMIT).await?;
        let port = self.client_port;
        until(END_LIMIT, "Kafka's port", || async { TcpStream::connect(("127.0.0.1", port)).await.ok() }).await?;
        Ok(())
    }

    /// Kills the process (SIGKILL), and returns when it is gone.
    pub(super) async fn kill9(&mut self) -> Result<(), Error> {
        if let Some(process) = self.process.take() {
            process.kill9();
            process.wait_exit(END_LIMIT).await?;
        }
        Ok(())
    }

    /// Asks it to end (SIGTERM), and returns when it has.
    pub(super) async fn stop(&mut self) -> Result<(), Error> {
        if let Some(process) = self.process.take() {
            process.sigterm();
            process.wait_exit(START_LIMIT).await?;
        }
        Ok(())
    }

    pub(super) fn signal(&self, signal: Signal) {
        if let Some(process) = &self.process {
            process.signal(signal);
        }
    }

    /// Stops it (SIGSTOP), and returns when each of its threads stands still: on a busy machine that takes a moment.
    pub(super) async fn pause(&self) -> Result<(), Error> {
        let Some(process) = &self.process else { return Ok(()) };
        process.signal(Signal::SIGSTOP);
        let tasks = format!("/proc/{}/task", process.id());
        until(END_LIMIT, "a stopped process to stand still", || async {
            let mut threads = std::fs::read_dir(&tasks).ok()?.flatten();
            let stands = |thread: std::fs::DirEntry| {
                let stat = std::fs::read_to_string(thread.path().join("stat")).unwrap_or_default();
                // The state comes behind the name, which may hold anything, in parentheses. A thread that has gone has none.
                stat.rsplit_once(") ").is_none_or(|(_, rest)| rest.starts_with('T'))
            };
            threads.all(stands).then_some(())
        })
        .await
    }

    pub(super) fn data(&self) -> &Path {
        &self.data
    }

    pub(super) fn lines(&self) -> Vec<String> {
        self.process.as_ref().map(Process::lines).unwrap_or_default()
    }
}

/// Users that the cluster has from the beginning.
fn format_options(scram: &[(String, String)]) -> String {
    let user = |(name, password): &(String, String)| {
        ["SCRAM-SHA-256", "SCRAM-SHA-512"]
            .map(|mechanism| format!("--add-scram {mechanism}=[name={name},password={password}]"))
            .join(" ")
    };
    scram.iter().map(user).collect::<Vec<_>>().join(" ")
}
