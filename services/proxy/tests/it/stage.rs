//! A database with one synced table, `sf.contact`, and dry runs of statements in it, without a proxy.

use std::sync::Arc;

use sqlx::postgres::{PgConnectOptions, PgPoolOptions};
use sqlx::{Connection as _, Executor as _, PgConnection, PgPool, Row as _};
use tokio_util::sync::{CancellationToken, DropGuard};
use upwrite_event_log::PostgresLog;
use upwrite_events::{ColumnSpec, TableName, TableSpec};
use upwrite_proxy::internals::{CapturedRow, Catalog, CatalogCache, Conclusion, DryRun, Plan, PlanError, plan};
use upwrite_testkit::postgres::Cluster;
use upwrite_testkit::schema;

pub(crate) struct Stage {
    cluster: &'static Cluster,
    database: String,
    user: (String, String),
    pub(crate) pool: PgPool,
    pub(crate) admin: PgPool,
    pub(crate) log: Arc<PostgresLog>,
    pub(crate) shutdown: CancellationToken,
    _stop: DropGuard,
}

/// One connection of the user's, with its secret.
pub(crate) struct UserSession {
    pub(crate) connection: PgConnection,
    secret: String,
}

/// What a dry run brought back.
pub(crate) struct DryRunOutput {
    pub(crate) images: Vec<CapturedRow>,
    pub(crate) session: String,
}

pub(crate) fn contact() -> TableSpec {
    let columns = vec![
        ColumnSpec::new("id", "text").read_only(),
        ColumnSpec::new("last_name", "text"),
        ColumnSpec::new("email", "text").unique_ignoring_case(),
        ColumnSpec::new("n", "integer"),
    ];
    TableSpec::new(TableName::new("sf", "contact"), "id", columns).with_object("Contact")
}

impl Stage {
    pub(crate) async fn new() -> Self {
        let cluster = Cluster::shared().await;
        let database = cluster.create_database().await;
        let superuser = cluster.superuser_url(&database);
        let spec = serde_json::to_string(&contact()).unwrap();
        schema::install(&superuser, &[spec], 2).await;
        let user = schema::create_user(&superuser, &["sf.contact"]).await;
        let pool = pool(&cluster.url(&database, "upwrite_service", schema::SERVICE_PASSWORD));
        let admin = self::pool(&superuser);
        let shutdown = CancellationToken::new();
        let log =
            PostgresLog::open(pool.clone(), upwrite_event_log::Config::default(), shutdown.clone()).await.unwrap();
        let stop = shutdown.clone().drop_guard();
        Self { cluster, database, user, pool, admin, log, shutdown, _stop: stop }
    }

    pub(crate) async fn catalog(&self) -> Arc<Catalog> {
        CatalogCache::load(self.pool.clone()).await.unwrap().current()
    }

    pub(crate) async fn admin(&self, sql: &str) {
        self.admin.execute(sqlx::raw_sql(sqlx::AssertSqlSafe(sql.to_owned()))).await.unwrap();
    }

    /// Puts a row into the synced table, as the reconciler does.
    pub(crate) async fn row(&self, id: &str, email: &str, n: i32) {
        let url = self.cluster.url(&self.database, "upwrite_reconciler", schema::RECONCILER_PASSWORD);
        let mut connection = PgConnection::connect(&url).await.unwrap();
        sqlx::query("insert into sf.contact (id, last_name, email, n, _version) values ($1, 'Doe', $2, $3, 1)")
            .bind(id)
            .bind(email)
            .bind(n)
            .execute(&mut connection)
            .await
            .unwrap();
        connection.close().await.unwrap();
    }

    pub(crate) async fn session(&self) -> UserSession {
        let url = self.cluster.url(&self.database, &self.user.0, &self.user.1);
        let mut connection = PgConnection::connect(&url).await.unwrap();
        let pid: i32 = sqlx::query_scalar("select pg_backend_pid()").fetch_one(&mut connection).await.unwrap();
        let secret = uuid::Uuid::new_v4().to_string();
        sqlx::query("select upwrite.register($1, sha256(convert_to($2, 'UTF8')))")
            .bind(pid)
            .bind(&secret)
            .execute(&self.pool)
            .await
            .unwrap();
        UserSession { connection, secret }
    }

    /// The plan of a statement in autocommit.
    pub(crate) async fn plan(&self, sql: &str) -> Plan {
        match self.session().await.dry_run(sql).await.plan(&*self.catalog().await) {
            Ok(Conclusion::Mutation(plan)) => *plan,
            other => panic!("{sql}: {other:?}"),
        }
    }
}

impl UserSession {
    pub(crate) async fn dry_run(&mut self, sql: &str) -> DryRunOutput {
        self.execute("begin").await;
        self.execute(sql).await;
        self.execute("select upwrite.flush()").await;
        let rows = sqlx::query("select seq, relation::int8, op::text, old, new, session from upwrite.dry_run($1)")
            .bind(&self.secret)
            .fetch_all(&mut self.connection)
            .await
            .unwrap();
        let image = |row: &sqlx::postgres::PgRow| CapturedRow {
            seq: row.get(0),
            relation: u32::try_from(row.get::<i64, _>(1)).unwrap(),
            op: row.get::<String, _>(2).as_bytes()[0],
            old: row.get(3),
            new: row.get(4),
        };
        let images = rows[1..].iter().map(image).collect();
        let session = rows[0].get(5);
        self.execute("rollback").await;
        DryRunOutput { images, session }
    }

    pub(crate) async fn execute(&mut self, sql: &str) {
        self.connection.execute(sqlx::raw_sql(sqlx::AssertSqlSafe(sql.to_owned()))).await.unwrap();
    }
}

impl DryRunOutput {
    pub(crate) fn plan(&self, catalog: &Catalog) -> Result<Conclusion, PlanError> {
        plan(&DryRun { images: &self.images, session: &self.session, mark: None }, catalog)
    }
}

fn pool(url: &str) -> PgPool {
    let options: PgConnectOptions = url.parse().unwrap();
    PgPoolOptions::new().max_connections(4).connect_lazy_with(options)
}
