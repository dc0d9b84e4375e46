//! A schema registry that speaks Confluent's API.

use std::process::Command;
use std::time::{Duration, Instant};

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use super::tools::{self, JVM};
use crate::error::system;
use crate::process::Process;
use crate::{Error, free_port};

const START_LIMIT: Duration = Duration::from_secs(120);

const PAUSE: Duration = Duration::from_millis(20);

/// The path of Confluent's API.
const API: &str = "/apis/ccompat/v7";

/// How a registry runs.
#[derive(Debug, Clone, Default)]
pub struct RegistryOptions {
    /// Environment variables: its settings. Without any, it keeps everything in memory.
    pub settings: Vec<(String, String)>,
}

/// A registry process; killed when dropped, and when this process ends.
pub struct Registry {
    port: u16,
    options: RegistryOptions,
    process: Process,
}

impl Registry {
    /// A new, empty registry that serves clients.
    ///
    /// # Errors
    /// If it is not installed or does not start.
    pub async fn start(options: RegistryOptions) -> Result<Self, Error> {
        let port = free_port()?;
        let process = launch(port, &options).await?;
        Ok(Self { port, options, process })
    }

    /// Where clients of Confluent's API find it.
    pub fn url(&self) -> String {
        format!("http://127.0.0.1:{}{API}", self.port)
    }

    /// Kills it (SIGKILL), and returns when it is gone.
    ///
    /// # Errors
    /// `TimedOut` if it does not go.
    pub async fn kill9(&self) -> Result<(), Error> {
        self.process.kill9();
        self.process.wait_exit(START_LIMIT).await.map(|_| ())
    }

    /// Kills it and starts it again on the same port: empty, unless its settings keep its content elsewhere.
    ///
    /// # Errors
    /// If it does not end or does not start.
    pub async fn restart(&mut self) -> Result<(), Error> {
        self.kill9().await?;
        self.process = launch(self.port, &self.options).await?;
        Ok(())
    }
}

async fn launch(port: u16, options: &RegistryOptions) -> Result<Process, Error> {
    let folder = tools::folder()?.join("registry");
    let jar = std::fs::read_dir(&folder)
        .map_err(system(format!("reading {}", folder.display())))?
        .flatten()
        .map(|entry| entry.path())
        .find(|path| path.to_string_lossy().ends_with("-runner.jar"))
        .ok_or_else(|| {
            let place = folder.display();
            Error::NotInstalled(format!("no -runner.jar in {place}: run scripts/install-tools kafka"))
        })?;
    let mut command = Command::new("java");
    command
        .args(JVM)
        .arg("-Xmx256m")
        .arg("-jar")
        .arg(jar)
        .current_dir("/")
        .env("QUARKUS_HTTP_HOST", "127.0.0.1")
        .env("QUARKUS_HTTP_PORT", port.to_string())
        .envs(options.settings.iter().map(|(name, value)| (name, value)));
    let process = Process::spawn(command)?;
    // It logs nothing when it is ready, so it is asked.
    let started = Instant::now();
    while !answers(port).await.unwrap_or(false) {
        if !process.is_running() || started.elapsed() > START_LIMIT {
            let what = "the schema registry does not answer".to_owned();
            return Err(Error::Failed { what, output: process.lines().join("\n") });
        }
        tokio::time::sleep(PAUSE).await;
    }
    Ok(process)
}

async fn answers(port: u16) -> std::io::Result<bool> {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).await?;
    let request = format!("GET {API}/subjects HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await?;
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).await?;
    Ok(answer.starts_with(b"HTTP/1.1 200 "))
}
