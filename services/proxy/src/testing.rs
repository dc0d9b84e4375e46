//! A small database for unit tests: `sf.contact` and `sf.account` are synced.

use std::collections::BTreeMap;
use std::sync::Arc;

use upwrite_events::{ColumnSpec, TableName, TableSpec};

use crate::catalog::{Catalog, Effect, NameMap, Reach, SyncedColumn, SyncedTable};

pub(crate) const CONTACT: u32 = 101;
pub(crate) const ACCOUNT: u32 = 102;

fn column(name: &str) -> ColumnSpec {
    ColumnSpec {
        name: name.into(),
        field: name.into(),
        sql_type: "text".into(),
        vendor_type: "string".into(),
        comment: None,
        insertable: true,
        updatable: true,
        required: false,
        unique: false,
        case_sensitive: true,
        references: None,
    }
}

fn table(relation: u32, name: &str, specs: Vec<ColumnSpec>) -> Arc<SyncedTable> {
    let mut columns: Vec<SyncedColumn> = specs
        .iter()
        .map(|spec| SyncedColumn { name: spec.name.clone(), sql_type: spec.sql_type.clone(), generated: false })
        .collect();
    for (name, sql_type) in [("_version", "bigint"), ("_synced_at", "timestamp with time zone")] {
        columns.push(SyncedColumn { name: name.into(), sql_type: sql_type.into(), generated: false });
    }
    let spec = TableSpec {
        name: TableName::new("sf", name),
        object: name.into(),
        comment: None,
        key: "id".into(),
        key_assigned_upstream: true,
        idempotency_column: Some("upwrite_key".into()),
        version_column: None,
        columns: specs,
    };
    Arc::new(SyncedTable { relation, spec, columns, own_code: false })
}

/// Columns: id, last_name, email (unique, case folded), account_id, formula (computed), upwrite_key, _version, _synced_at.
pub(crate) fn contact() -> Arc<SyncedTable> {
    let email = ColumnSpec { unique: true, case_sensitive: false, ..column("email") };
    let account = ColumnSpec { references: Some("account".into()), ..column("account_id") };
    let formula = ColumnSpec { insertable: false, updatable: false, ..column("formula") };
    let id = ColumnSpec { insertable: false, updatable: false, ..column("id") };
    table(CONTACT, "contact", vec![id, column("last_name"), email, account, formula, column("upwrite_key")])
}

fn names<T: Copy>(items: &[(&str, &str, T)]) -> NameMap<T> {
    let mut names: NameMap<T> = BTreeMap::new();
    for (schema, name, item) in items {
        names.entry((*name).into()).or_default().insert((*schema).into(), *item);
    }
    names
}

pub(crate) fn catalog() -> Catalog {
    let account = table(ACCOUNT, "account", vec![column("id"), column("name")]);
    Catalog {
        generation: 1,
        synced: BTreeMap::from([(CONTACT, contact()), (ACCOUNT, account)]),
        relations: names(&[
            ("sf", "contact", Reach::Synced(CONTACT)),
            ("sf", "account", Reach::Synced(ACCOUNT)),
            ("public", "contact", Reach::Cannot),
            ("public", "note", Reach::Cannot),
            ("public", "audited", Reach::May),
        ]),
        functions: names(&[
            ("pg_catalog", "lower", Effect::None),
            ("pg_catalog", "now", Effect::None),
            ("pg_catalog", "count", Effect::None),
            ("pg_catalog", "json_agg", Effect::None),
            ("pg_catalog", "md5", Effect::None),
            ("pg_catalog", "nextval", Effect::Own),
            ("pg_catalog", "gen_random_uuid", Effect::Own),
            ("pg_catalog", "shadowed", Effect::None),
            ("public", "shadowed", Effect::Any),
            ("public", "writes", Effect::Any),
            ("public", "pure", Effect::None),
            ("upwrite", "await", Effect::Own),
        ]),
    }
}
