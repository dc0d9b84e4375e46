//! A sandbox and a connector to it.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use upwrite_connectors::salesforce::{Auth, Config, ObjectConfig, Salesforce};
use upwrite_connectors::{
    Budget, Call, CallReport, CallRow, Connector, Priority, RowResult, Secret, UpstreamError, install_crypto_provider,
    with_priority,
};
use upwrite_events::{Op, Row, TableSpec};
use upwrite_sandbox::salesforce::{self as stand_in, OrgOptions};
use upwrite_sandbox::{Fault, FaultMatch, FaultRule, Options, RequestEntry, Running, Sandbox};

pub(crate) struct World {
    pub(crate) sandbox: Running<stand_in::Salesforce>,
    pub(crate) connector: Salesforce,
    pub(crate) budget: Budget,
    pub(crate) tables: Vec<TableSpec>,
}

pub(crate) fn client_credentials() -> Auth {
    Auth::ClientCredentials { client_id: "sandbox-client".to_owned(), client_secret: Secret::new("sandbox-secret") }
}

/// Contact and Account with idempotency field, Opportunity without.
pub(crate) fn config(base_url: &str) -> Config {
    let keyed = |object: &str| ObjectConfig::new(object).with_idempotency_field("UpwriteKey__c");
    let objects = vec![keyed("Account"), keyed("Contact"), ObjectConfig::new("Opportunity")];
    Config::new(base_url, client_credentials(), objects)
}

pub(crate) fn salesforce(config: Config) -> Salesforce {
    let budget = Budget::new(config.requests_per_second);
    salesforce_with(config, budget)
}

pub(crate) fn salesforce_with(config: Config, budget: Budget) -> Salesforce {
    install_crypto_provider();
    Salesforce::new(config, budget).expect("a valid configuration")
}

impl World {
    pub(crate) async fn start() -> Self {
        Self::with(OrgOptions::default(), |_| {}).await
    }

    /// With requests that are given up after `timeout`.
    pub(crate) async fn impatient(timeout: Duration) -> Self {
        Self::with(OrgOptions::default(), |config| {
            config.request_timeout = timeout;
            config.connect_timeout = timeout / 2;
        })
        .await
    }

    pub(crate) async fn with(options: OrgOptions, adjust: impl FnOnce(&mut Config)) -> Self {
        let sandbox = Sandbox::start(Options::default(), stand_in::Salesforce::new(options)).await.expect("sandbox");
        let mut config = config(&sandbox.base_url);
        adjust(&mut config);
        let budget = Budget::new(config.requests_per_second);
        let connector = salesforce_with(config, budget.clone());
        let tables = connector.discover().await.expect("tables");
        Self { sandbox, connector, budget, tables }
    }

    pub(crate) fn table(&self, name: &str) -> &TableSpec {
        self.tables.iter().find(|table| table.name.table == name).expect("a table")
    }

    pub(crate) async fn call(&self, table: &str, op: Op, rows: &[CallRow], atomic: bool) -> CallReport {
        let call = self.connector.call(Call { table: self.table(table), op, rows, atomic });
        let report = with_priority(Priority::Write, None, call).await;
        assert_eq!(report.rows.len(), rows.len(), "a result per row");
        assert!(report.seen.begun_us <= report.seen.ended_us);
        report
    }

    /// Inserts one contact that must succeed; its id.
    pub(crate) async fn contact(&self, last_name: &str) -> String {
        let report = self.call("contact", Op::Insert, &[insert(&[("last_name", last_name)])], false).await;
        applied(&report.rows[0]).0
    }

    pub(crate) fn fault(&self, op: &str, fault: Fault) {
        add_fault(&self.sandbox, op, fault);
    }

    pub(crate) fn requests(&self, op: &str) -> Vec<RequestEntry> {
        self.sandbox.requests_after(0).into_iter().filter(|request| request.op == op).collect()
    }

    /// Records upstream that carry the row's key.
    pub(crate) fn carrying(&self, object: &str, row: &CallRow) -> usize {
        let records = self.sandbox.records(object, true);
        records.iter().filter(|record| record["UpwriteKey__c"] == row.idempotency_key.as_str()).count()
    }
}

/// A fault on the next request of a kind.
pub(crate) fn add_fault(sandbox: &Sandbox, op: &str, fault: Fault) {
    let matching = FaultMatch { op: Some(op.to_owned()), ..FaultMatch::default() };
    sandbox.add_fault(FaultRule::once(matching, fault)).expect("a fault");
}

pub(crate) fn row_of(values: &[(&str, &str)]) -> Row {
    values.iter().map(|(name, value)| ((*name).to_owned(), Some((*value).to_owned()))).collect()
}

/// A row to insert, with a key of its own.
pub(crate) fn insert(values: &[(&str, &str)]) -> CallRow {
    static NEXT: AtomicU64 = AtomicU64::new(1);
    let number = NEXT.fetch_add(1, Ordering::Relaxed);
    CallRow {
        idempotency_key: format!("0190a0b0-0000-7000-8000-{number:012x}-0"),
        key: format!("pending:{number}"),
        changed: row_of(values),
        old: Row::new(),
    }
}

pub(crate) fn update(id: &str, values: &[(&str, &str)]) -> CallRow {
    CallRow { key: id.to_owned(), ..insert(values) }
}

pub(crate) fn delete(id: &str) -> CallRow {
    update(id, &[])
}

/// Key, image and version of a row that must have been applied.
pub(crate) fn applied(result: &RowResult) -> (String, Option<Row>, Option<String>) {
    match result {
        RowResult::Applied { key, image, vendor_version } => (key.clone(), image.clone(), vendor_version.clone()),
        RowResult::Failed(error) => panic!("not applied: {error:?}"),
    }
}

pub(crate) fn failed(result: &RowResult) -> &UpstreamError {
    match result {
        RowResult::Failed(error) => error,
        RowResult::Applied { key, .. } => panic!("applied: {key}"),
    }
}

pub(crate) fn value<'a>(row: &'a Row, column: &str) -> Option<&'a str> {
    row.get(column).unwrap_or_else(|| panic!("no column {column} in {row:?}")).as_deref()
}
