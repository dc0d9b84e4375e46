//! Salesforce behind the trait.

use std::sync::Arc;

use async_trait::async_trait;
use upwrite_events::{ColumnSpec, LocalInterval, TableSpec};

use super::auth::{Login, Tokens};
use super::client::Client;
use super::config::Config;
use super::discover::discover;
use super::limits::MAX_ROWS_PER_CALL;
use super::read::{ReadTime, Reading};
use super::validate::{ConfigError, ConfigErrors};
use super::value::same;
use super::write::Writing;
use crate::clock::{Clock, system_clock, until_now};
use crate::http::{Transport, TransportOptions};
use crate::{
    Budget, Call, CallReport, CallRow, Capabilities, Connector, Idempotency, LookupResult, Page, UpstreamError,
};

/// One Salesforce organisation. Cheap to share behind an `Arc`; one per source, so that its tokens are asked for
/// once.
pub struct Salesforce {
    config: Config,
    client: Arc<Client>,
    clock: Clock,
}

impl Salesforce {
    /// Checks the configuration (all mistakes at once) and prepares the HTTP client; asks nobody yet. Every request takes
    /// its token of `budget`. Needs [`crate::install_crypto_provider`] to have been called.
    pub fn new(config: Config, budget: Budget) -> Result<Self, ConfigErrors> {
        config.validate()?;
        let options = TransportOptions {
            source: &config.source,
            base_url: &config.login_url,
            connect_timeout: config.connect_timeout,
            usage_header: Some("sforce-limit-info"),
        };
        let transport = Transport::new(&options, budget)
            .map_err(|problem| ConfigErrors(vec![ConfigError { place: "login_url".to_owned(), problem }]))?;
        let tokens = Tokens::new(Login::new(&config));
        let client = Arc::new(Client::new(transport, tokens, &config.api_version));
        Ok(Self { config, client, clock: system_clock() })
    }

    /// With another clock (Unix microseconds) for the intervals of reads and calls.
    #[must_use]
    pub fn with_clock(mut self, clock: Clock) -> Self {
        self.clock = clock;
        self
    }

    fn reading<'a>(&'a self, table: &'a TableSpec) -> Reading<'a> {
        Reading {
            client: &self.client,
            source: &self.config.source,
            table,
            time: ReadTime::Each(self.config.request_timeout),
        }
    }
}

#[async_trait]
impl Connector for Salesforce {
    fn source(&self) -> &str {
        &self.config.source
    }

    fn capabilities(&self, table: &TableSpec) -> Capabilities {
        let insert = if table.idempotency_column.is_some() { Idempotency::UpsertKey } else { Idempotency::Probe };
        Capabilities {
            insert,
            update: Idempotency::Natural,
            delete: Idempotency::Natural,
            max_batch: self.config.max_batch.min(MAX_ROWS_PER_CALL),
            atomic_batches: true,
            request_timeout: self.config.request_timeout,
            late_effect: self.config.late_effect,
            max_concurrency: self.config.max_concurrency,
            keys_per_read: MAX_ROWS_PER_CALL,
        }
    }

    fn same(&self, column: &ColumnSpec, sent: Option<&str>, seen: Option<&str>) -> bool {
        same(column, sent, seen)
    }

    async fn discover(&self) -> Result<Vec<TableSpec>, UpstreamError> {
        discover(&self.client, &self.config).await
    }

    async fn page(&self, table: &TableSpec, cursor: Option<&str>) -> Result<Page, UpstreamError> {
        let begun_us = (self.clock)();
        let (rows, next) = self.reading(table).page(cursor).await?;
        Ok(Page { rows, seen: until_now(&self.clock, begun_us), next })
    }

    async fn read(
        &self,
        table: &TableSpec,
        keys: &[String],
    ) -> Result<(Vec<LookupResult>, LocalInterval), UpstreamError> {
        let begun_us = (self.clock)();
        let rows = self.reading(table).retrieve(keys).await?;
        let found = rows.into_iter().map(|row| row.map_or(LookupResult::Absent, LookupResult::from)).collect();
        Ok((found, until_now(&self.clock, begun_us)))
    }

    async fn call(&self, call: Call<'_>) -> CallReport {
        let writing = Writing {
            client: &self.client,
            source: &self.config.source,
            timeout: self.config.request_timeout,
            clock: &self.clock,
        };
        writing.call(&call).await
    }

    async fn find_created(
        &self,
        table: &TableSpec,
        rows: &[CallRow],
        sent_at_us: i64,
    ) -> Result<(Vec<LookupResult>, LocalInterval), UpstreamError> {
        let begun_us = (self.clock)();
        let found = self.reading(table).created(rows, sent_at_us).await?;
        Ok((found, until_now(&self.clock, begun_us)))
    }
}
