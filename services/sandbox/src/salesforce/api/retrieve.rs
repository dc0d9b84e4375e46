//! Collections retrieve: many records of one object by id.

use serde_json::Value;

use super::{Service, body};
use crate::message::{Request, Response};
use crate::salesforce::error::ApiError;
use crate::salesforce::id;

/// The vendor's limit for the POST form (the GET form is bounded by the URL's length).
const MOST_IDS: usize = 2000;

impl Service {
    /// An entry for each id in the order asked for, null where there is no live record.
    pub(super) fn retrieve(&self, request: &Request, object: &str, base: &str) -> Result<Response, ApiError> {
        let object = self.object_in_path(object)?;
        let (ids, fields) = if request.method == "POST" {
            let body = body::object(request)?;
            (strings(body.get("ids")), strings(body.get("fields")).join(","))
        } else {
            let ids = request.param("ids").unwrap_or_default();
            let ids = ids.split(',').filter(|id| !id.is_empty()).map(str::to_owned).collect();
            (ids, request.param("fields").unwrap_or_default().to_owned())
        };
        if ids.len() > MOST_IDS {
            return Err(ApiError::data("EXCEEDED_ID_LIMIT", format!("more than {MOST_IDS} ids")));
        }
        if ids.is_empty() || fields.is_empty() {
            return Err(ApiError::data("MISSING_ARGUMENT", "ids and fields are required"));
        }
        let wanted = self.fields_param(&object, Some(&fields))?;
        let mut rows = Vec::with_capacity(ids.len());
        for text in ids {
            let id = id::canonical(&text).ok_or_else(|| ApiError::malformed_id(&text))?;
            let row = self.org.live(&object, &id).ok();
            rows.push(row.map_or(Value::Null, |row| self.org.show(&object, row, wanted.as_deref(), base)));
        }
        Ok(Response::ok(Value::Array(rows)))
    }
}

fn strings(list: Option<&Value>) -> Vec<String> {
    let list = list.and_then(Value::as_array).into_iter().flatten();
    list.filter_map(|v| v.as_str().map(str::to_owned)).collect()
}
