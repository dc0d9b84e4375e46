//! What a deployment rests on: Postgres, the log's brokers, the stand-in, a database that is set up.

use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use sqlx::postgres::PgPoolOptions;
use sqlx::{AssertSqlSafe, PgPool, Row as _};
use upwrite_sandbox::AdminClient;
use upwrite_testkit::kafka::{Broker, Brokers, Registry, unique_prefix};
use upwrite_testkit::postgres::{Cluster, Options as ClusterOptions};
use upwrite_testkit::process::Process;
use upwrite_testkit::{binary, free_port, until};

use crate::{Log, Options};

/// Nothing that is waited for takes longer, unless it never comes.
pub const LIMIT: Duration = Duration::from_secs(60);

/// Everything but Upwrite's own processes.
pub struct Site {
    pub options: Options,
    pub cluster: Cluster,
    /// With the log on Kafka.
    pub kafka: Option<Kafka>,
    pub sandbox: AdminClient,
    /// Superuser, straight to Postgres.
    pub admin: PgPool,
    pub database: String,
    folder: tempfile::TempDir,
    sandbox_process: Process,
}

/// Brokers and topics.
pub struct Kafka {
    pub bootstrap: String,
    pub topic_prefix: String,
    pub registry_url: Option<String>,
    copies: usize,
    /// Of this site's own.
    pub brokers: Option<Brokers>,
    _registry: Option<Registry>,
}

impl Kafka {
    async fn start(log: Log) -> Option<Self> {
        let topic_prefix = unique_prefix();
        match log {
            Log::Postgres => None,
            Log::Kafka { registry } => Some(Self {
                bootstrap: Broker::shared().await.bootstrap(),
                topic_prefix,
                registry_url: if registry { Some(Registry::shared().await.url()) } else { None },
                copies: 1,
                brokers: None,
                _registry: None,
            }),
            Log::OwnKafka { brokers: count, registry } => {
                let brokers = Brokers::start(count).await;
                let registry = if registry { Some(Registry::start().await) } else { None };
                Some(Self {
                    bootstrap: brokers.bootstrap(),
                    topic_prefix,
                    registry_url: registry.as_ref().map(|registry| registry.url()),
                    copies: count.min(3),
                    brokers: Some(brokers),
                    _registry: registry,
                })
            }
        }
    }

    /// Sections `[kafka]`.
    fn config(&self) -> String {
        let mut text = format!(
            "[kafka]\nbrokers = \"{}\"\ntopic_prefix = \"{}\"\nreplication = {}\n",
            self.bootstrap, self.topic_prefix, self.copies
        );
        if let Some(url) = &self.registry_url {
            text.push_str(&format!("[kafka.registry]\nurl = \"{url}\"\n"));
        }
        text
    }
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
        let (sandbox_process, sandbox) = start_sandbox(&options).await;
        let folder = tempfile::tempdir().unwrap();
        let site = Self { options, cluster, kafka, sandbox, admin, database, folder, sandbox_process };
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
        let mut command = Command::new(binary("upwrite"));
        command.arg(subcommand).arg("--config").arg(self.config_path(name));
        command.env("SERVICE", "service").env("RECONCILER", "reconciler").env("CLIENT", "sandbox-secret");
        command.env("SETUP", self.cluster.superuser_password());
        command
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
        self.sandbox_process.sigterm();
        self.admin.close().await;
        self.cluster.stop().await;
    }

    fn config(&self, proxy_port: u16) -> String {
        let (options, database, login_url) = (&self.options, &self.database, self.sandbox.base_url());
        let mut text = format!(
            "[postgres]\nport = {}\ndatabase = \"{database}\"\nservice_password = {{ env = \"SERVICE\" }}\n\
             reconciler_password = {{ env = \"RECONCILER\" }}\nsetup_password = {{ env = \"SETUP\" }}\n\
             [proxy]\nlisten = \"127.0.0.1:{proxy_port}\"\nmax_connections = {}\n\
             [applier]\nmax_age = \"{}ms\"\nlease = \"{}ms\"\n[reconciler]\nvoid_after = \"5s\"\n[logging]\nlevel = \"{}\"\n[shutdown]\ngrace = \"{}ms\"\n\
             [sources.salesforce]\nkind = \"salesforce\"\nlogin_url = \"{login_url}\"\nrequest_timeout = \"{}ms\"\n\
             late_effect = \"{}ms\"\n[sources.salesforce.auth]\nflow = \"client_credentials\"\n\
             client_id = \"sandbox-client\"\nclient_secret = {{ env = \"CLIENT\" }}\n",
            self.cluster.port(),
            options.max_connections,
            options.max_age.as_millis(),
            options.lease.as_millis(),
            options.level,
            options.grace.as_millis(),
            options.request_timeout.as_millis(),
            options.late_effect.as_millis(),
        );
        text.push_str(&self.log_config());
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

async fn start_sandbox(options: &Options) -> (Process, AdminClient) {
    let address = format!("127.0.0.1:{}", free_port());
    let mut command = Command::new(binary("upwrite-sandbox"));
    command.args(["--listen", &address, "--accounts", &options.accounts.to_string()]);
    command.args(["--contacts", &options.contacts.to_string(), "--opportunities", &options.opportunities.to_string()]);
    let process = Process::spawn(command);
    process.wait_for_line("listening on", LIMIT).await;
    (process, AdminClient::new(format!("http://{address}")).unwrap())
}
