//! After a lost answer to a create: is it there?

use std::collections::BTreeMap;

use upwrite_events::{Row, TableSpec};

use super::super::limits::{MAX_URL_BYTES, PROBE_CLOCK_MARGIN};
use super::super::record::{self, ReadRow};
use super::super::value::{encode, same, soql_second};
use super::query::Reading;
use super::soql::{equals, fields, quoted, select};
use crate::{CallRow, LookupResult, UpstreamError};

/// Records that a search for a lost create looks through: one page of SOQL.
const MOST_PROBED: usize = 2000;

impl From<ReadRow> for LookupResult {
    fn from(row: ReadRow) -> Self {
        Self::Present { key: row.key, image: row.image, vendor_version: row.vendor_version }
    }
}

impl Reading<'_> {
    pub(crate) async fn created(&self, rows: &[CallRow], sent_at_us: i64) -> Result<Vec<LookupResult>, UpstreamError> {
        match self.table.idempotency_column.as_ref().and_then(|name| self.table.column(name)) {
            Some(column) => self.by_key(&column.field.clone(), &column.name.clone(), rows).await,
            None => self.by_content(rows, sent_at_us).await,
        }
    }

    /// By the field that carries our key. Records in the recycle bin count: the create did take effect.
    async fn by_key(&self, field: &str, column: &str, rows: &[CallRow]) -> Result<Vec<LookupResult>, UpstreamError> {
        let mut ids: BTreeMap<String, Vec<String>> = BTreeMap::new();
        for chunk in chunks(self.table, field, rows) {
            for record in self.query(Self::query_request(&chunk, true)).await?.records {
                let text = |name: &str| serde_json::from_str::<String>(record.get(name)?.get()).ok();
                if let (Some(id), Some(key)) = (text("Id"), text(field)) {
                    ids.entry(key).or_default().push(id);
                }
            }
        }
        let wanted: Vec<String> = ids.values().flatten().cloned().collect();
        let mut images: BTreeMap<String, ReadRow> = BTreeMap::new();
        for (id, row) in wanted.iter().zip(self.retrieve(&wanted).await?) {
            images.extend(row.map(|row| (id.clone(), row)));
        }
        let find = |row: &CallRow| match ids.get(&row.idempotency_key).map(Vec::as_slice) {
            None | Some([]) => LookupResult::Absent,
            Some([id]) => match images.get(id) {
                Some(row) => LookupResult::from(row.clone()),
                None => deleted(self.table, column, id, &row.idempotency_key),
            },
            Some(_) => LookupResult::Ambiguous,
        };
        Ok(rows.iter().map(find).collect())
    }

    /// By what was sent. Equal rows of the call get a record each only if all of them are there.
    async fn by_content(&self, rows: &[CallRow], sent_at_us: i64) -> Result<Vec<LookupResult>, UpstreamError> {
        let mut groups: BTreeMap<&Row, Vec<usize>> = BTreeMap::new();
        for (index, row) in rows.iter().enumerate() {
            groups.entry(&row.changed).or_default().push(index);
        }
        let mut found = vec![LookupResult::Absent; rows.len()];
        for (content, members) in groups {
            let Some(fitting) = self.fitting(content, sent_at_us, members.len() + 1).await? else {
                members.into_iter().for_each(|index| found[index] = LookupResult::Ambiguous);
                continue;
            };
            match fitting.len() {
                0 => {}
                count if count == members.len() => {
                    for (index, row) in members.into_iter().zip(fitting) {
                        found[index] = LookupResult::from(row);
                    }
                }
                _ => members.into_iter().for_each(|index| found[index] = LookupResult::Ambiguous),
            }
        }
        Ok(found)
    }

    /// Records created since that look like `content`; no more than `most` matter. `None`: there are more records to
    /// look through than one page holds, so that none of them can be ruled out.
    async fn fitting(
        &self,
        content: &Row,
        sent_at_us: i64,
        most: usize,
    ) -> Result<Option<Vec<ReadRow>>, UpstreamError> {
        let margin = i64::try_from(PROBE_CLOCK_MARGIN.as_micros()).unwrap_or(0);
        let since = soql_second(sent_at_us.saturating_sub(margin)).unwrap_or_else(|| "1970-01-01T00:00:00Z".to_owned());
        let wide = Self::query_request(&select(self.table), false).url_bytes() > MAX_URL_BYTES / 2;
        let head = if wide { format!("SELECT Id FROM {}", self.table.object) } else { select(self.table) };
        let mut soql = format!("{head} WHERE CreatedDate >= {since}");
        for (name, value) in content {
            let Some(column) = self.table.column(name) else { continue };
            let Ok(json) = encode(column, value.as_deref()) else { continue };
            let Some(filter) = equals(column, json.get()) else { continue };
            let longer = format!("{soql} AND {filter}");
            if Self::query_request(&longer, false).url_bytes() < MAX_URL_BYTES {
                soql = longer;
            }
        }
        soql.push_str(&format!(" ORDER BY Id LIMIT {MOST_PROBED}"));
        let records = self.query(Self::query_request(&soql, false)).await?.records;
        if records.len() >= MOST_PROBED {
            return Ok(None);
        }
        let candidates: Vec<ReadRow> = if wide {
            let ids: Vec<String> =
                records.iter().filter_map(|record| serde_json::from_str(record.get("Id")?.get()).ok()).collect();
            self.retrieve(&ids).await?.into_iter().flatten().collect()
        } else {
            records.iter().filter_map(|record| record::row(self.table, record)).collect()
        };
        let looks_like = |row: &ReadRow| {
            content.iter().all(|(name, sent)| {
                let seen = row.image.get(name);
                let column = self.table.column(name);
                column.zip(seen).is_none_or(|(column, seen)| same(column, sent.as_deref(), seen.as_deref()))
            })
        };
        Ok(Some(candidates.into_iter().filter(looks_like).take(most).collect()))
    }
}

/// What is known of a record that was created and deleted since.
fn deleted(table: &TableSpec, column: &str, id: &str, key: &str) -> LookupResult {
    let image = Row::from([(table.key.clone(), Some(id.to_owned())), (column.to_owned(), Some(key.to_owned()))]);
    LookupResult::Present { key: id.to_owned(), image, vendor_version: None }
}

/// Queries for all keys, each within the length of a URL.
fn chunks(table: &TableSpec, field: &str, rows: &[CallRow]) -> Vec<String> {
    debug_assert!(fields(table).contains(&field));
    let query =
        |keys: &[String]| format!("SELECT Id,{field} FROM {} WHERE {field} IN ({})", table.object, keys.join(","));
    let mut queries = Vec::new();
    let mut keys: Vec<String> = Vec::new();
    for row in rows {
        keys.push(quoted(&row.idempotency_key));
        if Reading::query_request(&query(&keys), true).url_bytes() > MAX_URL_BYTES {
            let last = keys.pop();
            if !keys.is_empty() {
                queries.push(query(&keys));
            }
            keys = last.into_iter().collect();
        }
    }
    if !keys.is_empty() {
        queries.push(query(&keys));
    }
    queries
}
