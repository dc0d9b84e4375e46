//! What the suite must know of a vendor and its stand-in.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use upwrite_events::{ColumnSpec, ErrorClass, Op, Row, TableSpec};

use crate::{
    Budget, Call, CallReport, CallRow, Connector, LookupResult, Priority, RowResult, UpstreamError, with_priority,
};

/// Which request something happens to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Target {
    Create,
    Update,
    /// By key.
    Read,
    Page,
}

/// What happens to the next request of a kind, once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Trouble {
    /// 429 with `Retry-After`, seconds; nothing is applied.
    Limited { retry_after_s: u32 },
    /// It is carried out, and the connection ends without an answer.
    LostAnswer,
}

/// A row that upstream refuses.
#[derive(Debug, Clone)]
pub struct RefusalCase {
    pub op: Op,
    /// Key of the record; none for a new one, or for one that the suite makes first.
    pub key: Option<String>,
    pub changed: Row,
    pub class: ErrorClass,
    pub sqlstate: &'static str,
    /// Name of the column at fault, where upstream says it.
    pub column: Option<&'static str>,
}

/// Whether upstream, asked to store the first value of a column, may show the second.
#[derive(Debug, Clone)]
pub struct SameCase {
    pub column: &'static str,
    pub sent: Option<&'static str>,
    pub seen: Option<&'static str>,
    pub same: bool,
}

/// A connector and the stand-in that it speaks to, both new.
pub trait Subject: Send + Sync {
    /// At the stand-in, with [`Subject::budget`].
    fn connector(&self) -> Arc<dyn Connector>;

    fn budget(&self) -> Budget;

    /// At another host, with requests that are given up after two seconds.
    fn connector_at(&self, base_url: &str) -> Arc<dyn Connector>;

    /// Path of the login and what the host must answer to it, so that requests are made at all; `None`: there is none.
    fn login(&self, base_url: &str) -> Option<(String, String)>;

    /// Name of the table that the suite writes to.
    fn table(&self) -> &str;

    /// Values of a record that upstream takes, other for each number.
    fn new_row(&self, number: u64) -> Row;

    /// New values for such a record, which upstream shows as they are written here.
    fn change(&self) -> Row;

    /// A key that looks like the vendor's and names no record.
    fn unknown_key(&self) -> String;

    fn refusals(&self) -> Vec<RefusalCase>;

    fn same(&self) -> Vec<SameCase>;

    fn trouble(&self, target: Target, trouble: Trouble);

    /// HTTP requests that have arrived, logins included.
    fn requests(&self) -> usize;

    /// Records that creates have made, those of earlier tests' fixtures not counted.
    fn created(&self) -> usize;
}

/// The subject at work.
pub(super) struct Bench<'a> {
    pub(super) subject: &'a dyn Subject,
    pub(super) connector: Arc<dyn Connector>,
    pub(super) table: TableSpec,
}

impl<'a> Bench<'a> {
    pub(super) async fn new(subject: &'a dyn Subject) -> Self {
        let connector = subject.connector();
        let tables = connector.discover().await.unwrap();
        let table = tables.into_iter().find(|table| table.name.table == subject.table()).expect("the table");
        Self { subject, connector, table }
    }

    pub(super) fn column(&self, name: &str) -> &ColumnSpec {
        self.table.column(name).unwrap_or_else(|| panic!("no column {name}"))
    }

    pub(super) fn new_row(&self) -> CallRow {
        let number = next();
        call_row(number, placeholder(&self.table, number), self.subject.new_row(number))
    }

    pub(super) async fn call(&self, op: Op, rows: &[CallRow]) -> CallReport {
        call(&*self.connector, &self.table, op, rows).await
    }

    /// Makes one record; its key.
    pub(super) async fn create(&self) -> String {
        let report = self.call(Op::Insert, &[self.new_row()]).await;
        applied(&report.rows[0]).0.to_owned()
    }

    pub(super) async fn read(&self, keys: &[String]) -> Vec<LookupResult> {
        let (results, seen) = self.connector.read(&self.table, keys).await.unwrap();
        assert!(seen.begun_us <= seen.ended_us);
        assert_eq!(results.len(), keys.len(), "one result for each key");
        results
    }

    pub(super) async fn find_created(&self, rows: &[CallRow], since_us: i64) -> Vec<LookupResult> {
        let (results, _) = self.connector.find_created(&self.table, rows, since_us).await.unwrap();
        assert_eq!(results.len(), rows.len(), "one result for each row");
        results
    }

    /// Asserts that an image shows the values.
    pub(super) fn shows(&self, image: &Row, values: &Row) {
        for (name, value) in values {
            let seen = image.get(name).unwrap_or_else(|| panic!("{name} is not spoken of in {image:?}"));
            let same = self.connector.same(self.column(name), value.as_deref(), seen.as_deref());
            assert!(same, "{name}: {value:?} was sent, {seen:?} is there");
        }
    }
}

/// A write as the applier makes it.
pub(super) async fn call(connector: &dyn Connector, table: &TableSpec, op: Op, rows: &[CallRow]) -> CallReport {
    let call = connector.call(Call { table, op, rows, atomic: false });
    let report = with_priority(Priority::Write, None, call).await;
    assert_eq!(report.rows.len(), rows.len(), "one result for each row");
    assert!(report.seen.begun_us <= report.seen.ended_us);
    report
}

/// A number that no other row of the process has.
pub(super) fn next() -> u64 {
    static NEXT: AtomicU64 = AtomicU64::new(1);
    NEXT.fetch_add(1, Ordering::Relaxed)
}

pub(super) fn call_row(number: u64, key: String, changed: Row) -> CallRow {
    let idempotency_key = format!("0190a0b0-0000-7000-9000-{number:012x}-0");
    CallRow { idempotency_key, key, changed, old: Row::new() }
}

/// The key of a record that upstream has not made yet: text or a negative integer, by the type of the key.
pub(super) fn placeholder(table: &TableSpec, number: u64) -> String {
    let sql_type = table.column(&table.key).map_or("text", |column| column.sql_type.as_str());
    if matches!(sql_type, "integer" | "bigint") { format!("-{number}") } else { format!("pending:{number}") }
}

pub(super) fn applied(result: &RowResult) -> (&str, Option<&Row>) {
    match result {
        RowResult::Applied { key, image, .. } => (key, image.as_ref()),
        RowResult::Failed(error) => panic!("not applied: {error:?}"),
    }
}

pub(super) fn failed(result: &RowResult) -> &UpstreamError {
    match result {
        RowResult::Failed(error) => error,
        RowResult::Applied { key, .. } => panic!("applied: {key}"),
    }
}

pub(super) fn now_us() -> i64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or(Duration::ZERO);
    i64::try_from(now.as_micros()).unwrap_or(i64::MAX)
}
