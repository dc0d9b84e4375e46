//! From a parse tree and the catalog to what is to be done with a statement.

use std::sync::Arc;

use pg_query::NodeEnum;
use pg_query::protobuf::{
    CopyStmt, DiscardMode, DiscardStmt, ExplainStmt, RangeVar, ReturningClause, TransactionStmt, TransactionStmtKind,
    TruncateStmt, VariableSetKind, VariableSetStmt,
};
use upwrite_events::{Op, TableName};

use super::mentions::{Mentions, SqlName};
use super::split::{ParseResult, parse};
use super::{Kind, PlainDml, PossibleWrite, SessionCommand, Statement, TransactionCommand, comment, list};
use crate::catalog::{Catalog, Effect, SyncedTable, Target};
use crate::error::PgError;
use crate::returning::Returning;

/// Functions whose results show the keys that they are given in a form in which they can be found again.
const TRANSPARENT: &[&str] = &[
    "array_agg",
    "array_to_json",
    "concat",
    "concat_ws",
    "count",
    "current_setting",
    "json_agg",
    "json_array_elements",
    "json_array_length",
    "json_build_array",
    "json_build_object",
    "json_each",
    "json_each_text",
    "json_object_agg",
    "json_populate_record",
    "json_populate_recordset",
    "json_strip_nulls",
    "json_to_record",
    "json_to_recordset",
    "json_typeof",
    "jsonb_agg",
    "jsonb_array_length",
    "jsonb_build_array",
    "jsonb_build_object",
    "jsonb_each",
    "jsonb_each_text",
    "jsonb_object_agg",
    "jsonb_strip_nulls",
    "jsonb_to_record",
    "jsonb_to_recordset",
    "jsonb_typeof",
    "now",
    "row_number",
    "row_to_json",
    "string_agg",
    "to_json",
    "to_jsonb",
    "unnest",
];

/// The statements of a query string.
pub(super) fn statements(sql: &str, catalog: &Catalog) -> Vec<Statement> {
    let whole = |kind| vec![Statement { text: Arc::from(sql), kind }];
    match parse(sql) {
        ParseResult::Syntax => whole(Kind::Relayed),
        ParseResult::Opaque => whole(Kind::Captured(Box::default())),
        ParseResult::Statements(parsed) => {
            let statement =
                |(text, node): (Box<str>, NodeEnum)| Statement { text: text.into(), kind: kind(&node, catalog) };
            let mut statements: Vec<Statement> = parsed.into_iter().map(statement).collect();
            if let [Statement { kind: Kind::Captured(write), .. }] = statements.as_mut_slice() {
                write.traceparent = comment::traceparent(sql);
            }
            statements
        }
    }
}

fn kind(node: &NodeEnum, catalog: &Catalog) -> Kind {
    match node {
        NodeEnum::TransactionStmt(command) => transaction(command),
        NodeEnum::VariableSetStmt(set) => Kind::Session(set_command(set)),
        NodeEnum::VariableShowStmt(_) => Kind::Session(SessionCommand::Show),
        NodeEnum::DiscardStmt(discard) => Kind::Session(discard_command(discard)),
        NodeEnum::DeallocateStmt(command) if command.isall => Kind::Session(SessionCommand::DeallocateAll),
        NodeEnum::DeallocateStmt(command) => Kind::Session(SessionCommand::Deallocate(command.name.clone())),
        NodeEnum::SelectStmt(_)
        | NodeEnum::InsertStmt(_)
        | NodeEnum::UpdateStmt(_)
        | NodeEnum::DeleteStmt(_)
        | NodeEnum::MergeStmt(_)
        | NodeEnum::CreateTableAsStmt(_) => query(node, catalog),
        // What they run is not in the text.
        NodeEnum::CallStmt(_) | NodeEnum::DoStmt(_) | NodeEnum::ExecuteStmt(_) => Kind::Captured(Box::default()),
        NodeEnum::ExplainStmt(explain) => self::explain(explain, catalog),
        NodeEnum::CopyStmt(copy) => self::copy(copy, catalog),
        NodeEnum::TruncateStmt(truncate) => self::truncate(truncate, catalog),
        // DDL (some of which cannot run with anything else in its transaction), cursors, PREPARE, LISTEN, LOCK, …
        _ => Kind::Relayed,
    }
}

/// Nobody has the privilege to truncate a synced table, and the server's "permission denied" would not say what to do.
fn truncate(truncate: &TruncateStmt, catalog: &Catalog) -> Kind {
    let mut kind = Kind::Relayed;
    for node in &truncate.relations {
        let Some(NodeEnum::RangeVar(relation)) = &node.node else { continue };
        match target(&SqlName::of(relation), catalog) {
            Target::Synced(_) => {
                return Kind::Refused(PgError::unsupported(
                    format!("synced table \"{}\" cannot be truncated", relation.relname),
                    "Use DELETE.",
                ));
            }
            Target::May => kind = Kind::Captured(Box::default()),
            Target::Cannot => {}
        }
    }
    kind
}

fn transaction(command: &TransactionStmt) -> Kind {
    use TransactionStmtKind as K;
    let name = || command.savepoint_name.clone();
    Kind::Transaction(match K::try_from(command.kind).unwrap_or(K::Undefined) {
        K::TransStmtBegin | K::TransStmtStart => TransactionCommand::Begin,
        K::TransStmtCommit => TransactionCommand::Commit { chain: command.chain },
        K::TransStmtRollback => TransactionCommand::Rollback { chain: command.chain },
        K::TransStmtSavepoint => TransactionCommand::Savepoint(name()),
        K::TransStmtRelease => TransactionCommand::Release(name()),
        K::TransStmtRollbackTo => TransactionCommand::RollbackTo(name()),
        K::TransStmtPrepare => TransactionCommand::Prepare,
        K::TransStmtCommitPrepared | K::TransStmtRollbackPrepared => TransactionCommand::Prepared,
        K::Undefined => return Kind::Relayed,
    })
}

fn set_command(set: &VariableSetStmt) -> SessionCommand {
    match VariableSetKind::try_from(set.kind) {
        Ok(VariableSetKind::VarResetAll) => SessionCommand::ResetAll,
        _ => SessionCommand::Set,
    }
}

fn discard_command(discard: &DiscardStmt) -> SessionCommand {
    match DiscardMode::try_from(discard.target) {
        Ok(DiscardMode::DiscardAll) => SessionCommand::DiscardAll,
        _ => SessionCommand::Discard,
    }
}

/// SELECT, DML, and what is made of them.
fn query(node: &NodeEnum, catalog: &Catalog) -> Kind {
    let found = Mentions::in_statement(node);
    let targets: Vec<Target> = found.targets.iter().map(|named| target(named, catalog)).collect();
    let calls = found.functions.iter().map(|named| catalog.effect(named.schema.as_deref(), &named.name)).max();
    let calls_any = calls == Some(Effect::Any);
    if !calls_any && targets.iter().all(|target| *target == Target::Cannot) {
        return Kind::Relayed;
    }
    let alone = if found.targets.len() == 1 { targets.into_iter().next() } else { None };
    let plain = alone.as_ref().and_then(|target| plain(node, target, catalog));
    let hides_keys = match &plain {
        Some(plain) => plain.returning == Some(Returning::Buffered) && hides(&found.outer_functions),
        // It has no change of its own, so a function wrote, and what that returned stays as it is.
        None => !found.targets.is_empty() && hides(&found.outer_functions),
    };
    // A SELECT may also lock rows, or make a table, which a ROLLBACK would undo.
    let selects = matches!(node, NodeEnum::SelectStmt(_) | NodeEnum::CreateTableAsStmt(_));
    let known_target = match alone {
        Some(Target::Synced(table)) if !selects && !calls_any && calls != Some(Effect::Own) => sole(&table),
        _ => None,
    };
    Kind::Captured(Box::new(PossibleWrite { known_target, plain, hides_keys, ..PossibleWrite::default() }))
}

fn target(named: &SqlName, catalog: &Catalog) -> Target {
    catalog.target(named.schema.as_deref(), &named.name)
}

/// The table's name, if a change of it does nothing else.
fn sole(table: &SyncedTable) -> Option<TableName> {
    (!table.own_code).then(|| table.name().clone())
}

fn hides(functions: &[SqlName]) -> bool {
    let transparent = |named: &SqlName| {
        named.schema.as_deref().is_none_or(|schema| schema == "pg_catalog")
            && TRANSPARENT.contains(&named.name.as_str())
    };
    !functions.iter().all(transparent)
}

fn plain(node: &NodeEnum, target: &Target, catalog: &Catalog) -> Option<PlainDml> {
    let (op, relation, clause, sees_others) = match node {
        NodeEnum::InsertStmt(insert) => (Op::Insert, &insert.relation, &insert.returning_clause, false),
        NodeEnum::UpdateStmt(update) => {
            (Op::Update, &update.relation, &update.returning_clause, !update.from_clause.is_empty())
        }
        NodeEnum::DeleteStmt(delete) => (Op::Delete, &delete.relation, &delete.returning_clause, true),
        _ => return None,
    };
    let returning = clause.as_ref().map(|clause| returning(clause, relation.as_ref(), sees_others, catalog));
    let table = match target {
        Target::Synced(table) => Some(table.name().clone()),
        Target::May | Target::Cannot => None,
    };
    Some(PlainDml { op, table, returning })
}

fn returning(clause: &ReturningClause, relation: Option<&RangeVar>, sees_others: bool, catalog: &Catalog) -> Returning {
    if sees_others {
        return Returning::Buffered;
    }
    let alias = relation.and_then(|relation| relation.alias.as_ref()).map(|alias| alias.aliasname.as_str());
    list::returning(clause, alias, catalog)
}

fn explain(explain: &ExplainStmt, catalog: &Catalog) -> Kind {
    let analyze = explain.options.iter().any(|option| match &option.node {
        Some(NodeEnum::DefElem(option)) => option.defname == "analyze" && !is_false(option.arg.as_deref()),
        _ => false,
    });
    let inner = explain.query.as_deref().and_then(|node| node.node.as_ref());
    match (analyze, inner.map(|node| kind(node, catalog))) {
        (true, Some(Kind::Captured(write))) => Kind::Captured(Box::new(PossibleWrite {
            known_target: write.known_target,
            dry: true,
            ..PossibleWrite::default()
        })),
        _ => Kind::Relayed,
    }
}

/// An option that is spelled out as off: `false`, `off`, `0`.
fn is_false(arg: Option<&pg_query::Node>) -> bool {
    match arg.and_then(|node| node.node.as_ref()) {
        Some(NodeEnum::String(text)) => ["false", "off"].contains(&text.sval.to_ascii_lowercase().as_str()),
        Some(NodeEnum::Integer(number)) => number.ival == 0,
        Some(NodeEnum::Boolean(boolean)) => !boolean.boolval,
        _ => false,
    }
}

fn copy(copy: &CopyStmt, catalog: &Catalog) -> Kind {
    if !copy.is_from {
        return match copy.query.as_deref().and_then(|node| node.node.as_ref()).map(|node| query(node, catalog)) {
            Some(Kind::Captured(write)) if write.plain.is_some() || write.known_target.is_some() => {
                Kind::Refused(PgError::unsupported(
                    "COPY of what a change of a synced table returns is not supported",
                    "Run the statement itself with RETURNING.",
                ))
            }
            _ => Kind::Relayed,
        };
    }
    let Some(relation) = &copy.relation else { return Kind::Relayed };
    let target = target(&SqlName::of(relation), catalog);
    if target == Target::Cannot {
        return Kind::Relayed;
    }
    let known_target = match &target {
        Target::Synced(table) => sole(table),
        Target::May | Target::Cannot => None,
    };
    let from_client = copy.filename.is_empty() && !copy.is_program;
    Kind::Captured(Box::new(PossibleWrite { known_target, copy: from_client, ..PossibleWrite::default() }))
}

#[cfg(test)]
#[path = "decide_tests.rs"]
mod tests;
