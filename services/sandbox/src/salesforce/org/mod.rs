//! The organisation: records, rules and locks, without any I/O. One caller at a time (a mutex outside).

mod change;
mod delete;
mod duplicate;
mod formula;
mod input;
mod read;
mod rules;
mod state;
mod table;
mod txn;
mod value;
mod write;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use serde_json::{Value, json};
use time::OffsetDateTime;

use crate::journal::Journal;
use crate::salesforce::error::ApiError;
use crate::salesforce::options::OrgOptions;
use crate::salesforce::schema::{self, Object};
use crate::salesforce::{id, stamp};

pub use duplicate::DuplicateRule;
pub(crate) use input::Purpose;
pub use rules::{Predicate, ValidationRule};
pub(crate) use table::{Row, Table};
pub(crate) use txn::{Actor, Txn};

/// All state that API calls read and change.
#[derive(Debug)]
pub(crate) struct Org {
    pub(crate) objects: Vec<Arc<Object>>,
    tables: BTreeMap<&'static str, Table>,
    instance: String,
    trim_strings: bool,
    pub(crate) validation_rules: Vec<ValidationRule>,
    pub(crate) duplicate_rules: Vec<DuplicateRule>,
    /// Ids of records whose row lock another user has: writes that need it are refused.
    pub(crate) locked: BTreeSet<String>,
    pub(crate) journal: Arc<Journal>,
    /// Writes of an open span of transactions.
    outer: Option<Txn>,
    /// 18-character id of the organisation.
    pub(crate) id: String,
    /// The integration user: whom API writes are made by.
    pub(crate) api_user: String,
    /// Another user: whom third-party changes (admin calls) are made by.
    pub(crate) other_user: String,
}

impl Org {
    /// An organisation with its users and the shipped rules, but no records.
    pub(crate) fn new(options: &OrgOptions, journal: Arc<Journal>, now: OffsetDateTime) -> Self {
        let objects: Vec<Arc<Object>> = schema::objects(&options.key_field_on).into_iter().map(Arc::new).collect();
        let tables = objects.iter().map(|o| (o.name, Table::new(o))).collect();
        let instance = id::instance_of(options.seed);
        let mut org = Self {
            objects,
            tables,
            id: id::make("00D", &instance, 1),
            api_user: id::make("005", &instance, 1),
            other_user: id::make("005", &instance, 2),
            instance,
            trim_strings: options.trim_strings,
            validation_rules: rules::shipped(),
            duplicate_rules: duplicate::shipped(options.duplicate_rule),
            locked: BTreeSet::new(),
            journal,
            outer: None,
        };
        org.add_user(&options.username, "Integration User", now);
        org.add_user("colleague@example.com", "Zoë Colleague", now);
        org
    }

    fn add_user(&mut self, username: &str, name: &str, now: OffsetDateTime) {
        let by = self.api_user.clone();
        let Some(table) = self.tables.get_mut("User") else {
            return;
        };
        let id = id::make("005", &self.instance, table.next_number());
        let at = Value::String(stamp::wire(now));
        let row: Row = BTreeMap::from([
            ("Id", json!(id)),
            ("Username", json!(username)),
            ("Name", json!(name)),
            ("Email", json!(username)),
            ("IsActive", json!(true)),
            ("IsDeleted", json!(false)),
            ("CreatedDate", at.clone()),
            ("LastModifiedDate", at.clone()),
            ("SystemModstamp", at),
            ("CreatedById", json!(by)),
            ("LastModifiedById", json!(by)),
        ]);
        table.put(&id, row);
    }

    /// Looks an object up by its case-insensitive name.
    pub(crate) fn object(&self, name: &str) -> Option<Arc<Object>> {
        self.objects.iter().find(|o| o.name.eq_ignore_ascii_case(name)).cloned()
    }

    /// The object, or the vendor's refusal of its name in a body or a query.
    pub(crate) fn object_or_type_error(&self, name: &str) -> Result<Arc<Object>, ApiError> {
        self.object(name)
            .ok_or_else(|| ApiError::data("INVALID_TYPE", format!("sObject type '{name}' is not supported.")))
    }

    /// The object that ids with this id's key prefix belong to.
    pub(crate) fn object_of_id(&self, id: &str) -> Option<Arc<Object>> {
        let prefix = id.get(..3)?;
        self.objects.iter().find(|o| o.key_prefix == prefix).cloned()
    }

    pub(crate) fn table(&self, object: &Object) -> &Table {
        // Tables are made from the same list as objects, and neither ever shrinks.
        self.tables.get(object.name).expect("every object has a table")
    }

    pub(crate) fn table_mut(&mut self, object: &Object) -> &mut Table {
        // As above.
        self.tables.get_mut(object.name).expect("every object has a table")
    }
}
