//! A small database for unit tests: `sf.contact` and `sf.account` are synced.

use std::collections::BTreeMap;
use std::sync::Arc;

use upwrite_events::{ColumnSpec, SYNCED_AT_COLUMN, TableName, TableSpec, VERSION_COLUMN};

use crate::catalog::{Catalog, Effect, NameMap, Reach, SyncedColumn, SyncedTable};

pub(crate) const CONTACT: u32 = 101;
pub(crate) const ACCOUNT: u32 = 102;
pub(crate) const INVOICE: u32 = 103;

fn column(name: &str) -> ColumnSpec {
    ColumnSpec::new(name, "text")
}

fn table(relation: u32, name: &str, specs: Vec<ColumnSpec>) -> Arc<SyncedTable> {
    let mut columns: Vec<SyncedColumn> = specs
        .iter()
        .map(|spec| SyncedColumn { name: spec.name.clone(), sql_type: spec.sql_type.clone(), generated: false })
        .collect();
    for (name, sql_type) in [(VERSION_COLUMN, "bigint"), (SYNCED_AT_COLUMN, "timestamp with time zone")] {
        columns.push(SyncedColumn { name: name.into(), sql_type: sql_type.into(), generated: false });
    }
    let spec = TableSpec::new(TableName::new("sf", name), "id", specs).with_idempotency_column("upwrite_key");
    Arc::new(SyncedTable { relation, spec, columns, own_code: false })
}

/// Columns: id, last_name, email (unique, case folded), account_id, formula (computed), upwrite_key, _version, _synced_at.
pub(crate) fn contact() -> Arc<SyncedTable> {
    let email = column("email").unique_ignoring_case();
    let account = column("account_id").references("account");
    let formula = column("formula").read_only();
    let id = column("id").read_only();
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

/// With `sf.invoice`, whose keys are numbers. Columns: id, parent_id (an invoice's), amount, upwrite_key, _version, _synced_at.
pub(crate) fn catalog_with_numbers() -> Catalog {
    let columns = vec![
        ColumnSpec::new("id", "bigint").read_only(),
        ColumnSpec::new("parent_id", "bigint").references("invoice"),
        ColumnSpec::new("amount", "bigint"),
        column("upwrite_key"),
    ];
    let mut catalog = catalog();
    catalog.synced.insert(INVOICE, table(INVOICE, "invoice", columns));
    catalog.relations.entry("invoice".into()).or_default().insert("sf".into(), Reach::Synced(INVOICE));
    catalog
}
