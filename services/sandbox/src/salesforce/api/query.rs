//! `query`, `queryAll` and their further pages.

use serde_json::{Value, json};

use super::Service;
use crate::message::{Request, Response};
use crate::salesforce::error::ApiError;
use crate::salesforce::soql::{self, QueryResult};

/// Bounds and default of `Sforce-Query-Options: batchSize`.
const SMALLEST_PAGE: usize = 200;
const LARGEST_PAGE: usize = 2000;

impl Service {
    pub(super) fn query(&mut self, request: &Request, all: bool, base: &str) -> Result<Response, ApiError> {
        let malformed = |text: String| ApiError::data("MALFORMED_QUERY", text);
        let text = request.param("q").ok_or_else(|| malformed("A query string has to be specified".to_owned()))?;
        let query = soql::parse(text).map_err(malformed)?;
        let found = soql::run(&self.org, &query, all)?;
        if found.select.is_none() {
            let count = found.ids.len();
            return Ok(Response::ok(json!({ "totalSize": count, "done": true, "records": [] })));
        }
        let page = page_size(request);
        if found.ids.len() <= page {
            return Ok(Response::ok(self.page(&found, None, (0, page), base)));
        }
        let name = self.cursors.open(found.clone(), page);
        Ok(Response::ok(self.page(&found, Some(&name), (0, page), base)))
    }

    /// `nextRecordsUrl`: cursor name and offset, joined by a dash.
    pub(super) fn more(&mut self, locator: &str, base: &str) -> Result<Response, ApiError> {
        let gone = || ApiError::data("INVALID_QUERY_LOCATOR", "invalid query locator");
        let (name, offset) = locator.rsplit_once('-').ok_or_else(gone)?;
        let offset: usize = offset.parse().map_err(|_| gone())?;
        let (found, page) = self.cursors.get(name).ok_or_else(gone)?;
        if offset > found.ids.len() {
            return Err(gone());
        }
        Ok(Response::ok(self.page(found, Some(name), (offset, page), base)))
    }

    fn page(&self, found: &QueryResult, cursor: Option<&str>, (offset, page): (usize, usize), base: &str) -> Value {
        let select = found.select.as_deref().unwrap_or_default();
        let end = offset.saturating_add(page).min(found.ids.len());
        let records: Vec<Value> = found.ids[offset..end]
            .iter()
            .filter_map(|id| soql::project(&self.org, &found.object, id, select, base))
            .collect();
        let done = end == found.ids.len();
        let mut answer = json!({ "totalSize": found.ids.len(), "done": done });
        if let (false, Some(cursor)) = (done, cursor) {
            answer["nextRecordsUrl"] = json!(format!("{base}/query/{cursor}-{end}"));
        }
        answer["records"] = Value::Array(records);
        answer
    }
}

fn page_size(request: &Request) -> usize {
    let options = request.header("sforce-query-options").unwrap_or_default();
    let wanted = options.split([',', ';']).find_map(|option| {
        let (name, value) = option.split_once('=')?;
        name.trim().eq_ignore_ascii_case("batchSize").then(|| value.trim().parse().ok())?
    });
    wanted.unwrap_or(LARGEST_PAGE).clamp(SMALLEST_PAGE, LARGEST_PAGE)
}
