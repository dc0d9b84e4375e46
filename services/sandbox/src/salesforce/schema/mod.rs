//! The objects of the organisation: their fields, and how `describe` shows them.

mod account;
mod address;
mod contact;
mod describe;
mod field;
mod opportunity;
mod user;

use std::collections::HashMap;

pub(crate) use describe::{describe, summary};
pub(crate) use field::{Field, Formula, Kind};
pub(crate) use opportunity::STAGES;

/// The external id field that Upwrite fills, on objects where the options ask for it.
pub(crate) const KEY_FIELD: &str = "UpwriteKey__c";

/// One object ("table") of the organisation.
#[derive(Clone, Debug)]
pub(crate) struct Object {
    pub(crate) name: &'static str,
    pub(crate) label_plural: &'static str,
    pub(crate) key_prefix: &'static str,
    /// Whether the API may change its records.
    pub(crate) writable: bool,
    pub(crate) fields: Vec<Field>,
    by_name: HashMap<String, usize>,
}

impl Object {
    fn new(
        name: &'static str,
        label_plural: &'static str,
        key_prefix: &'static str,
        writable: bool,
        own: Vec<Field>,
    ) -> Self {
        let mut fields = vec![Field::id()];
        fields.extend(own);
        fields.extend(field::system_fields());
        let by_name = fields.iter().enumerate().map(|(i, f)| (f.name.to_ascii_lowercase(), i)).collect();
        Self { name, label_plural, key_prefix, writable, fields, by_name }
    }

    /// Looks a field up as the vendor does: names are case-insensitive on input.
    pub(crate) fn field(&self, name: &str) -> Option<&Field> {
        self.by_name.get(&name.to_ascii_lowercase()).map(|i| &self.fields[*i])
    }

    /// The reference field behind a relationship name, such as `AccountId` behind `Account`.
    pub(crate) fn relationship(&self, name: &str) -> Option<&Field> {
        self.fields.iter().find(|f| f.relationship.is_some_and(|r| r.eq_ignore_ascii_case(name)))
    }
}

/// All objects; `key_field_on` names those that carry [`KEY_FIELD`].
pub(crate) fn objects(key_field_on: &[String]) -> Vec<Object> {
    let key = |object: &str| {
        key_field_on
            .iter()
            .any(|o| o.eq_ignore_ascii_case(object))
            .then(|| Field::text(KEY_FIELD, "Upwrite Key", 80).external_id())
    };
    let with_key = |name, plural, prefix, mut own: Vec<Field>| {
        own.extend(key(name));
        Object::new(name, plural, prefix, true, own)
    };
    vec![
        with_key("Account", "Accounts", "001", account::fields()),
        with_key("Contact", "Contacts", "003", contact::fields()),
        with_key("Opportunity", "Opportunities", "006", opportunity::fields()),
        Object::new("User", "Users", "005", false, user::fields()),
    ]
}
