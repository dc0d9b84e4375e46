//! One deployment: Postgres, stand-in, Upwrite, each a process.

use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use sqlx::postgres::PgPoolOptions;
use sqlx::{AssertSqlSafe, PgPool, Row as _};
use upwrite_sandbox::AdminClient;
use upwrite_testkit::postgres::{Cluster, Options as ClusterOptions};
use upwrite_testkit::process::Process;
use upwrite_testkit::{binary, free_port, until};

use crate::Options;

/// Nothing that is waited for takes longer, unless it never comes.
pub const LIMIT: Duration = Duration::from_secs(60);

/// A running deployment.
pub struct World {
    pub options: Options,
    pub cluster: Cluster,
    pub sandbox: AdminClient,
    pub upwrite: Process,
    /// Superuser, straight to Postgres.
    pub admin: PgPool,
    pub database: String,
    pub proxy_port: u16,
    folder: tempfile::TempDir,
    sandbox_process: Process,
}

/// The application's role.
const USER: &str = "app";
const PASSWORD: &str = "app-password";

impl World {
    /// Starts everything and waits for the first backfill.
    pub async fn start(options: Options) -> Self {
        let world = Self::start_cold(options).await;
        world.backfilled().await;
        world
    }

    /// As [`World::start`], without waiting for the backfill.
    pub async fn start_cold(options: Options) -> Self {
        let _already = rustls::crypto::ring::default_provider().install_default();
        let cluster = Cluster::start(ClusterOptions { fsync: options.fsync, ..ClusterOptions::default() }).await;
        let database = cluster.create_database().await;
        let admin = PgPoolOptions::new().max_connections(4).connect(&cluster.superuser_url(&database)).await.unwrap();
        sqlx::query(AssertSqlSafe(format!("create role {USER} login password '{PASSWORD}'")))
            .execute(&admin)
            .await
            .unwrap();
        sqlx::query(AssertSqlSafe(format!("grant create, usage on schema public to {USER}")))
            .execute(&admin)
            .await
            .unwrap();
        let folder = tempfile::tempdir().unwrap();
        let (sandbox_process, sandbox) = start_sandbox(&options).await;
        let proxy_port = free_port();
        let config = config(&options, &cluster, &database, proxy_port, sandbox.base_url());
        std::fs::write(folder.path().join("upwrite.toml"), config).unwrap();
        let setup = command(&folder, &cluster, "setup").output().unwrap();
        assert!(setup.status.success(), "upwrite setup: {}", String::from_utf8_lossy(&setup.stderr));
        let upwrite = Process::spawn(command(&folder, &cluster, "run"));
        upwrite.wait_for_line("ready", LIMIT).await;
        Self { options, cluster, sandbox, upwrite, admin, database, proxy_port, folder, sandbox_process }
    }

    /// A command line of the executable, with this world's configuration and secrets.
    pub fn command(&self, subcommand: &str) -> Command {
        command(&self.folder, &self.cluster, subcommand)
    }

    pub fn config_path(&self) -> PathBuf {
        self.folder.path().join("upwrite.toml")
    }

    /// Waits until every table holds what upstream had.
    pub async fn backfilled(&self) {
        let sql = "select true from upwrite.tables having bool_and(backfilled_at is not null)";
        self.wait::<bool>("the first backfill", sql).await;
    }

    /// URL through Upwrite.
    pub fn url(&self) -> String {
        format!("postgresql://{USER}:{PASSWORD}@127.0.0.1:{}/{}", self.proxy_port, self.database)
    }

    /// The same user, straight to Postgres.
    pub fn around_url(&self) -> String {
        self.cluster.url(&self.database, USER, PASSWORD)
    }

    /// A connection through Upwrite.
    pub async fn client(&self) -> tokio_postgres::Client {
        self.try_client().await.expect("connecting through the proxy")
    }

    pub async fn try_client(&self) -> Result<tokio_postgres::Client, tokio_postgres::Error> {
        let (client, connection) = tokio_postgres::connect(&self.url(), tokio_postgres::NoTls).await?;
        tokio::spawn(connection);
        Ok(client)
    }

    /// `kill -9` of Upwrite, and a new start.
    pub async fn kill_and_restart(&mut self) {
        self.upwrite.kill9();
        self.upwrite.wait_exit(LIMIT).await;
        self.restart().await;
    }

    /// Starts Upwrite again, after it has ended.
    pub async fn restart(&mut self) {
        self.upwrite = Process::spawn(self.command("run"));
        self.upwrite.wait_for_line("ready", LIMIT).await;
    }

    /// First column of the first row, as the superuser.
    pub async fn value<T>(&self, sql: &str) -> Option<T>
    where
        T: for<'r> sqlx::Decode<'r, sqlx::Postgres> + sqlx::Type<sqlx::Postgres>,
    {
        let row = sqlx::query(AssertSqlSafe(sql.to_owned())).fetch_optional(&self.admin).await.unwrap()?;
        row.try_get::<Option<T>, _>(0).unwrap()
    }

    /// Waits until the query has a row whose first column is not null.
    pub async fn wait<T>(&self, what: &str, sql: &str) -> T
    where
        T: for<'r> sqlx::Decode<'r, sqlx::Postgres> + sqlx::Type<sqlx::Postgres>,
    {
        until(LIMIT, what, || self.value(sql)).await
    }

    /// Waits until every mutation is finished, its claims gone and every row written.
    pub async fn settled(&self) {
        self.wait::<bool>(
            "all mutations released",
            "select true where not exists (select from upwrite.mutations where not released)
                and not exists (select from upwrite.parked) and not exists (select from upwrite.claims)
                and not exists (select from upwrite.log l where l.event = 'MutationRequested'
                                  and not exists (select from upwrite.mutations m where m.id = l.mutation))",
        )
        .await;
    }

    /// Ends the world as an operator would, and checks that nothing was left behind.
    pub async fn finish(self) {
        self.settled().await;
        self.upwrite.sigterm();
        let status = self.upwrite.wait_exit(LIMIT).await;
        assert!(status.success(), "upwrite run ended with {status}");
        let dead: Option<String> = self.value("select reason from upwrite.dead_letters limit 1").await;
        assert_eq!(dead, None, "dead letters");
        let captured: Option<i64> = self.value("select count(*) from upwrite.captured").await;
        assert_eq!(captured, Some(0), "captured rows were committed");
        self.sandbox_process.sigterm();
        self.admin.close().await;
        self.cluster.stop().await;
    }
}

async fn start_sandbox(options: &Options) -> (Process, AdminClient) {
    let address = format!("127.0.0.1:{}", free_port());
    let mut command = Command::new(binary("upwrite-sandbox"));
    command.args(["--listen", &address, "--accounts", &options.accounts.to_string()]);
    command.args(["--contacts", &options.contacts.to_string(), "--opportunities", &options.opportunities.to_string()]);
    let process = Process::spawn(command);
    process.wait_for_line("listening on", LIMIT).await;
    (process, AdminClient::new(format!("http://{address}")).unwrap())
}

fn command(folder: &tempfile::TempDir, cluster: &Cluster, subcommand: &str) -> Command {
    let mut command = Command::new(binary("upwrite"));
    command.arg(subcommand).arg("--config").arg(folder.path().join("upwrite.toml"));
    command.env("SERVICE", "service").env("RECONCILER", "reconciler").env("CLIENT", "sandbox-secret");
    command.env("SETUP", cluster.superuser_password());
    command
}

fn config(options: &Options, cluster: &Cluster, database: &str, proxy_port: u16, login_url: &str) -> String {
    let mut text = format!(
        "[postgres]\nport = {}\ndatabase = \"{database}\"\nservice_password = {{ env = \"SERVICE\" }}\n\
         reconciler_password = {{ env = \"RECONCILER\" }}\nsetup_password = {{ env = \"SETUP\" }}\n\
         [proxy]\nlisten = \"127.0.0.1:{proxy_port}\"\nmax_connections = {}\n\
         [applier]\nmax_age = \"{}ms\"\nlease = \"{}ms\"\n[logging]\nlevel = \"{}\"\n[shutdown]\ngrace = \"{}ms\"\n\
         [sources.salesforce]\nkind = \"salesforce\"\nlogin_url = \"{login_url}\"\nrequest_timeout = \"{}ms\"\n\
         late_effect = \"{}ms\"\n[sources.salesforce.auth]\nflow = \"client_credentials\"\n\
         client_id = \"sandbox-client\"\nclient_secret = {{ env = \"CLIENT\" }}\n",
        cluster.port(),
        options.max_connections,
        options.max_age.as_millis(),
        options.lease.as_millis(),
        options.level,
        options.grace.as_millis(),
        options.request_timeout.as_millis(),
        options.late_effect.as_millis(),
    );
    for object in ["Account", "Contact", "Opportunity"] {
        text.push_str(&format!("[[sources.salesforce.objects]]\nobject = \"{object}\"\n"));
        if options.keyed {
            text.push_str("idempotency_field = \"UpwriteKey__c\"\n");
        }
    }
    text.push_str(
        "[[grants]]\nrole = \"app\"\n\
         tables = [\"salesforce.account\", \"salesforce.contact\", \"salesforce.opportunity\"]\n\
         privileges = [\"select\", \"insert\", \"update\", \"delete\", \"references\"]\n",
    );
    text
}
