//! A database of its own for each test, with two synced tables, and sessions in it.

use std::time::Duration;

use serde_json::{Value, json};
use tokio_postgres::{Client, NoTls, SimpleQueryMessage};
use upwrite_testkit::postgres::Cluster;
use upwrite_testkit::schema;

pub(crate) const SECRET: &str = "the secret of this connection";

/// `salesforce.contact`, as discovery gives it.
pub(crate) fn contact() -> Value {
    json!({
        "name": {"source": "salesforce", "table": "contact"}, "object": "Contact", "comment": "Contact",
        "key": "id", "key_assigned_upstream": true, "idempotency_column": "upwrite_key__c",
        "version_column": null,
        "columns": [
            column("id", "text", true), column("last_name", "varchar(80)", false), column("email", "text", true),
            column("n", "bigint", false), column("upwrite_key__c", "text", true),
        ],
    })
}

pub(crate) fn column(name: &str, sql_type: &str, unique: bool) -> Value {
    json!({
        "name": name, "field": name, "sql_type": sql_type, "vendor_type": "x", "comment": format!("Label of {name}"),
        "insertable": true, "updatable": true, "required": false, "unique": unique, "case_sensitive": name != "email",
        "references": null,
    })
}

/// A table `salesforce.<name>` with a text key and the given columns.
pub(crate) fn table(name: &str, columns: &[(&str, &str)]) -> Value {
    let mut all = vec![column("id", "text", true)];
    all.extend(columns.iter().map(|(name, sql_type)| column(name, sql_type, false)));
    json!({
        "name": {"source": "salesforce", "table": name}, "object": name, "comment": null, "key": "id",
        "key_assigned_upstream": true, "idempotency_column": null, "version_column": null, "columns": all,
    })
}

pub(crate) struct Database {
    cluster: &'static Cluster,
    name: String,
    pub(crate) user: String,
    password: String,
}

impl Database {
    /// With `salesforce.contact`, and `more` tables that [`table`] made.
    pub(crate) async fn with(more: &[Value]) -> Self {
        let cluster = Cluster::shared().await;
        let name = cluster.create_database().await;
        let url = cluster.superuser_url(&name);
        let specs: Vec<Value> = std::iter::once(contact()).chain(more.iter().cloned()).collect();
        let texts: Vec<String> = specs.iter().map(Value::to_string).collect();
        schema::install(&url, &texts, 2).await;
        let tables: Vec<String> =
            specs.iter().map(|spec| format!("salesforce.{}", spec["name"]["table"].as_str().unwrap())).collect();
        let names: Vec<&str> = tables.iter().map(String::as_str).collect();
        let (user, password) = schema::create_user(&url, &names).await;
        Self { cluster, name, user, password }
    }

    pub(crate) async fn new() -> Self {
        Self::with(&[]).await
    }

    pub(crate) fn url(&self, user: &str, password: &str) -> String {
        self.cluster.url(&self.name, user, password)
    }

    pub(crate) async fn session_as(&self, user: &str, password: &str) -> Session {
        Session::connect(&self.url(user, password)).await
    }

    /// Host, port and name.
    pub(crate) fn place(&self) -> (&str, u16, &str) {
        (self.cluster.host(), self.cluster.port(), &self.name)
    }

    /// As the application's user; its secret is registered.
    pub(crate) async fn app(&self) -> Session {
        let session = self.session_as(&self.user, &self.password).await;
        self.register(&session).await;
        session
    }

    pub(crate) async fn superuser(&self) -> Session {
        let session = Session::connect(&self.cluster.superuser_url(&self.name)).await;
        self.register(&session).await;
        session
    }

    pub(crate) async fn service(&self) -> Session {
        self.session_as("upwrite_service", schema::SERVICE_PASSWORD).await
    }

    pub(crate) async fn reconciler(&self) -> Session {
        self.session_as("upwrite_reconciler", schema::RECONCILER_PASSWORD).await
    }

    async fn register(&self, session: &Session) {
        let pid: i32 = session.one("SELECT pg_backend_pid()").await.parse().unwrap();
        self.service().await.ok(&format!("SELECT upwrite.register({pid}, sha256('{SECRET}'))")).await;
    }
}

/// An error as PostgreSQL sent it.
#[derive(Debug)]
pub(crate) struct Refusal {
    pub(crate) code: String,
    pub(crate) message: String,
    pub(crate) hint: String,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Change {
    pub(crate) op: char,
    pub(crate) old: Option<String>,
    pub(crate) new: Option<String>,
}

impl Change {
    /// The image's fields; only for values that need no quotes.
    pub(crate) fn fields(image: &Option<String>) -> Vec<String> {
        let image = image.as_deref().expect("an image");
        image.trim_matches(['(', ')']).split(',').map(str::to_owned).collect()
    }
}

pub(crate) struct Session {
    pub(crate) client: Client,
}

impl Session {
    pub(crate) async fn connect(url: &str) -> Self {
        let (client, connection) = tokio_postgres::connect(url, NoTls).await.unwrap_or_else(|e| panic!("{e:?}"));
        tokio::spawn(async move {
            let _ended_with_the_client = connection.await;
        });
        Self { client }
    }

    /// Runs statements in one simple query; they must succeed.
    #[track_caller]
    pub(crate) fn ok(&self, sql: &str) -> impl Future<Output = ()> {
        let caller = std::panic::Location::caller();
        async move {
            let run = tokio::time::timeout(Duration::from_secs(60), self.client.batch_execute(sql));
            run.await.expect("within a minute").unwrap_or_else(|error| panic!("{caller}: {sql}: {error:?}"));
        }
    }

    /// Runs statements that must fail.
    pub(crate) async fn refused(&self, sql: &str) -> Refusal {
        self.attempt(sql).await.err().unwrap_or_else(|| panic!("{sql}: was not refused"))
    }

    pub(crate) async fn attempt(&self, sql: &str) -> Result<(), Refusal> {
        self.client.batch_execute(sql).await.map_err(|error| {
            let error = error.as_db_error().unwrap_or_else(|| panic!("{sql}: {error:?}"));
            Refusal {
                code: error.code().code().to_owned(),
                message: error.message().to_owned(),
                hint: error.hint().unwrap_or_default().to_owned(),
            }
        })
    }

    /// The first column of the first row, as text.
    pub(crate) async fn one(&self, sql: &str) -> String {
        self.maybe(sql).await.unwrap_or_else(|| panic!("{sql}: no value"))
    }

    pub(crate) async fn maybe(&self, sql: &str) -> Option<String> {
        let messages = self.client.simple_query(sql).await.unwrap_or_else(|error| panic!("{sql}: {error:?}"));
        messages.iter().find_map(|message| match message {
            SimpleQueryMessage::Row(row) => row.get(0).map(str::to_owned),
            _ => None,
        })
    }

    pub(crate) async fn changes(&self) -> Vec<Change> {
        let sql = "SELECT op, old, new FROM upwrite.dry_run($1) WHERE session IS NULL";
        let rows = self.client.query(sql, &[&SECRET]).await.unwrap_or_else(|error| panic!("{error:?}"));
        let text = |bytes: Option<Vec<u8>>| bytes.map(|bytes| String::from_utf8(bytes).expect("images are UTF-8"));
        let change = |row: &tokio_postgres::Row| Change {
            op: char::from(row.get::<_, i8>(0).cast_unsigned()),
            old: text(row.get(1)),
            new: text(row.get(2)),
        };
        rows.iter().map(change).collect()
    }

    /// The operations of `changes()`, in order.
    pub(crate) async fn ops(&self) -> String {
        self.changes().await.iter().map(|change| change.op).collect()
    }

    /// What a dry run tells beside the changes, and how many of them there are, as "captured".
    pub(crate) async fn session(&self) -> Value {
        let rows = self.client.query("SELECT session FROM upwrite.dry_run($1)", &[&SECRET]).await.unwrap();
        let (first, changes) = rows.split_first().expect("the session comes first");
        let mut session: Value = serde_json::from_str(first.get(0)).unwrap();
        session["captured"] = changes.len().into();
        session
    }

    pub(crate) async fn mark(&self) -> Value {
        serde_json::from_str(&self.one("SELECT upwrite.mark()").await).unwrap()
    }
}

/// A row that upstream has: written as the reconciler writes.
pub(crate) async fn seed(database: &Database, id: &str, n: i64) {
    let sql = format!("INSERT INTO salesforce.contact (id, last_name, n, _version) VALUES ('{id}', 'Seed', {n}, 1)");
    database.reconciler().await.ok(&sql).await;
}

/// All rows of `salesforce.contact`, as text.
pub(crate) async fn rows(session: &Session) -> String {
    session.one("SELECT coalesce(string_agg(c::text, ' ' ORDER BY id), '') FROM salesforce.contact c").await
}
