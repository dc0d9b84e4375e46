//! The plan of a mutation.

use std::collections::{BTreeSet, HashSet};

use upwrite_event_log::{Submission, VersionCheck};
use upwrite_events::{
    Claim, MAX_EVENT_BYTES, MAX_ROWS_PER_MUTATION, MutationId, MutationRequested, Op, RowChange, TableName,
    is_text_placeholder,
};

use super::fold::{Folded, fold};
use super::locks::{self, Lock};
use super::returned::Returned;
use super::settings::{Apply, OnRollback};
use super::{Session, columns, refuse, session};
use crate::catalog::Catalog;
use crate::error::PgError;
use crate::returning::Placeholders;

/// One change of `upwrite.dry_run(secret)`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Image {
    pub seq: i64,
    pub relation: u32,
    /// `i`, `u` or `d`.
    pub op: u8,
    /// Record text in UTF-8.
    pub old: Option<Vec<u8>>,
    pub new: Option<Vec<u8>>,
}

/// What a dry run left.
#[derive(Debug, Clone)]
pub struct DryRun<'a> {
    /// In the order of `seq`.
    pub images: &'a [Image],
    /// Text (JSON) of `session` in `upwrite.dry_run(secret)`, read after the statement.
    pub session: &'a str,
    /// Inside the client's block: text (JSON) of `upwrite.mark()`, read before the statement. `None`: autocommit.
    pub mark: Option<&'a str>,
}

/// What is to be done.
#[derive(Debug, Clone)]
pub enum Captured {
    /// Nothing was captured: let it commit as it stands.
    Nothing,
    /// Records were written, none of them changed: answer from the dry run, nothing goes upstream.
    Unchanged,
    Mutation(Box<Plan>),
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CaptureError {
    /// The snapshot does not know the relation or its columns as they are: refresh it and plan the same images again (once;
    /// [`CaptureError::into_error`] if it does not help).
    StaleCatalog(String),
    /// Tell the client; nothing was sent.
    Refused(PgError),
}

/// Everything that a submission needs but the mutation's id and time.
#[derive(Debug, Clone)]
pub struct Plan {
    /// In captured order, one per record.
    pub rows: Vec<RowChange>,
    pub claims: Vec<Claim>,
    pub versions: Vec<VersionCheck>,
    pub session: Session,
    pub in_block: bool,
    /// The rows whose keys are placeholders.
    created: Vec<usize>,
    returned: Returned,
}

/// Reads, checks and folds what was captured.
pub fn plan(run: &DryRun<'_>, catalog: &Catalog) -> Result<Captured, CaptureError> {
    if run.images.is_empty() {
        return Ok(Captured::Nothing);
    }
    let (session, after) = session::read(run.session)?;
    let before = run.mark.map(locks::mark).transpose()?;
    check_session(&session, before.is_some())?;
    let written = locks::written_besides(before.as_deref(), &after);
    if !written.is_empty() {
        return Err(refuse::mixed(&written));
    }
    let folded = fold(run.images, catalog)?;
    let Some(plan) = changes(&folded, session, before.is_some())? else { return Ok(Captured::Unchanged) };
    check_rows(&plan.rows, catalog)?;
    check_locks(before.as_deref(), &folded)?;
    Ok(Captured::Mutation(Box::new(plan)))
}

/// The rows that go upstream, with their claims; `None`: nothing changed.
fn changes(folded: &Folded, session: Session, in_block: bool) -> Result<Option<Plan>, CaptureError> {
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
    let returned = Returned::new(folded, &row_of);
    Ok(Some(Plan { rows, claims: claims.into_iter().collect(), versions, session, in_block, created, returned }))
}

fn check_session(session: &Session, in_block: bool) -> Result<(), CaptureError> {
    if session.settings.idempotency_key.is_some() {
        return Err(refuse::not_built("upwrite.idempotency_key", "RESET upwrite.idempotency_key."));
    }
    if !in_block {
        return Ok(());
    }
    match session.settings.on_rollback {
        OnRollback::Warn => {}
        OnRollback::Refuse => return Err(refuse::on_rollback_refuse()),
        OnRollback::Compensate => {
            return Err(refuse::not_built("upwrite.on_rollback = compensate", "Set it to warn or refuse."));
        }
    }
    if session.settings.apply == Apply::Commit {
        return Err(refuse::not_built("upwrite.apply = commit", "Set it to statement."));
    }
    match session.isolation.as_str() {
        // Postgres treats the first as the second.
        "read uncommitted" | "read committed" => Ok(()),
        level => Err(refuse::isolation(level)),
    }
}

/// What upstream can make all or none: one source, one table, one operation. Between statements of different kinds no vendor
/// does, and half of a statement must not be the ordinary case.
fn check_rows(rows: &[RowChange], catalog: &Catalog) -> Result<(), CaptureError> {
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
fn check_references(rows: &[RowChange], catalog: &Catalog) -> Result<(), CaptureError> {
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

fn check_locks(before: Option<&[Lock]>, folded: &Folded) -> Result<(), CaptureError> {
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
            database: self.session.database.clone(),
            user: self.session.user.clone(),
            application_name: self.session.application_name.clone(),
            ack: self.session.settings.ack,
            in_block: self.in_block,
            client_key: None,
            traceparent: self.session.settings.traceparent.clone(),
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

    /// The keys for [`crate::returning::Again::sql`], in captured order, one for each row that the plain statement
    /// returned. `keys`: of the verdict. `None` if the images do not pair with the `returned` rows of the dry run (a user's
    /// trigger wrote more): then answer from the buffered rows.
    pub fn returned_keys(&self, op: Op, returned: usize, keys: &[String]) -> Option<(TableName, Vec<String>)> {
        self.returned.keys(op, returned, keys)
    }
}

impl CaptureError {
    pub fn into_error(self) -> PgError {
        match self {
            Self::StaleCatalog(what) => PgError::error("XX000", format!("captured change cannot be read: {what}")),
            Self::Refused(error) => error,
        }
    }
}

#[cfg(test)]
#[path = "plan_tests.rs"]
mod tests;
