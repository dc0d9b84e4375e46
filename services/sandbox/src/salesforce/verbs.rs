//! Admin calls that only an organisation has: rules, locks, limits, the recycle bin.

use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use super::vendor::Salesforce;
use crate::vendor::AdminRefusal;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ApiBudget {
    used: Option<u64>,
    allowed: Option<u64>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Locks {
    ids: Vec<String>,
}

fn parsed<T: DeserializeOwned>(body: Value) -> Result<T, AdminRefusal> {
    serde_json::from_value(body).map_err(|e| AdminRefusal::Malformed(e.to_string()))
}

impl Salesforce {
    pub(super) fn verb(&self, method: &str, path: &[&str], body: Value) -> Result<Value, AdminRefusal> {
        match (method, path) {
            ("GET", ["limits"]) => {
                let service = self.service();
                return Ok(json!({ "used": service.used, "allowed": service.allowed }));
            }
            ("GET", ["rules"]) => return Ok(json!({ "rules": self.service().org.validation_rules })),
            ("GET", ["duplicate-rules"]) => return Ok(json!({ "rules": self.service().org.duplicate_rules })),
            ("GET", ["locks"]) => return Ok(json!({ "ids": self.service().org.locked })),
            ("POST", ["limits"]) => {
                let budget: ApiBudget = parsed(body)?;
                let mut service = self.service();
                service.used = budget.used.unwrap_or(service.used);
                service.allowed = budget.allowed.unwrap_or(service.allowed);
            }
            ("POST", ["rules"]) => self.set_validation_rule(parsed(body)?),
            ("DELETE", ["rules", name]) => self.service().org.validation_rules.retain(|r| r.name != *name),
            ("POST", ["duplicate-rules"]) => self.set_duplicate_rule(parsed(body)?),
            ("POST", ["locks"]) => {
                let locks: Locks = parsed(body)?;
                self.lock_rows(&locks.ids.iter().map(String::as_str).collect::<Vec<_>>());
            }
            ("DELETE", ["locks"]) => self.lock_rows(&[]),
            ("POST", ["records", object, id, "undelete"]) => {
                self.third_party_undelete(object, id).map_err(AdminRefusal::Refused)?;
            }
            _ => return Err(AdminRefusal::Unknown(format!("{method} {}", path.join("/")))),
        }
        Ok(json!({ "ok": true }))
    }
}
