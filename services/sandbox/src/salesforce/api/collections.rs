//! sObject Collections: up to 200 rows in one call, a result for each.

use std::sync::Arc;

use serde_json::{Map, Value, json};

use super::{Service, body};
use crate::message::{Request, Response};
use crate::salesforce::error::ApiError;
use crate::salesforce::id;
use crate::salesforce::org::{Actor, Txn};
use crate::salesforce::refusal::error;
use crate::salesforce::schema::{Field, Object};

/// The vendor's limits per call.
const MOST_ROWS: usize = 200;
const MOST_CHUNKS: usize = 10;

/// What one row came to: its id and, for upserts, whether it was created.
type RowDone = Result<(String, Option<bool>), ApiError>;

impl Service {
    pub(super) fn collection(&mut self, actor: &Actor, request: &Request) -> Result<Response, ApiError> {
        if request.method == "DELETE" {
            let ids = request.param("ids").unwrap_or_default();
            let ids: Vec<Value> = ids.split(',').filter(|id| !id.is_empty()).map(|id| json!(id.trim())).collect();
            let all = request.param("allOrNone").is_some_and(|v| v.eq_ignore_ascii_case("true"));
            limits(&ids)?;
            return Ok(self.each(actor, &ids, all, |me, txn, id| me.delete_one(txn, id)));
        }
        let (records, all) = records(request)?;
        check_chunks(&records)?;
        if request.method == "POST" {
            return Ok(self.each(actor, &records, all, |me, txn, record| me.create_one(txn, record)));
        }
        Ok(self.each(actor, &records, all, |me, txn, record| me.update_one(txn, record)))
    }

    pub(super) fn collection_upsert(
        &mut self,
        actor: &Actor,
        request: &Request,
        object: &str,
        field: &str,
    ) -> Result<Response, ApiError> {
        let object = self.object_in_path(object)?;
        let missing = || ApiError::data("INVALID_FIELD", format!("{field} is not an external id of {}", object.name));
        let field = object.field(field).filter(|f| f.external_id).cloned().ok_or_else(missing)?;
        let (records, all) = records(request)?;
        Ok(self.each(actor, &records, all, |me, txn, record| me.upsert_one(txn, &object, &field, record)))
    }

    /// Applies `write` row by row. Without `all`, each row stands alone; with it, one refusal takes all back.
    fn each(
        &mut self,
        actor: &Actor,
        rows: &[Value],
        all: bool,
        write: impl Fn(&mut Self, &mut Txn, &Value) -> RowDone,
    ) -> Response {
        let mut whole = Txn::new(actor.clone());
        let mut results: Vec<RowDone> = Vec::with_capacity(rows.len());
        for (number, row) in rows.iter().enumerate() {
            let refusal = actor.refuse.as_ref().filter(|r| r.rows.contains(&number));
            let done = match refusal {
                Some(refusal) => Err(error(&refusal.rejection)),
                None if all => write(self, &mut whole, row),
                None => self.atomic(actor, |me, txn| write(me, txn, row)),
            };
            results.push(done);
        }
        if all && results.iter().any(Result::is_err) {
            self.org.rollback(whole);
            let code = "ALL_OR_NONE_OPERATION_ROLLED_BACK";
            let message = "Record rolled back because not all records were valid and the request was using AllOrNone \
                           header";
            for result in results.iter_mut().filter(|r| r.is_ok()) {
                *result = Err(ApiError::data(code, message));
            }
        } else {
            self.org.commit(whole);
        }
        Response::ok(results.into_iter().map(shown).collect())
    }

    fn create_one(&mut self, txn: &mut Txn, record: &Value) -> RowDone {
        let (object, fields) = self.typed(record)?;
        self.org.create_row(txn, &object, &fields).map(|id| (id, None)).map_err(in_row)
    }

    fn update_one(&mut self, txn: &mut Txn, record: &Value) -> RowDone {
        let (object, mut fields) = self.typed(record)?;
        let name = fields.keys().find(|k| k.eq_ignore_ascii_case("id")).cloned();
        let given = name.and_then(|name| fields.shift_remove(&name));
        let missing = || ApiError::data("MISSING_ARGUMENT", "Id not specified in an update call");
        let text = given.as_ref().and_then(Value::as_str).ok_or_else(missing)?;
        let id = id::canonical(text).ok_or_else(|| ApiError::malformed_id(text))?;
        self.org.update_row(txn, &object, &id, &fields).map_err(in_row)?;
        Ok((id, None))
    }

    fn upsert_one(&mut self, txn: &mut Txn, object: &Arc<Object>, field: &Field, record: &Value) -> RowDone {
        let mut fields = members(record)?;
        let name = fields.keys().find(|k| k.eq_ignore_ascii_case(field.name)).cloned();
        let given = name.and_then(|name| fields.shift_remove(&name));
        let missing = || ApiError::data("MISSING_ARGUMENT", format!("{} not specified", field.name));
        let key = given.as_ref().and_then(Value::as_str).filter(|k| !k.is_empty()).ok_or_else(missing)?;
        let done = self.org.upsert_row(txn, object, (field, key), &fields, false).map_err(in_row)?;
        Ok((done.id, Some(done.created)))
    }

    fn delete_one(&mut self, txn: &mut Txn, id: &Value) -> RowDone {
        let text = id.as_str().unwrap_or_default();
        let id = id::canonical(text).ok_or_else(|| ApiError::malformed_id(text))?;
        let object = self.org.object_of_id(&id).ok_or_else(ApiError::no_such_row)?;
        self.org.delete_row(txn, &object, &id)?;
        Ok((id, None))
    }

    /// A record's object, from `attributes.type`, and its members.
    fn typed(&self, record: &Value) -> Result<(Arc<Object>, Map<String, Value>), ApiError> {
        let fields = members(record)?;
        let name = record["attributes"]["type"].as_str().unwrap_or_default();
        Ok((self.org.object_or_type_error(name)?, fields))
    }
}

fn members(record: &Value) -> Result<Map<String, Value>, ApiError> {
    record.as_object().cloned().ok_or_else(|| ApiError::json("each record must be a JSON object"))
}

/// In a collection, a value of the wrong JSON type spoils its row, not the call.
fn in_row(mut error: ApiError) -> ApiError {
    if error.code == "JSON_PARSER_ERROR" {
        error.code = "INVALID_TYPE_ON_FIELD_IN_RECORD".to_owned();
    }
    error
}

fn records(request: &Request) -> Result<(Vec<Value>, bool), ApiError> {
    let mut body = body::object(request)?;
    let all = body.get("allOrNone").and_then(Value::as_bool).unwrap_or_default();
    let Some(Value::Array(records)) = body.shift_remove("records") else {
        return Err(ApiError::json("the body must have an array \"records\""));
    };
    limits(&records)?;
    Ok((records, all))
}

fn limits(rows: &[Value]) -> Result<(), ApiError> {
    match rows.len() {
        0 => Err(ApiError::data("MISSING_ARGUMENT", "at least one record is required")),
        1..=MOST_ROWS => Ok(()),
        _ => Err(ApiError::data(
            "EXCEEDED_ID_LIMIT",
            format!("record limit reached. cannot submit more than {MOST_ROWS} records into this call"),
        )),
    }
}

/// Runs of one type form chunks.
fn check_chunks(records: &[Value]) -> Result<(), ApiError> {
    let types: Vec<&str> = records.iter().map(|r| r["attributes"]["type"].as_str().unwrap_or_default()).collect();
    let chunks = 1 + types.windows(2).filter(|pair| pair[0] != pair[1]).count();
    if chunks <= MOST_CHUNKS {
        return Ok(());
    }
    let message = format!("Cannot have more than {MOST_CHUNKS} chunks in a single operation.");
    Err(ApiError::data("INVALID_OPERATION", message))
}

fn shown(done: RowDone) -> Value {
    match done {
        Ok((id, None)) => json!({ "id": id, "success": true, "errors": [] }),
        Ok((id, Some(created))) => {
            json!({ "id": id, "success": true, "errors": [], "created": created })
        }
        Err(error) => json!({ "success": false, "errors": [error.row_entry()] }),
    }
}
