//! What a deployment rests on: Postgres, the log's brokers, the stand-ins, a database that is set up.

use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use sqlx::postgres::PgPoolOptions;
use sqlx::{AssertSqlSafe, PgPool, Row as _};
use upwrite_sandbox::AdminClient;
use upwrite_testkit::postgres::{Cluster, Options as ClusterOptions};
use upwrite_testkit::{binary, free_port, until};

use crate::upstream::{self, Upstream};
use crate::{Kafka, Options, Vendor};

/// Nothing that is waited for takes longer, unless it never comes.
pub const LIMIT: Duration = Duration::from_secs(60);

/// Everything but Upwrite's own processes.
pub struct Site {
    pub options: Options,
    pub cluster: Cluster,
    /// With the log on Kafka.
    pub kafka: Option<Kafka>,
    /// Of the first vendor's stand-in.
    pub sandbox: AdminClient,
    /// Superuser, straight to Postgres.
    pub admin: PgPool,
    pub database: String,
    folder: tempfile::TempDir,
    upstreams: Vec<Upstream>,
}

/// The application's role.
const USER: &str = "app";
const PASSWORD: &str = "app-password";

impl Site {
    /// Starts everything, and runs `upwrite setup`.
    pub async fn start(options: Options) -> Self {
        let _already = rustls::crypto::ring::default_provider().install_default();
        let cluster = Cluster::start(ClusterOptions { fsync: options.fsync, ..ClusterOptions::default() }).await;
        let database = cluster.create_database().await;
        let admin = PgPoolOptions::new().max_connections(4).connect(&cluster.superuser_url(&database)).await.unwrap();
        for sql in [
            format!("create role {USER} login password '{PASSWORD}'"),
            format!("grant create, usage on schema public to {USER}"),
        ] {
            sqlx::query(AssertSqlSafe(sql)).execute(&admin).await.unwrap();
        }
        let kafka = Kafka::start(options.log).await;
        let mut upstreams = Vec::new();
        for vendor in &options.vendors {
            upstreams.push(Upstream::start(*vendor, &options).await);
        }
        let sandbox = upstreams.first().expect("a site has at least one vendor").admin.clone();
        let folder = tempfile::tempdir().unwrap();
        let site = Self { options, cluster, kafka, sandbox, admin, database, folder, upstreams };
        site.configure("setup", free_port());
        let setup = site.command("setup", "setup").output().unwrap();
        assert!(setup.status.success(), "upwrite setup: {}", String::from_utf8_lossy(&setup.stderr));
        site
    }

    /// Writes a configuration file for a process of that name, whose proxy listens on that port.
    pub fn configure(&self, name: &str, proxy_port: u16) -> PathBuf {
        let path = self.config_path(name);
        std::fs::write(&path, self.config(proxy_port)).unwrap();
        path
    }

    pub fn config_path(&self, name: &str) -> PathBuf {
        self.folder.path().join(format!("{name}.toml"))
    }

    /// A command line of the executable, with the configuration of that name and the secrets.
    pub fn command(&self, subcommand: &str, name: &str) -> Command {
        let mut command = Command::new(binary(self.program()));
        command.arg(subcommand).arg("--config").arg(self.config_path(name));
        command.env("SERVICE", "service").env("RECONCILER", "reconciler");
        upstream::secrets(&mut command);
        command.env("SETUP", self.cluster.superuser_password());
        command
    }

    /// The shipped executable, or the one that knows the invented vendor too.
    fn program(&self) -> &'static str {
        if self.options.vendors.contains(&Vendor::Ledger) { "upwrite-two-vendors" } else { "upwrite" }
    }

    /// The admin calls of a vendor's stand-in.
    pub fn stand_in(&self, vendor: Vendor) -> &AdminClient {
        let upstream = self.upstreams.iter().find(|upstream| upstream.vendor == vendor);
        &upstream.expect("a vendor of this site").admin
    }

    /// Waits until every table holds what upstream had.
    pub async fn backfilled(&self) {
        let sql = "select true from upwrite.tables having bool_and(backfilled_at is not null)";
        self.wait::<bool>("the first backfill", sql).await;
    }

    /// The application's user, through a proxy on that port.
    pub fn url(&self, proxy_port: u16) -> String {
        format!("postgresql://{USER}:{PASSWORD}@127.0.0.1:{proxy_port}/{}", self.database)
    }

    /// The same user, straight to Postgres.
    pub fn around_url(&self) -> String {
        self.cluster.url(&self.database, USER, PASSWORD)
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
            "select true where not exists (select from upwrite.mutations where not released and state <> 'voided')
                and not exists (select from upwrite.parked) and not exists (select from upwrite.claims)
                and not exists (select from upwrite.log l where l.event = 'MutationRequested'
                                  and not exists (select from upwrite.mutations m where m.id = l.mutation))",
        )
        .await;
    }

    /// Waits until every change of a synced table is in its topic.
    pub async fn published(&self) {
        let sql = "select true where not exists (select from upwrite.outbox)";
        self.wait::<bool>("the outbox to be empty", sql).await;
    }

    /// Ends the site, after Upwrite's processes, and checks that nothing was left behind.
    pub async fn finish(self) {
        let dead: Option<String> = self.value("select reason from upwrite.dead_letters limit 1").await;
        assert_eq!(dead, None, "dead letters");
        let captured: Option<i64> = self.value("select count(*) from upwrite.captured").await;
        assert_eq!(captured, Some(0), "captured rows were committed");
        for upstream in self.upstreams {
            upstream.stop().await;
        }
        self.admin.close().await;
        self.cluster.stop().await;
    }

    fn config(&self, proxy_port: u16) -> String {
        let (options, database) = (&self.options, &self.database);
        let mut text = format!(
            "[postgres]\nport = {}\ndatabase = \"{database}\"\nservice_password = {{ env = \"SERVICE\" }}\n\
             reconciler_password = {{ env = \"RECONCILER\" }}\nsetup_password = {{ env = \"SETUP\" }}\n\
             [proxy]\nlisten = \"127.0.0.1:{proxy_port}\"\nmax_connections = {}\n\
             [applier]\nmax_age = \"{}ms\"\nlease = \"{}ms\"\n[reconciler]\nvoid_after = \"5s\"\n[logging]\nlevel = \"{}\"\n[shutdown]\ngrace = \"{}ms\"\n",
            self.cluster.port(),
            options.max_connections,
            options.max_age.as_millis(),
            options.lease.as_millis(),
            options.level,
            options.grace.as_millis(),
        );
        text.push_str(&self.log_config());
        for upstream in &self.upstreams {
            text.push_str(&upstream.config(options));
        }
        text.push_str(&options.more);
        text
    }

    fn log_config(&self) -> String {
        let partitions = self.options.partitions;
        let session = self.options.session_timeout.as_millis();
        let common = format!("partitions = {partitions}\nsession_timeout = \"{session}ms\"\n");
        match &self.kafka {
            None => format!("[log]\n{common}"),
            Some(kafka) => format!("[log]\nengine = \"kafka\"\n{common}{}", kafka.config()),
        }
    }
}
