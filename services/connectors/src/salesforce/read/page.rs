//! All records of a table, page by page in the order of their ids. The cursor is the last id seen: it survives
//! restarts, which the vendor's own query locators do not.

use upwrite_events::{ObservedRow, TableSpec};

use super::super::client::RestRequest;
use super::super::limits::{MAX_URL_BYTES, PAGE_ROWS, WIDE_PAGE_ROWS};
use super::super::record;
use super::query::Reading;
use super::soql::{quoted, select};
use crate::UpstreamError;

/// Rows and the next cursor.
pub(crate) type PageRows = (Vec<ObservedRow>, Option<String>);

impl Reading<'_> {
    pub(crate) async fn page(&self, cursor: Option<&str>) -> Result<PageRows, UpstreamError> {
        let narrow = request(self.table, &select(self.table), cursor, PAGE_ROWS);
        if narrow.url_bytes() <= MAX_URL_BYTES { self.narrow_page(narrow).await } else { self.wide_page(cursor).await }
    }

    async fn narrow_page(&self, request: RestRequest) -> Result<PageRows, UpstreamError> {
        let answer = self.query(request).await?;
        let rows: Vec<ObservedRow> = answer
            .records
            .iter()
            .filter_map(|record| record::row(self.table, record))
            .map(|row| ObservedRow { key: row.key, image: Some(row.image), vendor_version: row.vendor_version })
            .collect();
        let is_last = answer.done != Some(false) && answer.records.len() < PAGE_ROWS;
        let next = if is_last { None } else { rows.last().map(|row| row.key.clone()) };
        Ok((rows, next))
    }

    /// A table whose columns do not fit into a URL: the ids by SOQL, then the records by id.
    async fn wide_page(&self, cursor: Option<&str>) -> Result<PageRows, UpstreamError> {
        let soql = format!("SELECT Id FROM {}", self.table.object);
        let answer = self.query(request(self.table, &soql, cursor, WIDE_PAGE_ROWS)).await?;
        let ids: Vec<String> =
            answer.records.iter().filter_map(|record| serde_json::from_str(record.get("Id")?.get()).ok()).collect();
        let rows = self
            .retrieve(&ids)
            .await?
            .into_iter()
            .flatten()
            .map(|row| ObservedRow { key: row.key, image: Some(row.image), vendor_version: row.vendor_version })
            .collect();
        let is_last = answer.done != Some(false) && answer.records.len() < WIDE_PAGE_ROWS;
        Ok((rows, if is_last { None } else { ids.last().cloned() }))
    }
}

fn request(table: &TableSpec, select: &str, cursor: Option<&str>, rows: usize) -> RestRequest {
    let key = table.column(&table.key).map_or("Id", |column| column.field.as_str());
    let after = cursor.map(|id| format!(" WHERE {key} > {}", quoted(id))).unwrap_or_default();
    let soql = format!("{select}{after} ORDER BY {key} LIMIT {rows}");
    // Only a hint, and a lower bound of 200.
    Reading::query_request(&soql, false).with_header("Sforce-Query-Options", format!("batchSize={}", rows.max(200)))
}
