//! Records by id.

use std::collections::BTreeMap;

use serde::Serialize;

use super::super::client::RestRequest;
use super::super::limits::MAX_ROWS_PER_CALL;
use super::super::record::{self, ReadRow, Record};
use super::query::Reading;
use super::soql::fields;
use crate::UpstreamError;

#[derive(Serialize)]
struct RetrieveBody<'a> {
    ids: &'a [&'a str],
    fields: Vec<&'a str>,
}

impl Reading<'_> {
    /// In the order asked for; `None`: not there, or deleted.
    pub(crate) async fn retrieve(&self, ids: &[String]) -> Result<Vec<Option<ReadRow>>, UpstreamError> {
        // What cannot be an id (a placeholder) is not there; asking for it would spoil the whole call.
        let legal: Vec<&str> = ids.iter().map(String::as_str).filter(|id| is_id(id)).collect();
        let mut found: BTreeMap<String, ReadRow> = BTreeMap::new();
        for chunk in legal.chunks(MAX_ROWS_PER_CALL) {
            let answer = self.send(&self.retrieve_request(chunk)).await?;
            let records: Vec<Option<Record>> =
                serde_json::from_slice(&answer.body).map_err(|_| self.unreadable(&answer))?;
            for row in records.iter().flatten().filter_map(|record| record::row(self.table, record)) {
                found.insert(stem(&row.key).to_owned(), row);
            }
        }
        Ok(ids.iter().map(|id| found.get(stem(id)).cloned()).collect())
    }

    /// The POST form: its URL does not grow with ids and fields.
    fn retrieve_request(&self, ids: &[&str]) -> RestRequest {
        let body = RetrieveBody { ids, fields: fields(self.table) };
        let body = serde_json::to_string(&body).expect("strings and lists of strings are always JSON");
        RestRequest::post(format!("composite/sobjects/{}", self.table.object), body)
    }
}

/// 15 case-sensitive characters, or these and a checksum of three.
pub(crate) fn is_id(text: &str) -> bool {
    matches!(text.len(), 15 | 18) && text.bytes().all(|byte| byte.is_ascii_alphanumeric())
}

/// The 15 characters that identify a record.
fn stem(id: &str) -> &str {
    if id.len() == 18 { id.get(..15).unwrap_or(id) } else { id }
}
