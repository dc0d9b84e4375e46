//! Log records → what is to be written. Pure.

use std::collections::{HashMap, HashSet};

use upwrite_event_log::LogRecord;
use upwrite_events::{
    AppliedRow, Event, IllegalTransition, Interval, MutationId, ObservedRow, Op, Partition, PartitionFold, Position,
    RecordsObserved, Row, RowChange, Stream, TableName, TableSpec, Transition, is_own_column,
};

use crate::merge::Image;
use crate::plan::{Advance, DeadLetter, EarlyClaim, Plan};
use crate::state::{State, Tracked};
use crate::status::Status;

/// Why an event was not folded in.
struct FoldError {
    reason: String,
    /// Its mutation, if this partition does not know that.
    unknown: Option<MutationId>,
}

impl FoldError {
    fn of(illegal: &IllegalTransition, event: &Event) -> Self {
        let is_unknown = matches!(illegal, IllegalTransition::UnknownMutation { .. });
        Self { reason: illegal.to_string(), unknown: event.mutation().filter(|_| is_unknown) }
    }
}

impl State {
    /// Folds a batch in and says what it amounts to.
    pub(crate) fn plan(&mut self, records: Vec<LogRecord>) -> Plan {
        let mut plan = Plan::default();
        let mut seen = HashSet::new();
        for record in records {
            let (partition, next, stamp_us) = (record.partition, record.position.next(), record.appended_at_us);
            let folded = match record {
                LogRecord { event: Ok(Event::RecordsObserved(observed)), .. } => {
                    self.observe(partition, observed, &mut plan);
                    Ok(None)
                }
                LogRecord { event: Ok(ref event), position, .. } => {
                    let folded = self.fold(partition, position, stamp_us, event, &mut plan);
                    folded.map_err(|FoldError { reason, unknown }| (unknown, DeadLetter { record, reason }))
                }
                LogRecord { event: Err(ref undecodable), .. } => {
                    let reason = undecodable.reason.clone();
                    Err((None, DeadLetter { record, reason }))
                }
            };
            match folded {
                Ok(Some(mutation)) if seen.insert(mutation) => plan.touched.push(mutation),
                Ok(_) => {}
                Err((Some(unknown), letter)) => plan.unknown.push((unknown, letter)),
                Err((None, letter)) => plan.dead.push(letter),
            }
            let owner = self.folds.get(&partition.number).and_then(PartitionFold::owner);
            plan.positions.insert(partition, Advance { next, owner, stamp_us });
        }
        // Claims are taken in one order everywhere, so that no two transactions wait for each other.
        plan.early_claims.sort_by(|a, b| (&a.table, &a.key).cmp(&(&b.table, &b.key)));
        plan
    }

    /// One event of the mutations stream. `Some`: that mutation's status changed.
    fn fold(
        &mut self,
        partition: Partition,
        position: Position,
        appended_at_us: i64,
        event: &Event,
        plan: &mut Plan,
    ) -> Result<Option<MutationId>, FoldError> {
        if partition.stream != Stream::Mutations {
            let reason = format!("{} does not belong into the stream of observations", event.name());
            return Err(FoldError { reason, unknown: None });
        }
        if let Event::MutationOutlivedRollback(outlived) = event
            && !self.tracked.contains_key(&outlived.mutation)
        {
            plan.outlived.push(outlived.mutation);
            return Ok(None);
        }
        let fold = self.folds.entry(partition.number).or_default();
        let Transition::Changed(mutation) =
            fold.apply(position, event).map_err(|illegal| FoldError::of(&illegal, event))?
        else {
            return Ok(None);
        };
        let Some(life) = fold.get(mutation).cloned() else { return Ok(None) };
        self.begin(mutation, partition, position, appended_at_us, event);
        let Some(tracked) = self.tracked.get_mut(&mutation) else { return Ok(None) };
        tracked.status.fold(&life);
        let status = &mut tracked.status;
        match event {
            Event::MutationRequested(_) => status.accepted_at_us = Some(appended_at_us),
            Event::MutationAttempted(attempted) => status.attempted_at_us = Some(attempted.attempted_at_us),
            Event::MutationDeferred(_) => status.attempted_at_us = Some(appended_at_us),
            Event::MutationApplied(applied) => {
                status.answered_at_us = Some(appended_at_us);
                // The interval is widened by the clocks' error: it may begin before the request was accepted.
                let begun = applied.rows.first().map(|row| row.seen.begun_us);
                status.attempted_at_us = status.attempted_at_us.or(begun.max(status.accepted_at_us));
                outcome_images(&self.specs, tracked, &applied.rows, plan);
            }
            Event::MutationRejected(_)
            | Event::MutationInDoubt(_)
            | Event::MutationRevoked(_)
            | Event::MutationDead(_) => {
                status.answered_at_us = Some(appended_at_us);
            }
            Event::MutationSettled(settled) => settled_images(tracked, &settled.rows, plan),
            Event::MutationVoided(_)
            | Event::RevocationRequested(_)
            | Event::MutationRedriven(_)
            | Event::MutationOutlivedRollback(_)
            | Event::PartitionTaken(_)
            | Event::PartitionReleased(_)
            | Event::RecordsObserved(_) => {}
        }
        Ok(Some(mutation))
    }

    fn begin(&mut self, id: MutationId, partition: Partition, position: Position, at_us: i64, event: &Event) {
        let (request, status) = match event {
            Event::MutationRequested(request) => {
                (Some(request.clone()), Status::requested(request, partition.number, position))
            }
            Event::MutationVoided(_) => (None, Status::unknown(id.0, partition.number, position, at_us)),
            _ => return,
        };
        self.tracked.entry(id).or_insert(Tracked { request, status, parked: 0 });
    }

    fn observe(&self, origin: Partition, observed: RecordsObserved, plan: &mut Plan) {
        let RecordsObserved { table, seen, rows, .. } = observed;
        let spec = self.specs.get(&table);
        let created_by = |row: &ObservedRow| {
            let column = spec?.idempotency_column.as_deref()?;
            let key = row.image.as_ref()?.get(column)?.as_deref()?;
            // Only Postgres knows whether it is finished: it may be in a partition of another process.
            MutationId::of_idempotency_key(key)
        };
        for row in rows {
            if let (Some(mutation), Some(spec)) = (created_by(&row), spec) {
                let claim = spec.record_claim(&row.key);
                plan.early_claims.push(EarlyClaim { table: claim.table, key: claim.key.0, mutation });
            }
            let image = Image {
                key: row.key,
                row: row.image,
                vendor_version: row.vendor_version,
                seen,
                mutation: None,
                origin,
            };
            plan.images.push((table.clone(), image));
        }
    }
}

/// Images of rows that upstream accepted.
fn outcome_images(specs: &HashMap<TableName, TableSpec>, tracked: &Tracked, rows: &[AppliedRow], plan: &mut Plan) {
    for applied in rows {
        let Some(change) = change_of(tracked, applied.row) else { continue };
        let row = match (change.op, &applied.image) {
            (Op::Delete, _) => None,
            (_, Some(image)) => Some(image.clone()),
            (_, None) => {
                // Not readable yet: what was asked for stands in until the record has been read by id.
                plan.rereads.push((change.table.clone(), applied.key.clone()));
                Some(stand_in(specs, change, &applied.key))
            }
        };
        plan.created += usize::from(change.op == Op::Insert);
        let mutation = Some(MutationId(tracked.status.id));
        push(plan, change, applied, row, &tracked.status, mutation);
    }
}

/// Images that were read back once no late effect was possible any more. In the order of claims, like outcomes, but for
/// those of a create: its claims do not cover the real id, so that others may have changed the record since it was read.
/// They count as seen, not as made.
fn settled_images(tracked: &Tracked, rows: &[AppliedRow], plan: &mut Plan) {
    for applied in rows {
        let Some(change) = change_of(tracked, applied.row) else { continue };
        let mutation = (change.op != Op::Insert).then_some(MutationId(tracked.status.id));
        match (&applied.image, change.op) {
            (Some(image), _) => push(plan, change, applied, Some(image.clone()), &tracked.status, mutation),
            (None, Op::Delete) => push(plan, change, applied, None, &tracked.status, mutation),
            (None, _) => plan.rereads.push((change.table.clone(), applied.key.clone())),
        }
    }
}

fn change_of(tracked: &Tracked, row: u32) -> Option<&RowChange> {
    tracked.request.as_ref()?.rows.get(row as usize)
}

fn push(
    plan: &mut Plan,
    change: &RowChange,
    applied: &AppliedRow,
    row: Option<Row>,
    status: &Status,
    mutation: Option<MutationId>,
) {
    let image = Image {
        key: applied.key.clone(),
        row,
        vendor_version: applied.vendor_version.clone(),
        seen: widened(applied.seen),
        mutation,
        origin: Partition { stream: Stream::Mutations, number: u16::try_from(status.partition).unwrap_or_default() },
    };
    plan.images.push((change.table.clone(), image));
}

/// An interval that ends before it begins would order nothing; it cannot come from a well-behaved applier.
fn widened(seen: Interval) -> Interval {
    Interval { begun_us: seen.begun_us.min(seen.ended_us), ended_us: seen.ended_us.max(seen.begun_us) }
}

fn stand_in(specs: &HashMap<TableName, TableSpec>, change: &RowChange, key: &str) -> Row {
    let mut row = change.old.clone();
    row.extend(change.changed.clone());
    // Upwrite's own columns are the reconciler's to set.
    row.retain(|column, _| !is_own_column(column));
    if let Some(spec) = specs.get(&change.table) {
        row.insert(spec.key.clone(), Some(key.to_owned()));
    }
    row
}
