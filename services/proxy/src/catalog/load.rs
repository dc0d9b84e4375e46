//! Reading a snapshot: four queries in one transaction.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use sqlx::{PgConnection, PgPool};
use upwrite_events::TableSpec;

use super::reach::{by_name, leading};
use super::{Catalog, Effect, NameMap, Reach, SyncedColumn, SyncedTable};

/// Functions of `pg_catalog` in C that run SQL which the caller gives them.
const RUN_SQL: &[&str] = &[
    "cursor_to_xml",
    "cursor_to_xmlschema",
    "database_to_xml",
    "database_to_xml_and_xmlschema",
    "query_to_xml",
    "query_to_xml_and_xmlschema",
    "query_to_xmlschema",
    "schema_to_xml",
    "schema_to_xml_and_xmlschema",
    "table_to_xml",
    "table_to_xml_and_xmlschema",
    "ts_rewrite",
    "ts_stat",
];

pub(super) async fn load(pool: &PgPool) -> Result<Catalog, sqlx::Error> {
    let mut transaction = pool.begin().await?;
    sqlx::query("/* proxy.catalog */ set transaction isolation level repeatable read, read only")
        .execute(&mut *transaction)
        .await?;
    let mut synced = synced(&mut transaction).await?;
    let relations = relations(&mut transaction, &mut synced).await?;
    let functions = functions(&mut transaction).await?;
    transaction.commit().await?;
    let synced = synced.into_iter().map(|(relation, table)| (relation, Arc::new(table))).collect();
    Ok(Catalog { generation: 0, synced, relations, functions })
}

async fn synced(connection: &mut PgConnection) -> Result<BTreeMap<u32, SyncedTable>, sqlx::Error> {
    let rows: Vec<(i64, sqlx::types::Json<TableSpec>, String, String, bool)> = sqlx::query_as(
        "/* proxy.catalog.synced */
         select t.relation::int8, t.spec, a.attname::text, format_type(a.atttypid, a.atttypmod), a.attgenerated <> ''
           from upwrite.tables t
           join pg_catalog.pg_attribute a on a.attrelid = t.relation and a.attnum > 0 and not a.attisdropped
          order by t.relation, a.attnum",
    )
    .fetch_all(connection)
    .await?;
    let mut tables: BTreeMap<u32, SyncedTable> = BTreeMap::new();
    for (relation, spec, name, sql_type, generated) in rows {
        let relation = oid(relation)?;
        tables
            .entry(relation)
            .or_insert_with(|| SyncedTable { relation, spec: spec.0, columns: Vec::new(), own_code: false })
            .columns
            .push(SyncedColumn { name, sql_type, generated });
    }
    Ok(tables)
}

/// All relations that can be written, and which of them lead to synced ones; also notes which synced ones have code of their own.
async fn relations(
    connection: &mut PgConnection,
    synced: &mut BTreeMap<u32, SyncedTable>,
) -> Result<NameMap<Reach>, sqlx::Error> {
    let rows: Vec<(i64, String, String, bool)> = sqlx::query_as(
        "/* proxy.catalog.relations */
         with code as (
             -- Enabled triggers but Upwrite's and those that Postgres makes for foreign keys.
             select t.tgrelid as relation
               from pg_catalog.pg_trigger t
               join pg_catalog.pg_proc p on p.oid = t.tgfoid
               join pg_catalog.pg_namespace n on n.oid = p.pronamespace
              where not t.tgisinternal and t.tgenabled <> 'D' and n.nspname <> 'upwrite'
             union all
             select r.ev_class from pg_catalog.pg_rewrite r where r.rulename <> '_RETURN'
             union all
             -- Defaults, checks, index expressions and policies that call a volatile function which is not built in.
             select coalesce(ad.adrelid, co.conrelid, ix.indrelid, po.polrelid)
               from pg_catalog.pg_depend d
               join pg_catalog.pg_proc p on d.refclassid = 'pg_catalog.pg_proc'::regclass and p.oid = d.refobjid
                                        and p.provolatile = 'v'
               left join pg_catalog.pg_attrdef ad on d.classid = 'pg_catalog.pg_attrdef'::regclass and ad.oid = d.objid
               left join pg_catalog.pg_constraint co on d.classid = 'pg_catalog.pg_constraint'::regclass and co.oid = d.objid
               left join pg_catalog.pg_index ix on d.classid = 'pg_catalog.pg_class'::regclass and ix.indexrelid = d.objid
               left join pg_catalog.pg_policy po on d.classid = 'pg_catalog.pg_policy'::regclass and po.oid = d.objid
         )
         select c.oid::int8, n.nspname::text, c.relname::text,
                c.relkind in ('v', 'f') or c.oid in (select relation from code where relation is not null)
           from pg_catalog.pg_class c join pg_catalog.pg_namespace n on n.oid = c.relnamespace
          where c.relkind in ('r', 'p', 'v', 'm', 'f') and n.nspname not like 'pg\\_toast%'",
    )
    .fetch_all(&mut *connection)
    .await?;
    let edges: Vec<(i64, i64)> = sqlx::query_as(
        "/* proxy.catalog.edges */
         select confrelid::int8, conrelid::int8 from pg_catalog.pg_constraint
          where contype = 'f' and (confdeltype in ('c', 'n', 'd') or confupdtype in ('c', 'n', 'd'))
         union all
         select inhparent::int8, inhrelid::int8 from pg_catalog.pg_inherits",
    )
    .fetch_all(&mut *connection)
    .await?;

    let edges =
        edges.into_iter().map(|(from, to)| Ok((oid(from)?, oid(to)?))).collect::<Result<Vec<_>, sqlx::Error>>()?;
    let mut sources: BTreeSet<u32> = synced.keys().copied().collect();
    for (relation, _, _, has_code) in &rows {
        let relation = oid(*relation)?;
        if *has_code {
            sources.insert(relation);
            if let Some(table) = synced.get_mut(&relation) {
                table.own_code = true;
            }
        }
    }
    let leading = leading(sources, &edges);
    let mut named = Vec::with_capacity(rows.len());
    for (relation, schema, name, _) in rows {
        let relation = oid(relation)?;
        let reach = match (synced.contains_key(&relation), leading.contains(&relation)) {
            (true, _) => Reach::Synced(relation),
            (false, true) => Reach::May,
            (false, false) => Reach::Cannot,
        };
        named.push((schema, name, reach));
    }
    Ok(by_name(named))
}

async fn functions(connection: &mut PgConnection) -> Result<NameMap<Effect>, sqlx::Error> {
    // An aggregate's own volatility says nothing: its transition and final functions count.
    let rows: Vec<(String, String, bool, bool)> = sqlx::query_as(
        "/* proxy.catalog.functions */
         select n.nspname::text, p.proname::text,
                bool_or(p.provolatile = 'v' or coalesce(step.provolatile = 'v', false) or coalesce(final.provolatile = 'v', false)),
                bool_and(n.nspname = 'pg_catalog' and l.lanname = 'internal')
           from pg_catalog.pg_proc p
           join pg_catalog.pg_namespace n on n.oid = p.pronamespace
           join pg_catalog.pg_language l on l.oid = p.prolang
           left join pg_catalog.pg_aggregate a on a.aggfnoid = p.oid
           left join pg_catalog.pg_proc step on step.oid = a.aggtransfn
           left join pg_catalog.pg_proc final on final.oid = a.aggfinalfn
          where p.prokind <> 'p'
          group by 1, 2",
    )
    .fetch_all(connection)
    .await?;
    let effects = rows.into_iter().map(|(schema, name, volatile, internal)| {
        let effect = match (volatile, internal) {
            (false, _) => Effect::None,
            // Waits and reads; writes nothing.
            (true, _) if schema == "upwrite" && name == "await" => Effect::Own,
            (true, true) if !RUN_SQL.contains(&name.as_str()) => Effect::Own,
            (true, _) => Effect::Any,
        };
        (schema, name, effect)
    });
    Ok(by_name(effects.collect::<Vec<_>>()))
}

fn oid(wide: i64) -> Result<u32, sqlx::Error> {
    u32::try_from(wide).map_err(|error| sqlx::Error::Decode(Box::new(error)))
}
