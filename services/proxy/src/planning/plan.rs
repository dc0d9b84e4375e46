//! The plan of a mutation.

use std::collections::{BTreeSet, HashSet};

use upwrite_event_log::{Submission, VersionCheck};
use upwrite_events::{
    Claim, MAX_EVENT_BYTES, MAX_ROWS_PER_MUTATION, MutationId, MutationRequested, Op, RowChange, TableName,
    is_text_placeholder,
};

use super::captured_row::CapturedRow;
use super::error::PlanError;
use super::fold::{Fold, fold};
use super::locks::{self, Lock};
use super::returned_keys::ReturnedKeys;
use super::session_settings::{self, SessionSettings};
use super::upwrite_settings::{Apply, OnRollback};
use super::{columns, refuse};
use crate::catalog::Catalog;
use crate::returning::Placeholders;

/// What a dry run brought back.
#[derive(Debug, Clone)]
pub struct DryRun<'a> {
    /// In the order of `seq`.
    pub images: &'a [CapturedRow],
    /// Text (JSON) of `session` in `upwrite.dry_run(secret)`, read after the statement.
    pub session: &'a str,
    /// Inside the client's block: text (JSON) of `upwrite.mark()`, read before the statement. `None`: autocommit.
    pub mark: Option<&'a str>,
}

/// What a dry run amounts to.
#[derive(Debug, Clone)]
pub enum Conclusion {
    /// No synced table was written: let it commit as it stands.
    Nothing,
    /// Records were written, none of them changed: answer from the dry run, nothing goes upstream.
    Unchanged,
    Mutation(Box<Plan>),
}

/// Everything that a submission needs but the mutation's id and time.
#[derive(Debug, Clone)]
pub struct Plan {
    /// In captured order, one per record.
    pub rows: Vec<RowChange>,
    pub claims: Vec<Claim>,
    pub versions: Vec<VersionCheck>,
    pub settings: SessionSettings,
    pub in_block: bool,
    /// The rows whose keys are placeholders.
    created: Vec<usize>,
    returned: ReturnedKeys,
}

/// Reads, checks and folds what was captured.
pub fn plan(run: &DryRun<'_>, catalog: &Catalog) -> Result<Conclusion, PlanError> {
    if run.images.is_empty() {
        return Ok(Conclusion::Nothing);
    }
    let (settings, after) = session_settings::read(run.session)?;
    let before = run.mark.map(locks::mark).transpose()?;
    check_settings(&settings, before.is_some())?;
    let written = locks::written_besides(before.as_deref(), &after);
    if !written.is_empty() {
        return Err(refuse::mixed(&written));
    }
    let folded = fold(run.images, catalog)?;
    let Some(plan) = changes(&folded, settings, before.is_some())? else { return Ok(Conclusion::Unchanged) };
    check_rows(&plan.rows, catalog)?;
    check_locks(before.as_deref(), &folded)?;
    Ok(Conclusion::Mutation(Box::new(plan)))
}

/// The rows that go upstream, with their claims; `None`: nothing changed.
fn changes(folded: &Fold, settings: SessionSettings, in_block: bool) -> Result<Option<Plan>, PlanError> {
    let (mut rows, mut versions, mut created) = (Vec::new(), Vec::new(), Vec::new());
    let mut claims = BTreeSet::new();
    let mut row_of = Vec::with_capacity(folded.records.len());
    for record in &folded.records {
        let Some(change) = columns::change(record)? else {
            row_of.push(None);
            continue;
        };
        let spec = &record.table.spec;
        claims.append(&mut spec.claims_of(&change));
        versions.extend(columns::version_check(spec, &change));
        if change.op == Op::Insert && spec.is_placeholder(&change.key) {
            created.push(rows.len());
        }
        row_of.push(Some(rows.len()));
        rows.push(change);
        if rows.len() > MAX_ROWS_PER_MUTATION {
            return Err(refuse::too_many_rows());
        }
    }
    if rows.is_empty() {
        return Ok(None);
    }
    let returned = ReturnedKeys::new(folded, &row_of);
    Ok(Some(Plan { rows, claims: claims.into_iter().collect(), versions, settings, in_block, created, returned }))
}

fn check_settings(settings: &SessionSettings, in_block: bool) -> Result<(), PlanError> {
    if settings.upwrite.idempotency_key.is_some() {
        return Err(refuse::not_built("upwrite.idempotency_key", "RESET upwrite.idempotency_key."));
    }
    if !in_block {
        return Ok(());
    }
    match settings.upwrite.on_rollback {
        OnRollback::Warn => {}
        OnRollback::Refuse => return Err(refuse::on_rollback_refuse()),
        OnRollback::Compensate => {
            return Err(refuse::not_built("upwrite.on_rollback = compensate", "Set it to warn or refuse."));
        }
    }
    if settings.upwrite.apply == Apply::Commit {
        return Err(refuse::not_built("upwrite.apply = commit", "Set it to statement."));
    }
    match settings.isolation.as_str() {
        // Postgres treats the first as the second.
        "read uncommitted" | "read committed" => Ok(()),
        level => Err(refuse::isolation(level)),
    }
}

/// What upstream can make all or none: one source, one table, one operation. No vendor makes changes
/// of different kinds all or none, and half a statement must not be the ordinary case.
fn check_rows(rows: &[RowChange], catalog: &Catalog) -> Result<(), PlanError> {
    let Some(first) = rows.first() else { return Ok(()) };
    if let Some(other) = rows.iter().find(|row| row.table.source != first.table.source) {
        return Err(refuse::several_sources(&first.table, &other.table));
    }
    if rows.iter().any(|row| row.table != first.table || row.op != first.op) {
        return Err(refuse::several_kinds());
    }
    if rows.iter().map(size).sum::<usize>() > MAX_EVENT_BYTES {
        return Err(refuse::too_large_altogether());
    }
    check_references(rows, catalog)
}

/// No placeholder goes upstream. `rows`: of one table.
fn check_references(rows: &[RowChange], catalog: &Catalog) -> Result<(), PlanError> {
    let created: HashSet<&str> = rows.iter().filter(|row| row.op == Op::Insert).map(|row| row.key.as_str()).collect();
    for row in rows {
        for (column, value) in row.changed.iter().filter_map(|(column, value)| Some((column, value.as_deref()?))) {
            match referred(catalog, &row.table, column, value) {
                Some(table) if table == row.table && created.contains(value) => {
                    return Err(refuse::reference_within(&row.table, column));
                }
                Some(_) => return Err(refuse::unknown_placeholder(&row.table, column)),
                None => {}
            }
        }
    }
    Ok(())
}

/// The table that the value is a placeholder of.
fn referred(catalog: &Catalog, table: &TableName, column: &str, value: &str) -> Option<TableName> {
    if is_text_placeholder(value) {
        // It says nothing of its table, and is no other's: let it be of this one.
        return Some(table.clone());
    }
    let column = catalog.by_name(table)?.spec.column(column)?;
    let target = catalog.by_name(&TableName::new(table.source.as_str(), column.references.as_deref()?))?;
    column.names_placeholder(value, &target.spec).then(|| target.name().clone())
}

/// An upper estimate of a row's size in the event: text, and a few bytes around each.
fn size(row: &RowChange) -> usize {
    const AROUND: usize = 16;
    let columns = row.changed.iter().chain(&row.old);
    let columns =
        columns.map(|(name, value)| name.len() + value.as_ref().map_or(0, String::len) + AROUND).sum::<usize>();
    row.key.len() + row.table.source.len() + row.table.table.len() + 4 * AROUND + columns
}

fn check_locks(before: Option<&[Lock]>, folded: &Fold) -> Result<(), PlanError> {
    let relations: Vec<u32> = folded.records.iter().map(|record| record.table.relation).collect();
    match before.and_then(|before| locks::hindered(before, &relations)) {
        Some(name) => Err(refuse::row_locks(name)),
        None => Ok(()),
    }
}

impl Plan {
    /// The submission under a new id. `now_us`: Unix time in microseconds.
    pub fn submission(&self, mutation: MutationId, now_us: i64) -> Submission {
        let request = MutationRequested {
            mutation,
            requested_at_us: now_us,
            database: self.settings.database.clone(),
            user: self.settings.user.clone(),
            application_name: self.settings.application_name.clone(),
            ack: self.settings.upwrite.ack,
            in_block: self.in_block,
            client_key: None,
            traceparent: self.settings.upwrite.traceparent.clone(),
            redrive_of: None,
            rows: self.rows.clone(),
        };
        Submission { claims: self.claims.clone(), versions: self.versions.clone(), request }
    }

    /// The placeholders that the statement made, for [`Placeholders::check`] before the append. After the verdict: with
    /// the real keys, in row order.
    pub fn placeholders(&self, keys: Option<&[String]>) -> Placeholders {
        let created = self.created.iter().filter_map(|index| Some((self.rows.get(*index)?.key.clone(), *index)));
        Placeholders::new(created.map(|(key, index)| (key, keys.and_then(|keys| keys.get(index).cloned()))))
    }

    /// The keys for [`crate::returning::Reevaluation::sql`], in captured order, one for each row that the plain statement
    /// returned. `keys`: of the verdict. `None` if the images do not pair with the `returned` rows of the dry run (a user's
    /// trigger wrote more): then answer from the buffered rows.
    pub fn returned_keys(&self, op: Op, returned: usize, keys: &[String]) -> Option<(TableName, Vec<String>)> {
        self.returned.keys(op, returned, keys)
    }
}

#[cfg(test)]
#[path = "plan_tests.rs"]
mod tests;
