//! From a describe to a [`TableSpec`].

use std::collections::BTreeMap;

use upwrite_events::{ColumnSpec, TableName, TableSpec};

use super::super::config::ObjectConfig;
use super::super::limits::IDEMPOTENCY_KEY_CHARS;
use super::super::value::Kind;
use super::object::{FieldDescribe, ObjectDescribe};
use crate::names::{distinct, snake_case};

/// Stamps that distinguish the versions of a record, the best first.
const VERSION_FIELDS: [&str; 3] = ["SystemModstamp", "LastModifiedDate", "CreatedDate"];

/// The configured objects' table names by lower-case object name.
pub(crate) struct Named(BTreeMap<String, String>);

impl Named {
    pub(crate) fn new(objects: &[ObjectConfig]) -> Self {
        let names: Vec<&str> = objects.iter().map(|object| object.object.as_str()).collect();
        Self(distinct(&names).into_iter().map(|(object, table)| (object.to_ascii_lowercase(), table)).collect())
    }

    fn table(&self, object: &str) -> Option<&str> {
        self.0.get(&object.to_ascii_lowercase()).map(String::as_str)
    }
}

/// The table of one object; else all that is wrong with its configuration.
pub(crate) fn table_spec(
    source: &str,
    config: &ObjectConfig,
    named: &Named,
    object: &ObjectDescribe,
) -> Result<TableSpec, Vec<String>> {
    let mut problems = Vec::new();
    if !object.queryable {
        problems.push(format!("{} cannot be queried", object.name));
    }
    let idempotency = config
        .idempotency_field
        .as_deref()
        .and_then(|field| check_idempotency_field(object, field).map_err(|problem| problems.push(problem)).ok());
    let version = VERSION_FIELDS.into_iter().find(|name| object.fields.iter().any(|field| field.name == *name));
    let all: Vec<&str> = object.fields.iter().map(|field| field.name.as_str()).collect();
    let columns = distinct(&all);
    let always = [Some("Id"), version, idempotency.map(|field| field.name.as_str())];
    problems.extend(unknown_columns(config, &columns, &object.name));
    if !object.fields.iter().any(|field| field.name == "Id") {
        problems.push(format!("{} has no field Id", object.name));
    }
    if !problems.is_empty() {
        return Err(problems);
    }
    let name_of = |field: &str| columns.get(field).cloned().unwrap_or_else(|| snake_case(field));
    let specs = object
        .fields
        .iter()
        .filter(|field| {
            always.contains(&Some(field.name.as_str()))
                || (!field.deprecated_and_hidden && wanted(config, field, &name_of(&field.name)))
        })
        .filter_map(|field| {
            let column = column_spec(named, object, field, name_of(&field.name), idempotency);
            if column.is_none() {
                tracing::info!(object = object.name, field = field.name, r#type = field.field_type, "not synced");
            }
            column
        })
        .collect();
    Ok(TableSpec {
        name: TableName::new(source, named.table(&object.name).map_or_else(|| snake_case(&object.name), str::to_owned)),
        object: object.name.clone(),
        comment: object.label.clone(),
        key: name_of("Id"),
        key_assigned_upstream: true,
        idempotency_column: idempotency.map(|field| name_of(&field.name)),
        version_column: version.map(name_of),
        columns: specs,
    })
}

fn wanted(config: &ObjectConfig, field: &FieldDescribe, column: &str) -> bool {
    config.columns.as_ref().is_none_or(|names| names.iter().any(|name| is_named(name, &field.name, column)))
}

fn is_named(name: &str, field: &str, column: &str) -> bool {
    name.eq_ignore_ascii_case(field) || name == column
}

fn unknown_columns(config: &ObjectConfig, columns: &BTreeMap<String, String>, object: &str) -> Vec<String> {
    let names = config.columns.iter().flatten();
    names
        .filter(|name| !columns.iter().any(|(field, column)| is_named(name, field, column)))
        .map(|name| format!("{object} has no field {name}"))
        .collect()
}

fn check_idempotency_field<'a>(object: &'a ObjectDescribe, name: &str) -> Result<&'a FieldDescribe, String> {
    let field = object.fields.iter().find(|field| field.name.eq_ignore_ascii_case(name));
    let field = field.ok_or_else(|| format!("{} has no field {name} (idempotency_field)", object.name))?;
    let fits = [
        (field.field_type == "string", "must be a text field"),
        (field.unique, "must be unique"),
        (field.createable, "must be writable for this user on create"),
        (field.length == 0 || field.length >= IDEMPOTENCY_KEY_CHARS, "must take 43 characters"),
    ];
    let wrong: Vec<&str> = fits.iter().filter(|(fits, _)| !fits).map(|(_, problem)| *problem).collect();
    if wrong.is_empty() { Ok(field) } else { Err(format!("{}.{}: {}", object.name, field.name, wrong.join(", "))) }
}

fn column_spec(
    named: &Named,
    object: &ObjectDescribe,
    field: &FieldDescribe,
    name: String,
    idempotency: Option<&FieldDescribe>,
) -> Option<ColumnSpec> {
    let kind = Kind::of(&field.field_type)?;
    let is_idempotency = idempotency.is_some_and(|other| other.name == field.name);
    let computed = field.calculated || field.auto_number || kind.is_read_only() || is_idempotency;
    let insertable = field.createable && object.createable && !computed;
    let comment = match (&field.label, &field.inline_help_text) {
        (Some(label), Some(help)) => Some(format!("{label}: {help}")),
        (label, help) => label.clone().or_else(|| help.clone()),
    };
    let references = match field.reference_to.as_slice() {
        [only] => named.table(only).map(str::to_owned),
        _ => None,
    };
    Some(ColumnSpec {
        name,
        field: field.name.clone(),
        sql_type: kind.sql_type(&field.field_type, field.precision, field.scale, field.calculated),
        vendor_type: field.field_type.clone(),
        comment,
        insertable,
        updatable: field.updateable && object.updateable && !computed,
        required: insertable && !field.nillable && !field.defaulted_on_create,
        unique: field.unique || is_idempotency,
        case_sensitive: field.case_sensitive,
        references,
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn contact() -> ObjectDescribe {
        serde_json::from_value(json!({
            "name": "Contact", "label": "Contact", "queryable": true, "createable": true, "updateable": true,
            "fields": [
                {"name": "Id", "label": "Contact ID", "type": "id", "length": 18},
                {"name": "LastName", "label": "Last Name", "type": "string", "createable": true, "updateable": true},
                {"name": "AccountId", "type": "reference", "referenceTo": ["Account"], "nillable": true, "createable": true},
                {"name": "OwnerId", "type": "reference", "referenceTo": ["User", "Group"], "defaultedOnCreate": true, "createable": true},
                {"name": "Amount__c", "type": "currency", "precision": 18, "scale": 2, "nillable": true},
                {"name": "Total__c", "type": "double", "precision": 18, "scale": 2, "calculated": true, "createable": true},
                {"name": "Photo", "type": "base64"},
                {"name": "MailingAddress", "type": "address", "inlineHelpText": null, "createable": true},
                {"name": "Key__c", "type": "string", "length": 64, "unique": true, "caseSensitive": true, "createable": true, "nillable": true},
                {"name": "Short__c", "type": "string", "length": 18, "unique": true, "nillable": true},
                {"name": "SystemModstamp", "type": "datetime"}
            ]
        }))
        .unwrap()
    }

    fn spec(config: &ObjectConfig) -> Result<TableSpec, Vec<String>> {
        let objects = [config.clone(), ObjectConfig::new("account")];
        table_spec("salesforce", config, &Named::new(&objects), &contact())
    }

    #[test]
    fn a_describe_becomes_a_table() {
        let table = spec(&ObjectConfig::new("Contact").with_idempotency_field("key__c")).unwrap();
        assert_eq!(table.name, TableName::new("salesforce", "contact"));
        assert_eq!((table.key.as_str(), table.key_assigned_upstream), ("id", true));
        assert_eq!(table.idempotency_column.as_deref(), Some("key__c"));
        assert_eq!(table.version_column.as_deref(), Some("system_modstamp"));
        let column = |name: &str| table.column(name).unwrap();
        assert!(column("last_name").required && !column("owner_id").required);
        assert_eq!(column("account_id").references.as_deref(), Some("account"));
        assert_eq!(column("owner_id").references, None);
        assert_eq!(column("amount__c").sql_type, "numeric(18,2)");
        assert_eq!((column("total__c").sql_type.as_str(), column("total__c").insertable), ("numeric", false));
        assert_eq!(
            (column("mailing_address").sql_type.as_str(), column("mailing_address").insertable),
            ("jsonb", false)
        );
        assert!(column("key__c").unique && !column("key__c").insertable, "Upwrite fills it, nobody else");
        assert!(table.column("photo").is_none());
        assert_eq!(column("id").comment.as_deref(), Some("Contact ID"));
    }

    #[test]
    fn an_allow_list_keeps_what_is_always_needed() {
        let mut config = ObjectConfig::new("Contact").with_idempotency_field("Key__c");
        config.columns = Some(vec!["last_name".to_owned(), "accountid".to_owned()]);
        let names: Vec<String> = spec(&config).unwrap().columns.into_iter().map(|column| column.name).collect();
        assert_eq!(names, ["id", "last_name", "account_id", "key__c", "system_modstamp"]);
    }

    #[test]
    fn all_mistakes_are_named() {
        let mut config = ObjectConfig::new("Contact").with_idempotency_field("Short__c");
        config.columns = Some(vec!["Nope__c".to_owned()]);
        let problems = spec(&config).unwrap_err();
        assert_eq!(problems.len(), 2, "{problems:?}");
        assert!(problems[0].contains("writable") && problems[0].contains("43"), "{problems:?}");
    }
}
