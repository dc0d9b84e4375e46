//! What calls and look-ups came to, handed to the jobs.

use std::sync::Arc;

use upwrite_connectors::{CallRow, LookupResult, RowResult, UpstreamError};
use upwrite_event_log::Moment;
use upwrite_events::{Interval, LocalInterval, MutationId, Outcome, RowChange};

use super::calls::CallEnd;
use super::lanes::{Kind, LaneKey, Ticket};
use super::{Driver, SlotState, call_metrics};
use crate::core::{RowOutcome, Seen, Times, judge, same_by};

impl Driver {
    pub(super) fn called(&mut self, key: &LaneKey, tickets: Vec<Ticket>, called: CallEnd, ended: Moment) {
        self.count(key, -1);
        let (report, begun) = match called {
            CallEnd::Answered { report, begun } => (report, begun),
            CallEnd::NotSent => {
                for ticket in tickets {
                    let Some(slot) = self.slots.get_mut(&ticket.job) else { continue };
                    slot.job.not_sent(&ticket.rows);
                    slot.state = SlotState::Idle;
                    if slot.job.revoke || !self.sends(ticket.job.term) {
                        // It need not be sent any more, or not by us.
                        self.advance(ticket.job);
                    } else {
                        self.enqueue(ticket.job, ticket.rows, Kind::Send);
                    }
                }
                return;
            }
        };
        call_metrics::record(key, &report, ended.since(begun));
        let now = self.environment.clock.now();
        let interval = self.pg_clock.convert(report.seen, now);
        let late_effect = self.tables.get(&key.table).map(|table| table.capabilities.late_effect).unwrap_or_default();
        let mut results = report.rows.into_iter();
        for ticket in tickets {
            let answers = results.by_ref().take(ticket.rows.len()).map(|row| answer(row, interval)).collect::<Vec<_>>();
            let Some(slot) = self.slots.get_mut(&ticket.job) else { continue };
            log_outcomes(ticket.job.mutation, &answers);
            // Sent at some point before its end: counted from there, a late effect is never missed.
            let delay = self.delays.after(slot.job.failures());
            let times = Times { now, late_until: ended + late_effect, delay };
            slot.job.answered(&ticket.rows, answers, begun, times);
            slot.state = SlotState::Idle;
            self.advance(ticket.job);
        }
    }

    pub(super) fn looked_up(
        &mut self,
        key: &LaneKey,
        tickets: Vec<Ticket>,
        result: Result<(Vec<LookupResult>, LocalInterval), UpstreamError>,
        changes: Vec<(CallRow, RowChange)>,
        begun: Moment,
    ) {
        let now = self.environment.clock.now();
        let tables = Arc::clone(&self.tables);
        let upstreams = Arc::clone(&self.environment.upstreams);
        let (Some(table), Some(upstream)) = (tables.get(&key.table), upstreams.get(&key.table.source)) else { return };
        let same = same_by(&*upstream.connector);
        let mut looks = result.map(|(found, seen)| {
            let interval = self.pg_clock.convert(seen, now);
            let judged = found.into_iter().zip(&changes).map(|(found, (row, change))| {
                let change = RowChange { changed: row.changed.clone(), ..change.clone() };
                judge(&table.spec, &same, &change, found, interval)
            });
            judged.collect::<Vec<_>>().into_iter()
        });
        for ticket in tickets {
            let Some(slot) = self.slots.get_mut(&ticket.job) else { continue };
            match &mut looks {
                Ok(looks) => {
                    let looks = looks.by_ref().take(ticket.rows.len()).collect();
                    slot.job.looked_up(&ticket.rows, looks, begun);
                }
                Err(error) => {
                    tracing::debug!(mutation = %ticket.job.mutation, class = ?error.failure.class, "look-up failed");
                    let delay = self.delays.after(slot.job.failures());
                    slot.job.look_failed(&ticket.rows, error, now, delay);
                }
            }
            slot.state = SlotState::Idle;
            self.advance(ticket.job);
        }
    }
}

fn answer(row: RowResult, interval: Interval) -> RowOutcome {
    match row {
        RowResult::Applied { key, image, vendor_version } => {
            RowOutcome::Applied(Seen { key, image, vendor_version, interval })
        }
        RowResult::Failed(error) => RowOutcome::Failed(error),
    }
}

/// For people: ids and classes, never values.
fn log_outcomes(mutation: MutationId, answers: &[RowOutcome]) {
    let failed = answers.iter().find_map(|answer| match answer {
        RowOutcome::Failed(error) => Some(&error.failure),
        RowOutcome::Applied(_) => None,
    });
    match failed {
        None => tracing::debug!(%mutation, rows = answers.len(), "applied"),
        Some(failure) if failure.outcome == Outcome::Unknown => {
            tracing::info!(%mutation, class = ?failure.class, "answer lost");
        }
        Some(failure) => {
            let code = failure.upstream_code.as_deref();
            tracing::debug!(%mutation, class = ?failure.class, sqlstate = %failure.sqlstate, code, "failed");
        }
    }
}
