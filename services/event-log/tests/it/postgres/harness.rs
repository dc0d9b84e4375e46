//! A database with schema `upwrite` and one synced table, on the shared cluster or on one that may be killed.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use sqlx::postgres::{PgConnectOptions, PgPoolOptions};
use sqlx::{Connection as _, PgConnection, PgPool, Postgres, Transaction};
use tokio_util::sync::CancellationToken;
use upwrite_event_log::{Config, EventLog, PostgresLog};
use upwrite_events::{MutationId, Partition, TableName};
use upwrite_testkit::postgres::{Cluster, Options};
use upwrite_testkit::{schema, until};

use crate::harness::{Finishing, Harness, LIMIT};

/// A synced table without its triggers, so that the tests can write it.
const TABLE: &str = r#"
    insert into upwrite.deployment (deployment, system_identifier, log_engine, partitions)
    values (gen_random_uuid(), 'test', 'postgres', 4);
    create schema crm authorization upwrite_owner;
    create table crm.contact (id text primary key, _version bigint not null);
    alter table crm.contact owner to upwrite_owner;
    alter table crm.contact enable row level security;
    insert into upwrite.tables (relation, source, table_name, spec)
    values ('crm.contact'::regclass, 'crm', 'contact', '{"key": "id"}');"#;

pub(crate) enum Where {
    Shared(&'static Cluster),
    Own(Cluster),
}

pub(crate) struct PostgresHarness {
    place: Where,
    database: String,
    admin: PgPool,
    shutdown: CancellationToken,
}

impl Drop for PostgresHarness {
    fn drop(&mut self) {
        self.shutdown.cancel();
    }
}

impl PostgresHarness {
    pub(crate) async fn shared() -> Self {
        Self::on(Where::Shared(Cluster::shared().await)).await
    }

    /// For tests that kill it or need other settings.
    pub(crate) async fn own(options: Options) -> Self {
        Self::on(Where::Own(Cluster::start(options).await)).await
    }

    async fn on(place: Where) -> Self {
        let cluster = match &place {
            Where::Shared(cluster) => cluster,
            Where::Own(cluster) => cluster,
        };
        let database = cluster.create_database().await;
        let url = cluster.superuser_url(&database);
        let mut admin = schema::migrate(&url).await;
        sqlx::raw_sql(TABLE).execute(&mut admin).await.unwrap();
        admin.close().await.unwrap();
        let admin = PgPoolOptions::new().max_connections(4).connect_lazy(&url).unwrap();
        Self { place, database, admin, shutdown: CancellationToken::new() }
    }

    pub(crate) fn cluster(&self) -> &Cluster {
        match &self.place {
            Where::Shared(cluster) => cluster,
            Where::Own(cluster) => cluster,
        }
    }

    /// A pool of the superuser.
    pub(crate) fn admin(&self) -> &PgPool {
        &self.admin
    }

    pub(crate) fn service_pool(&self) -> PgPool {
        let url = self.cluster().url(&self.database, "upwrite_service", "service");
        let options: PgConnectOptions = url.parse().unwrap();
        PgPoolOptions::new().max_connections(4).acquire_timeout(Duration::from_secs(5)).connect_lazy_with(options)
    }

    pub(crate) async fn open(&self, config: Config) -> Arc<PostgresLog> {
        PostgresLog::open(self.service_pool(), config, self.shutdown.child_token()).await.unwrap()
    }

    pub(crate) async fn execute(&self, sql: &'static str) {
        sqlx::raw_sql(sql).execute(&self.admin).await.unwrap();
    }
}

async fn write(connection: &mut PgConnection, mutation: MutationId, key: &str, version: Option<i64>) {
    let row = match version {
        Some(_) => {
            "/* test.write */ insert into crm.contact values ($1, $2) \
             on conflict (id) do update set _version = excluded._version"
        }
        None => "/* test.write */ delete from crm.contact where id = $1 and $2::bigint is null",
    };
    sqlx::query(row).bind(key).bind(version).execute(&mut *connection).await.unwrap();
    let release = "/* test.release */ delete from upwrite.claims where mutation = $1";
    sqlx::query(release).bind(mutation.0).execute(connection).await.unwrap();
}

struct OpenTransaction(Transaction<'static, Postgres>);

#[async_trait]
impl Finishing for OpenTransaction {
    async fn commit(self: Box<Self>) {
        self.0.commit().await.unwrap();
    }
}

#[async_trait]
impl Harness for PostgresHarness {
    async fn process(&self) -> Arc<dyn EventLog> {
        self.open(Config { poll: Duration::from_secs(3600), ..Config::default() }).await
    }

    async fn polling_process(&self) -> Arc<dyn EventLog> {
        self.open(Config { poll: Duration::from_millis(20), ..Config::default() }).await
    }

    fn table(&self) -> TableName {
        TableName::new("crm", "contact")
    }

    async fn version(&self, key: &str) -> Option<i64> {
        let query = "/* test.version */ select _version from crm.contact where id = $1";
        sqlx::query_scalar(query).bind(key).fetch_optional(&self.admin).await.unwrap()
    }

    async fn set_version(&self, key: &str, version: Option<i64>) {
        self.finish(MutationId(uuid::Uuid::nil()), key, version).await;
    }

    async fn finish(&self, mutation: MutationId, key: &str, version: Option<i64>) {
        self.begin_finish(mutation, key, version).await.commit().await;
    }

    async fn begin_finish(&self, mutation: MutationId, key: &str, version: Option<i64>) -> Box<dyn Finishing> {
        let mut transaction = self.admin.begin().await.unwrap();
        write(&mut transaction, mutation, key, version).await;
        Box::new(OpenTransaction(transaction))
    }

    async fn until_blocked(&self) {
        let query = "/* test.blocked */ select count(*) from pg_stat_activity \
            where datname = current_database() and wait_event_type = 'Lock' and application_name = 'upwrite log'";
        until(LIMIT, "an append to wait for a lock", || async {
            let blocked: i64 = sqlx::query_scalar(query).fetch_one(&self.admin).await.unwrap();
            (blocked > 0).then_some(())
        })
        .await;
    }

    async fn claimed(&self) -> i64 {
        sqlx::query_scalar("/* test.claimed */ select count(*) from upwrite.claims")
            .fetch_one(&self.admin)
            .await
            .unwrap()
    }

    async fn append_silently(&self, partition: Partition, value: &[u8]) {
        let append = "/* test.append_silently */ with counter as ( \
                update upwrite.log_partitions set next_position = next_position + 1 \
                 where stream = $1 and partition = $2 returning next_position - 1 as position) \
            insert into upwrite.log (stream, partition, position, event, value) \
            select $1, $2, position, 'Foreign', $3 from counter";
        sqlx::query(append)
            .bind(partition.stream.as_str())
            .bind(i16::try_from(partition.number).unwrap())
            .bind(value)
            .execute(&self.admin)
            .await
            .unwrap();
    }

    async fn kill(&self) {
        assert!(matches!(self.place, Where::Own(_)), "other tests use this cluster");
        self.cluster().kill9().await;
    }

    async fn restart(&self) {
        self.cluster().restart().await;
    }
}
