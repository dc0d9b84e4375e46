//! A database with Upwrite's schema, a proxy in front of it, and users.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use sqlx::postgres::{PgConnectOptions, PgPoolOptions};
use sqlx::{Connection as _, Executor as _, PgConnection, PgPool};
use tokio::task::JoinHandle;
use tokio_postgres::NoTls;
use tokio_util::sync::CancellationToken;
use upwrite_event_log::{EventLog, LogError, LogRecord, Submission, Submitted, Subscription};
use upwrite_events::{Event, Partition, Position};
use upwrite_proxy::{Activity, Config, Proxy, ServerConfig};
use upwrite_testkit::postgres::Cluster;
use upwrite_testkit::schema;

pub(crate) const USER: &str = "ann";
pub(crate) const PASSWORD: &str = "s3cret \u{2168}";
/// The same to SASLprep: a Roman numeral is its letters.
pub(crate) const PREPARED_PASSWORD: &str = "s3cret IX";

/// One proxy and its database. Stops when dropped.
pub(crate) struct Site {
    pub(crate) cluster: &'static Cluster,
    pub(crate) database: String,
    pub(crate) address: std::net::SocketAddr,
    pub(crate) activity: Activity,
    pub(crate) shutdown: CancellationToken,
    pub(crate) serving: JoinHandle<()>,
}

impl Site {
    pub(crate) async fn new() -> Self {
        Self::with(|_| {}).await
    }

    pub(crate) async fn with(change: impl FnOnce(&mut Config)) -> Self {
        Self::on(Cluster::shared().await, change).await
    }

    pub(crate) async fn on(cluster: &'static Cluster, change: impl FnOnce(&mut Config)) -> Self {
        let database = cluster.create_database().await;
        prepare(cluster, &database).await;
        Self::serve(cluster, database, Arc::new(NoLog), change).await
    }

    pub(crate) async fn serve(
        cluster: &'static Cluster,
        database: String,
        log: Arc<dyn EventLog>,
        change: impl FnOnce(&mut Config),
    ) -> Self {
        let mut config = Config {
            listen: ([127, 0, 0, 1], 0).into(),
            server: ServerConfig { port: cluster.port(), ..ServerConfig::default() },
            grace: Duration::from_secs(5),
            ..Config::default()
        };
        change(&mut config);
        let proxy = Proxy::bind(config, control(cluster, &database), log).await.unwrap();
        let (address, activity) = (proxy.address(), proxy.activity());
        let shutdown = CancellationToken::new();
        let serving = tokio::spawn(proxy.serve(shutdown.clone()));
        let site = Self { cluster, database, address, activity, shutdown, serving };
        let ready = || async { (!is_away(site.try_client().await.err())).then_some(()) };
        upwrite_testkit::until(Duration::from_secs(10), "the proxy to be ready", ready).await;
        site
    }

    pub(crate) fn config(&self) -> tokio_postgres::Config {
        self.config_at(self.address.port())
    }

    fn config_at(&self, port: u16) -> tokio_postgres::Config {
        let mut config = tokio_postgres::Config::new();
        config.host(self.address.ip().to_string()).port(port).user(USER).password(PASSWORD).dbname(&self.database);
        config
    }

    pub(crate) async fn try_client(&self) -> Result<tokio_postgres::Client, tokio_postgres::Error> {
        let (client, connection) = self.config().connect(NoTls).await?;
        tokio::spawn(connection);
        Ok(client)
    }

    /// As the superuser, around the proxy.
    pub(crate) async fn admin(&self, sql: &str) {
        let mut admin = PgConnection::connect(&self.cluster.superuser_url(&self.database)).await.unwrap();
        admin.execute(sqlx::raw_sql(sqlx::AssertSqlSafe(sql))).await.unwrap();
        admin.close().await.unwrap();
    }

    /// Waits until a statement with this text runs.
    pub(crate) async fn wait_for_activity(&self, text: &str) {
        let options: PgConnectOptions = self.cluster.superuser_url(&self.database).parse().unwrap();
        let pool = PgPoolOptions::new().max_connections(1).connect_lazy_with(options);
        let running = || async {
            let sql = "SELECT true FROM pg_stat_activity WHERE state = 'active' AND query LIKE '%' || $1 || '%' \
                       AND pid <> pg_backend_pid() AND wait_event = 'PgSleep' AND datname = current_database()";
            sqlx::query_scalar::<_, bool>(sql).bind(text).fetch_optional(&pool).await.unwrap()
        };
        upwrite_testkit::until(Duration::from_secs(10), text, running).await;
    }

    /// Waits until one statement waits for a record that another mutation has claimed.
    pub(crate) async fn wait_for_claim_wait(&self) {
        let waiting = || async { (self.activity.waiting() == 1).then_some(()) };
        upwrite_testkit::until(Duration::from_secs(10), "a statement to wait for a claim", waiting).await;
    }

    /// A session around the proxy that PostgreSQL ends once it has been idle for 200 ms: the end itself, when it comes.
    pub(crate) async fn idle_until_ended(&self, begin: &str) {
        let (client, connection) = self.config_at(self.cluster.port()).connect(NoTls).await.unwrap();
        let ended = tokio::spawn(connection);
        client.batch_execute(begin).await.unwrap();
        let end = tokio::time::timeout(Duration::from_secs(10), ended).await.expect("an idle session ends").unwrap();
        assert!(end.is_err(), "by an error");
    }

    pub(crate) async fn client(&self) -> tokio_postgres::Client {
        self.try_client().await.unwrap()
    }
}

impl Drop for Site {
    fn drop(&mut self) {
        self.shutdown.cancel();
        self.serving.abort();
    }
}

/// Schema "upwrite", one synced table (`sf.contact`), and the user, who may write it and make tables of their own.
pub(crate) async fn prepare(cluster: &Cluster, database: &str) {
    let url = cluster.superuser_url(database);
    let spec = serde_json::to_string(&crate::stage::contact()).unwrap();
    schema::install(&url, &[spec], 2).await;
    let mut admin = PgConnection::connect(&url).await.unwrap();
    let user = format!(
        "DO $$ BEGIN CREATE ROLE {USER} LOGIN PASSWORD '{PASSWORD}'; EXCEPTION WHEN duplicate_object OR unique_violation THEN END $$;
         GRANT ALL ON SCHEMA public TO {USER};
         SELECT upwrite.grant_table('sf.contact', '{USER}', '{{select,insert,update,delete,references}}')"
    );
    admin.execute(sqlx::raw_sql(sqlx::AssertSqlSafe(user))).await.unwrap();
    admin.close().await.unwrap();
}

/// The proxy cannot reach Postgres, or could not so far.
pub(crate) fn is_away(error: Option<tokio_postgres::Error>) -> bool {
    error.is_some_and(|error| error.code() == Some(&tokio_postgres::error::SqlState::CANNOT_CONNECT_NOW))
}

pub(crate) fn control(cluster: &Cluster, database: &str) -> PgPool {
    let options: PgConnectOptions = cluster.url(database, "upwrite_service", schema::SERVICE_PASSWORD).parse().unwrap();
    PgPoolOptions::new().max_connections(4).acquire_timeout(Duration::from_secs(5)).connect_lazy_with(options)
}

/// For tests that write nothing.
struct NoLog;

#[async_trait]
impl EventLog for NoLog {
    fn partitions(&self) -> u16 {
        1
    }

    async fn append(&self, _: Partition, _: Vec<Event>) -> Result<Vec<Position>, LogError> {
        Err(LogError::NotAppended("no log".to_owned()))
    }

    async fn submit(&self, _: Submission) -> Result<Submitted, LogError> {
        Err(LogError::NotAppended("no log".to_owned()))
    }

    fn subscribe(&self, _: Partition, _: Position) -> Subscription {
        Box::pin(futures::stream::pending())
    }

    async fn read(&self, _: Partition, _: Position, _: usize) -> Result<Vec<LogRecord>, LogError> {
        Ok(Vec::new())
    }

    async fn start(&self, _: Partition) -> Result<Position, LogError> {
        Ok(Position::START)
    }

    async fn end(&self, _: Partition) -> Result<Position, LogError> {
        Ok(Position::START)
    }
}
