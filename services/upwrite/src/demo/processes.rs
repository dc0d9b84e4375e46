//! What the demo runs on, each a process of its own.

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::Context as _;
use tokio::process::Command;
use upwrite_private_servers::kafka::{Brokers, Options as BrokerOptions, Registry, RegistryOptions};
use upwrite_private_servers::postgres::{Cluster, Options, installed_bindir};
use upwrite_private_servers::process::Process;
use upwrite_private_servers::{free_port, until};
use upwrite_sandbox::AdminClient;

use super::psql::Psql;

/// How long a process may take to say that it is ready.
const START: Duration = Duration::from_secs(60);
/// The demo's application user.
const PASSWORD: &str = "demo";

pub(super) struct Processes {
    pub(super) stand_in: AdminClient,
    /// Through Upwrite.
    pub(super) app: Psql,
    /// The same user, straight to Postgres.
    pub(super) around: Psql,
    /// Superuser, straight to Postgres.
    pub(super) admin: Psql,
    upwrite: Option<Process>,
    folder: tempfile::TempDir,
    proxy_port: u16,
    _stand_in: Process,
    cluster: Cluster,
    kafka: Option<KafkaProcesses>,
}

/// Where the log is, if not in Postgres.
struct KafkaProcesses {
    brokers: Brokers,
    registry: Registry,
}

impl KafkaProcesses {
    async fn start() -> anyhow::Result<Self> {
        println!("Starting a Kafka broker and a schema registry …");
        let (brokers, registry) =
            tokio::try_join!(Brokers::start(1, BrokerOptions::default()), Registry::start(RegistryOptions::default()))?;
        Ok(Self { brokers, registry })
    }

    fn config(&self) -> String {
        format!(
            "[log]\nengine = \"kafka\"\n\n[kafka]\nbrokers = \"{}\"\nreplication = 1\n\n[kafka.registry]\nurl = \"{}\"\n\n",
            self.brokers.bootstrap(),
            self.registry.url()
        )
    }
}

impl Processes {
    /// `kafka`: with the log there instead of in Postgres.
    pub(super) async fn start(kafka: bool) -> anyhow::Result<Self> {
        println!("Starting a private PostgreSQL cluster …");
        let cluster = Cluster::start(installed_bindir()?, Options::default()).await?;
        let kafka = if kafka { Some(KafkaProcesses::start().await?) } else { None };
        let folder = tempfile::Builder::new().prefix("upwrite-demo-").tempdir()?;
        let (stand_in_port, proxy_port) = (free_port()?, free_port()?);
        println!("Starting the stand-in for Salesforce …");
        let address = format!("127.0.0.1:{stand_in_port}");
        let mut sandbox = std::process::Command::new(beside_me("upwrite-sandbox")?);
        sandbox.args(["--listen", &address, "--accounts", "200", "--contacts", "1000", "--opportunities", "500"]);
        let sandbox = Process::spawn(sandbox)?;
        sandbox.find_line("listening on", START).await?;

        let admin = Psql { url: cluster.superuser_url("postgres") };
        admin.value("create database app").await?;
        let admin = Psql { url: cluster.superuser_url("app") };
        admin.value(&format!("create role app login password '{PASSWORD}'")).await?;
        let mut processes = Self {
            stand_in: AdminClient::new(format!("http://{address}"))?,
            app: Psql { url: format!("postgresql://app:{PASSWORD}@127.0.0.1:{proxy_port}/app") },
            around: Psql { url: cluster.url("app", "app", PASSWORD) },
            admin,
            upwrite: None,
            folder,
            proxy_port,
            _stand_in: sandbox,
            cluster,
            kafka,
        };
        processes.write_config(&address)?;
        processes.setup().await?;
        processes.start_upwrite().await?;
        processes.backfilled().await?;
        Ok(processes)
    }

    fn config(&self) -> PathBuf {
        self.folder.path().join("upwrite.toml")
    }

    fn write_config(&self, stand_in: &str) -> anyhow::Result<()> {
        let text = include_str!("upwrite.toml")
            .replace("@postgres_port@", &self.cluster.port().to_string())
            .replace("@proxy_port@", &self.proxy_port.to_string())
            .replace("@stand_in@", stand_in)
            .replace("@log@", &self.kafka.as_ref().map(KafkaProcesses::config).unwrap_or_default());
        std::fs::write(self.config(), text).context("writing the demo's configuration")
    }

    fn me(&self, subcommand: &str) -> anyhow::Result<std::process::Command> {
        let mut command = std::process::Command::new(std::env::current_exe()?);
        command.arg(subcommand).arg("--config").arg(self.config());
        command.env("UPWRITE_SERVICE_PASSWORD", "demo-service").env("UPWRITE_RECONCILER_PASSWORD", "demo-reconciler");
        command.env("UPWRITE_SETUP_PASSWORD", self.cluster.superuser_password());
        command.env("SALESFORCE_CLIENT_SECRET", "sandbox-secret");
        Ok(command)
    }

    async fn setup(&self) -> anyhow::Result<()> {
        println!("\n$ upwrite setup");
        let done = Command::from(self.me("setup")?).status().await?;
        anyhow::ensure!(done.success(), "upwrite setup failed");
        Ok(())
    }

    pub(super) async fn start_upwrite(&mut self) -> anyhow::Result<()> {
        println!("\n$ upwrite run");
        let process = Process::spawn(self.me("run")?)?;
        process.find_line("ready", START).await?;
        self.upwrite = Some(process);
        Ok(())
    }

    /// `kill -9` of Upwrite.
    pub(super) async fn kill_upwrite(&mut self) -> anyhow::Result<()> {
        if let Some(process) = self.upwrite.take() {
            process.kill9();
            process.wait_exit(START).await?;
        }
        Ok(())
    }

    /// Waits until every table holds what upstream had.
    async fn backfilled(&self) -> anyhow::Result<()> {
        println!("Reading what Salesforce has …");
        until(START, "the first backfill", || async {
            let open =
                self.admin.value("select count(*) from upwrite.tables where backfilled_at is null").await.ok()?;
            (open == "0").then_some(())
        })
        .await?;
        Ok(())
    }

    pub(super) fn instructions(&self) -> String {
        let port = self.proxy_port;
        let topics = self.kafka.as_ref().map(|kafka| {
            let (brokers, registry) = (kafka.brokers.bootstrap(), kafka.registry.url());
            format!(
                "\nEvents are in Kafka at {brokers}, their schemas at {registry}:\n\
                 \x20 kcat:  kcat -C -b {brokers} -t upwrite.mutations -e -f '%p/%o %k %h\\n'"
            )
        });
        let topics = topics.unwrap_or_default();
        format!(
            "\nConnect to Upwrite as if it were Postgres:\n\
             \x20 psql:  psql postgresql://app:{PASSWORD}@127.0.0.1:{port}/app\n\
             \x20 URL:   postgresql://app:{PASSWORD}@127.0.0.1:{port}/app\n\
             \x20 JDBC:  jdbc:postgresql://127.0.0.1:{port}/app?user=app&password={PASSWORD}\n\
             Postgres itself listens on port {}; the stand-in for Salesforce at {}.{topics}",
            self.cluster.port(),
            self.stand_in.base_url(),
        )
    }

    /// Stops everything, in order.
    pub(super) async fn stop(mut self) -> anyhow::Result<()> {
        if let Some(process) = self.upwrite.take() {
            process.sigterm();
            let status = process.wait_exit(START).await?;
            anyhow::ensure!(status.success(), "upwrite run ended with {status}");
        }
        self.cluster.stop().await?;
        Ok(())
    }
}

/// Another executable of the same build.
fn beside_me(name: &str) -> anyhow::Result<PathBuf> {
    let me = std::env::current_exe()?;
    let path = me.parent().unwrap_or(Path::new(".")).join(name);
    anyhow::ensure!(path.exists(), "{} is missing: build it too (`make demo` does)", path.display());
    Ok(path)
}
