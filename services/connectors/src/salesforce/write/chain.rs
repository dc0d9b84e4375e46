//! One row: write it and read it back in one Composite call.

use serde::Deserialize;
use serde_json::value::RawValue;
use upwrite_events::{Op, TableSpec};

use super::super::client::{Client, RestRequest};
use super::super::record::{self, ReadRow, Record};
use super::super::refusal::VendorError;
use super::answer::{Written, result};
use crate::CallRow;

/// Longest `fields` parameter; beyond it the read-back asks for all fields.
const MAX_FIELDS_BYTES: usize = 8_000;

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct CompositeBody {
    composite_response: Vec<Part>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Part {
    #[serde(default)]
    body: Option<Box<RawValue>>,
    http_status_code: u16,
    reference_id: String,
}

/// The Composite request of a create or an update.
pub(super) fn request(client: &Client, table: &TableSpec, op: Op, row: &CallRow, members: &str) -> RestRequest {
    let object = &table.object;
    let fields: Vec<&str> = table.columns.iter().map(|column| column.field.as_str()).collect();
    let fields = fields.join(",");
    let query = if fields.len() <= MAX_FIELDS_BYTES { format!("?fields={fields}") } else { String::new() };
    let (method, path, id) = match op {
        Op::Insert => ("POST", format!("sobjects/{object}"), "@{written.id}"),
        _ => ("PATCH", format!("sobjects/{object}/{}", row.key), row.key.as_str()),
    };
    let (write, read) = (client.rooted(&path), client.rooted(&format!("sobjects/{object}/{id}{query}")));
    let body = format!(
        "{{\"allOrNone\":false,\"collateSubrequests\":false,\"compositeRequest\":[\
         {{\"method\":\"{method}\",\"url\":\"{write}\",\"referenceId\":\"written\",\"body\":{{{members}}}}},\
         {{\"method\":\"GET\",\"url\":\"{read}\",\"referenceId\":\"seen\"}}]}}"
    );
    RestRequest::post("composite", body)
}

/// What a successful Composite answer says of the write, and the row if it could be read back.
pub(super) fn read(body: &[u8], table: &TableSpec, op: Op) -> (Written, Option<ReadRow>) {
    let unaccounted = Written::Unaccounted { status: 200 };
    let Ok(answer) = serde_json::from_slice::<CompositeBody>(body) else { return (unaccounted, None) };
    let part = |name: &str| answer.composite_response.iter().find(|part| part.reference_id == name);
    let Some(write) = part("written") else { return (unaccounted, None) };
    let text = write.body.as_ref().map_or("", |body| body.get());
    let written = match (write.http_status_code, op) {
        (200..=299, Op::Insert) => serde_json::from_str(text).map_or(unaccounted, |value| result(&value)),
        (200..=299, _) => Written::Done { id: None },
        (status, _) => Written::Refused { status, errors: VendorError::all_in(text.as_bytes()) },
    };
    let seen = part("seen")
        .filter(|part| part.http_status_code == 200)
        .and_then(|part| serde_json::from_str::<Record>(part.body.as_ref()?.get()).ok())
        .and_then(|record| record::row(table, &record));
    (written, seen)
}
