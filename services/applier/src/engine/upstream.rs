//! Tables, and the connectors behind them.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use upwrite_connectors::{Budget, Capabilities, Connector};
use upwrite_events::{TableName, TableSpec};

/// Beyond a request's own timeout, what the connector may need to turn it into an answer.
const ANSWER_SLACK: Duration = Duration::from_secs(1);

/// A synced table, as the applier needs it.
#[derive(Debug)]
pub(crate) struct Table {
    pub(crate) spec: TableSpec,
    pub(crate) capabilities: Capabilities,
}

impl Table {
    /// How long a call may take from start to end: then it is cut off and its answer is lost.
    pub(crate) fn whole_timeout(&self) -> Duration {
        self.capabilities.request_timeout + ANSWER_SLACK
    }
}

/// How one source is reached.
#[derive(Clone)]
pub(crate) struct Upstream {
    pub(crate) connector: Arc<dyn Connector>,
    pub(crate) budget: Budget,
}

/// All tables whose source has a connector.
#[derive(Debug, Default)]
pub(crate) struct Tables(HashMap<TableName, Arc<Table>>);

impl Tables {
    pub(crate) fn new(specs: Vec<TableSpec>, upstreams: &HashMap<String, Upstream>) -> Self {
        let table = |spec: TableSpec| {
            let upstream = upstreams.get(&spec.name.source)?;
            let capabilities = upstream.connector.capabilities(&spec);
            Some((spec.name.clone(), Arc::new(Table { spec, capabilities })))
        };
        Self(specs.into_iter().filter_map(table).collect())
    }

    /// These, and those of a snapshot that may be older or newer.
    pub(crate) fn with(&self, specs: Vec<TableSpec>, upstreams: &HashMap<String, Upstream>) -> Self {
        let mut tables = self.0.clone();
        tables.extend(Self::new(specs, upstreams).0);
        Self(tables)
    }

    pub(crate) fn get(&self, name: &TableName) -> Option<&Arc<Table>> {
        self.0.get(name)
    }

    pub(crate) fn spec(&self, name: &TableName) -> Option<&TableSpec> {
        self.get(name).map(|table| &table.spec)
    }

    /// The longest call that can be.
    pub(crate) fn longest_call(&self) -> Duration {
        self.0.values().map(|table| table.whole_timeout()).max().unwrap_or_default()
    }
}
