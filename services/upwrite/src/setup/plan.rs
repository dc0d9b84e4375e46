//! What setup is asked to do, what it did, and what may stop it.

use std::fmt;

use upwrite_events::{TableName, TableSpec};

use super::binding::LogBinding;

/// How the database shall be.
#[derive(Clone)]
pub struct SetupPlan {
    /// Of role `upwrite_service`.
    pub service_password: String,
    /// Of role `upwrite_reconciler`.
    pub reconciler_password: String,
    /// Log partitions of each stream, 1 to 1024. Fixed by the first setup.
    pub partitions: u16,
    pub log: LogBinding,
    /// As discovered upstream.
    pub tables: Vec<TableSpec>,
    pub grants: Vec<Grant>,
}

impl fmt::Debug for SetupPlan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SetupPlan")
            .field("partitions", &self.partitions)
            .field("tables", &self.tables.iter().map(|table| table.name.to_string()).collect::<Vec<_>>())
            .field("grants", &self.grants)
            .finish_non_exhaustive()
    }
}

/// What an application's role may do with a synced table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Grant {
    /// An existing role.
    pub role: String,
    pub table: TableName,
    /// `select`, `insert`, `update`, `delete`, `references`.
    pub privileges: Vec<String>,
}

/// What setup did, as sentences for people, without a full stop.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SetupReport {
    /// What was created or altered.
    pub done: Vec<String>,
    /// What was as it should be.
    pub unchanged: Vec<String>,
}

impl SetupReport {
    pub(super) fn note(&mut self, changed: bool, done: String, unchanged: String) {
        if changed {
            self.done.push(done);
        } else {
            self.unchanged.push(unchanged);
        }
    }
}

/// Why setup stopped. Each step is one transaction: the step that failed left nothing, the ones before it stay, and
/// setup may simply be run again.
#[derive(Debug, thiserror::Error)]
pub enum SetupError {
    #[error("setup needs a superuser: {0} is none")]
    NotSuperuser(String),
    #[error("PostgreSQL {0} is too old: 14 is the first version that will do")]
    ServerTooOld(String),
    #[error("the database's encoding is {0}: Upwrite needs UTF8")]
    Encoding(String),
    #[error(
        "schema upwrite was made by another version of Upwrite: {file} is not what was run here \
         (was {recorded}, is {compiled}); run the version that made it"
    )]
    MigrationChanged { file: String, recorded: String, compiled: String },
    #[error("schema upwrite was made by a newer version of Upwrite: it has {0}, which this version does not know")]
    MigrationUnknown(String),
    #[error(
        "schema upwrite was made by a build from before the first release, which this one cannot bring up to date \
         (it has migration {0}): make a new database and run `upwrite setup` there"
    )]
    SchemaTooOld(String),
    #[error("the log of this database has {present} partitions, not {wanted}: that cannot be changed")]
    Partitions { present: i16, wanted: u16 },
    #[error("the log of this database is on {present}, not {wanted}: that cannot be changed")]
    OtherLog { present: String, wanted: String },
    #[error("{0} partitions: between 1 and 1024 are possible")]
    PartitionRange(u16),
    #[error(
        "this database was set up in another cluster (system identifier {recorded}, here {present}): it was copied; \
         the log and claims in it do not belong to this one"
    )]
    OtherCluster { recorded: String, present: String },
    #[error("table {table}: {}", describe(source))]
    Table { table: TableName, source: sqlx::Error },
    #[error("grant on {table} to {role}: {}", describe(source))]
    Grant { table: TableName, role: String, source: sqlx::Error },
    #[error("setup, {step}: {}", describe(source))]
    Database { step: &'static str, source: sqlx::Error },
    #[error("table {table} cannot be written as JSON: {source}")]
    Json { table: TableName, source: serde_json::Error },
}

/// With PostgreSQL's hint, which sqlx leaves out.
fn describe(error: &sqlx::Error) -> String {
    let hint = error
        .as_database_error()
        .and_then(|error| error.try_downcast_ref::<sqlx::postgres::PgDatabaseError>())
        .and_then(|error| error.hint());
    match hint {
        Some(hint) => format!("{error}. {hint}"),
        None => error.to_string(),
    }
}

/// Names the step in an error of the database.
pub(super) fn at(step: &'static str) -> impl FnOnce(sqlx::Error) -> SetupError {
    move |source| SetupError::Database { step, source }
}
