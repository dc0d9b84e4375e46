//! One record at a time: create, read, update, delete, and by external id.

use std::sync::Arc;

use serde_json::{Value, json};

use super::{Service, body, conditional};
use crate::message::{Request, Response};
use crate::salesforce::error::ApiError;
use crate::salesforce::id;
use crate::salesforce::org::{Actor, Txn};
use crate::salesforce::schema::Object;

impl Service {
    /// The object named in a path, or 404.
    pub(super) fn object_in_path(&self, name: &str) -> Result<Arc<Object>, ApiError> {
        self.org.object(name).ok_or_else(ApiError::not_found)
    }

    /// Runs one write as a transaction of its own.
    pub(super) fn atomic<T>(
        &mut self,
        actor: &Actor,
        write: impl FnOnce(&mut Self, &mut Txn) -> Result<T, ApiError>,
    ) -> Result<T, ApiError> {
        let mut txn = Txn::new(actor.clone());
        match write(self, &mut txn) {
            Ok(done) => {
                self.org.commit(txn);
                Ok(done)
            }
            Err(error) => {
                self.org.rollback(txn);
                Err(error)
            }
        }
    }

    pub(super) fn create(
        &mut self,
        actor: &Actor,
        request: &Request,
        object: &str,
        base: &str,
    ) -> Result<Response, ApiError> {
        let object = self.object_in_path(object)?;
        let input = body::object(request)?;
        let id = self.atomic(actor, |me, txn| me.org.create_row(txn, &object, &input))?;
        Ok(created(&object, &id, base))
    }

    pub(super) fn row(
        &mut self,
        actor: &Actor,
        request: &Request,
        object: &str,
        text: &str,
        base: &str,
    ) -> Result<Response, ApiError> {
        let object = self.object_in_path(object)?;
        let Some(id) = id::canonical(text) else {
            // The vendor takes a segment that is no id for a resource that is not there.
            return Err(ApiError::not_found());
        };
        self.on_row(actor, request, &object, &id, base)
    }

    fn on_row(
        &mut self,
        actor: &Actor,
        request: &Request,
        object: &Arc<Object>,
        id: &str,
        base: &str,
    ) -> Result<Response, ApiError> {
        let row = match self.org.live(object, id) {
            Ok(row) => row,
            Err(error) if error.code == "ENTITY_IS_DELETED" => return Err(error),
            Err(_) => {
                let message = format!("Provided external ID field does not exist or is not accessible: {id}");
                return Err(ApiError::new(404, "NOT_FOUND", message));
            }
        };
        if request.method == "DELETE" {
            self.atomic(actor, |me, txn| me.org.delete_row(txn, object, id))?;
            return Ok(Response::empty(204));
        }
        if let Some(answer) = conditional::check(request, object, row)? {
            return Ok(answer);
        }
        if request.method == "PATCH" {
            let input = body::object(request)?;
            self.atomic(actor, |me, txn| me.org.update_row(txn, object, id, &input))?;
            return Ok(Response::empty(204));
        }
        let wanted = self.fields_param(object, request.param("fields"))?;
        let shown = self.org.show(object, row, wanted.as_deref(), base);
        Ok(conditional::stamped(Response::ok(shown), object, row))
    }

    /// `fields=A,B`, canonical; `None` for all.
    pub(super) fn fields_param(
        &self,
        object: &Object,
        list: Option<&str>,
    ) -> Result<Option<Vec<&'static str>>, ApiError> {
        let Some(list) = list else { return Ok(None) };
        let one = |name: &str| {
            let missing =
                || ApiError::data("INVALID_FIELD", format!("No such column '{name}' on entity '{}'", object.name));
            object.field(name.trim()).map(|f| f.name).ok_or_else(missing)
        };
        list.split(',').map(one).collect::<Result<Vec<_>, _>>().map(Some)
    }

    pub(super) fn by_key(
        &mut self,
        actor: &Actor,
        request: &Request,
        object: &str,
        (field, value): (&str, &str),
        base: &str,
    ) -> Result<Response, ApiError> {
        let object = self.object_in_path(object)?;
        let field = object.field(field).filter(|f| f.external_id).cloned().ok_or_else(|| {
            ApiError::new(
                404,
                "NOT_FOUND",
                "Provided external ID field does not exist or is not accessible: ".to_owned() + field,
            )
        })?;
        if request.method != "PATCH" {
            let found = self.org.table(&object).ids_with(field.name, value).unwrap_or_default();
            let id = found.into_iter().next().ok_or_else(ApiError::not_found)?;
            return self.on_row(actor, request, &object, &id, base);
        }
        let input = body::object(request)?;
        let named_in_body = |name: &str| input.keys().any(|k| k.eq_ignore_ascii_case(name));
        if named_in_body(field.name) {
            let message = format!("The {} field should not be specified in the sobject data.", field.name);
            return Err(ApiError::data("INVALID_FIELD", message).on(field.name));
        }
        let update_only = request.param("updateOnly") == Some("true");
        let done =
            self.atomic(actor, |me, txn| me.org.upsert_row(txn, &object, (&field, value), &input, update_only))?;
        let body = json!({ "id": done.id, "success": true, "errors": [], "created": done.created });
        let location = format!("{base}/sobjects/{}/{}", object.name, done.id);
        let status = if done.created { 201 } else { 200 };
        Ok(Response::ok(body).status(status).header("location", location))
    }
}

fn created(object: &Object, id: &str, base: &str) -> Response {
    let body: Value = json!({ "id": id, "success": true, "errors": [] });
    Response::ok(body).status(201).header("location", format!("{base}/sobjects/{}/{id}", object.name))
}
