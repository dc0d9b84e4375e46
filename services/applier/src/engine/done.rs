//! What came back from calls, look-ups, appends and reads.

use upwrite_connectors::{CallRow, LookupResult, RowResult, UpstreamError};
use upwrite_event_log::LogError;
use upwrite_events::{Interval, Outcome, OwnerId, Position, RowChange, TableSpec};

use super::append::{self, Appended};
use super::calls::Called;
use super::lanes::{Kind, LaneKey, Ticket};
use super::partition::Stage;
use super::start::Start;
use super::upstream::Tables;
use super::{At, Driver, JobId, Tenure};
use crate::core::{Answer, Look, Question, Seen, Times, judge, same_by};
use crate::pg_clock::PgOffset;
use crate::projections::ProjectionError;
use crate::{ApplierError, Moment};

/// What an append was for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Purpose {
    /// Only the lease.
    Renewal,
    Outcome(JobId),
    Deferred(JobId),
    Attempted(JobId, Vec<u32>),
    Settled(JobId),
    TurnedAway,
    Released,
}

/// The end of something that ran beside the driver.
pub(crate) enum Done {
    /// What a tenure starts from has been read.
    Started {
        tenure: Tenure,
        result: Box<Result<Start, ApplierError>>,
    },
    Called {
        key: LaneKey,
        tickets: Vec<Ticket>,
        called: Called,
        ended: Moment,
    },
    LookedUp {
        key: LaneKey,
        tickets: Vec<Ticket>,
        result: Result<(Vec<LookupResult>, Interval), UpstreamError>,
        changes: Vec<(CallRow, RowChange)>,
        begun: Moment,
    },
    ReadBack {
        id: JobId,
        result: Result<Vec<(Question, Look)>, UpstreamError>,
    },
    Appended {
        tenure: Tenure,
        purpose: Purpose,
        result: Result<Appended, LogError>,
    },
    /// One try to take a partition, under an owner id of its own.
    Marker {
        tenure: Tenure,
        owner: OwnerId,
        sent: Moment,
        result: Result<Vec<Position>, LogError>,
    },
    Tables(Result<Vec<TableSpec>, ProjectionError>),
    Clock(Result<PgOffset, ProjectionError>),
}

impl Driver {
    pub(super) fn done(&mut self, done: Done) -> Result<(), ApplierError> {
        match done {
            Done::Started { tenure, result } => self.started(tenure, *result)?,
            Done::Called { key, tickets, called, ended } => self.called(&key, tickets, called, ended),
            Done::LookedUp { key, tickets, result, changes, begun } => {
                self.count(&key, -1);
                self.looked_up(&key, tickets, result, changes, begun);
            }
            Done::ReadBack { id, result } => self.read_back(id, result),
            Done::Appended { tenure, purpose, result } => self.appended(tenure, purpose, result?),
            Done::Marker { tenure, owner, sent, result } => self.marked(tenure, owner, sent, result)?,
            Done::Tables(result) => self.tables_read(result),
            Done::Clock(result) => {
                match result {
                    Ok(offset) => self.offset = offset,
                    Err(error) => tracing::warn!(error = &error as &dyn std::error::Error, "clock not measured"),
                }
                self.sample_clock_later();
            }
        }
        Ok(())
    }

    fn called(&mut self, key: &LaneKey, tickets: Vec<Ticket>, called: Called, ended: Moment) {
        self.count(key, -1);
        let (report, begun) = match called {
            Called::Answered { report, begun } => (report, begun),
            Called::NotSent => {
                for ticket in tickets {
                    let Some(slot) = self.slots.get_mut(&ticket.job) else { continue };
                    slot.job.not_sent(&ticket.rows);
                    slot.at = At::Idle;
                    if slot.job.revoke || !self.sends(ticket.job.tenure) {
                        // It need not be sent any more, or not by us.
                        self.advance(ticket.job);
                    } else {
                        self.enqueue(ticket.job, ticket.rows, Kind::Send);
                    }
                }
                return;
            }
        };
        super::publish::called(key, &report, ended.since(begun));
        let now = self.outside.clock.now();
        let interval = self.offset.convert(report.seen, now);
        let late_effect = self.tables.get(&key.table).map(|table| table.capabilities.late_effect).unwrap_or_default();
        let mut results = report.rows.into_iter();
        for ticket in tickets {
            let answers = results.by_ref().take(ticket.rows.len()).map(|row| answer(row, interval)).collect::<Vec<_>>();
            let Some(slot) = self.slots.get_mut(&ticket.job) else { continue };
            tell(ticket.job.mutation, &answers);
            // Sent at some point before its end: counted from there, a late effect is never missed.
            let delay = self.delays.after(slot.job.failures());
            let times = Times { now, late_until: ended + late_effect, delay };
            slot.job.answered(&ticket.rows, answers, begun, times);
            slot.at = At::Idle;
            self.advance(ticket.job);
        }
    }

    fn looked_up(
        &mut self,
        key: &LaneKey,
        tickets: Vec<Ticket>,
        result: Result<(Vec<LookupResult>, Interval), UpstreamError>,
        changes: Vec<(CallRow, RowChange)>,
        begun: Moment,
    ) {
        let now = self.outside.clock.now();
        let tables = std::sync::Arc::clone(&self.tables);
        let upstreams = std::sync::Arc::clone(&self.outside.upstreams);
        let (Some(table), Some(upstream)) = (tables.get(&key.table), upstreams.get(&key.table.source)) else { return };
        let same = same_by(&*upstream.connector);
        let mut looks = result.map(|(found, seen)| {
            let interval = self.offset.convert(seen, now);
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
            slot.at = At::Idle;
            self.advance(ticket.job);
        }
    }

    /// Appends beside the driver. Whatever it is for, it renews the lease once it is read back.
    pub(super) fn append(&mut self, tenure: Tenure, events: Vec<upwrite_events::Event>, purpose: Purpose) {
        let Some(owned) = self.tenures.get_mut(&tenure) else { return };
        owned.appending += 1;
        let partition = owned.partition;
        let (log, clock) = (std::sync::Arc::clone(&self.outside.log), std::sync::Arc::clone(&self.outside.clock));
        let delays = self.delays.clone();
        self.tasks.spawn(async move {
            let result = append::append(log, clock, delays, partition, events).await;
            Done::Appended { tenure, purpose, result }
        });
    }

    fn appended(&mut self, tenure: Tenure, purpose: Purpose, done: Appended) {
        let Some(owned) = self.tenures.get_mut(&tenure) else { return };
        owned.appending -= 1;
        owned.acknowledged(done.position, done.sent);
        self.confirm(tenure);
        let Some(owned) = self.tenures.get_mut(&tenure) else { return };
        match purpose {
            Purpose::Renewal => {}
            Purpose::Outcome(id) => {
                if let Some(slot) = self.slots.get_mut(&id) {
                    slot.job.recorded();
                }
                self.leave(id, At::Busy);
            }
            Purpose::Deferred(id) => self.leave(id, At::Busy),
            // Nobody reads it back for us any more.
            Purpose::Attempted(id, _) if owned.stage != Stage::Owner => {
                self.slots.remove(&id);
            }
            Purpose::Attempted(id, rows) => {
                owned.announced.push((done.position, id, rows));
                for (id, rows) in owned.take_announced() {
                    self.announced(id, rows);
                }
            }
            Purpose::Settled(id) => {
                self.slots.remove(&id);
                tracing::debug!(mutation = %id.mutation, "settled");
            }
            Purpose::TurnedAway => {}
            Purpose::Released => owned.released = true,
        }
    }

    /// If the lease was renewed, those who waited for it go on.
    pub(super) fn confirm(&mut self, tenure: Tenure) {
        let Some(owned) = self.tenures.get_mut(&tenure) else { return };
        if owned.confirm() {
            for id in std::mem::take(&mut owned.waiting) {
                self.leave(id, At::WaitsForLease);
            }
        }
    }

    /// Back to idle, and on.
    fn leave(&mut self, id: JobId, from: At) {
        let Some(slot) = self.slots.get_mut(&id).filter(|slot| slot.at == from) else { return };
        slot.at = At::Idle;
        if self.tenures.get(&id.tenure).is_some_and(|owned| owned.stage == Stage::Owner) {
            self.advance(id);
        } else {
            self.slots.remove(&id);
        }
    }

    fn tables_read(&mut self, result: Result<Vec<TableSpec>, ProjectionError>) {
        match result {
            Ok(specs) => {
                self.tables = std::sync::Arc::new(Tables::new(specs, &self.outside.upstreams));
                self.take_strangers_in();
            }
            Err(error) => {
                tracing::warn!(error = &error as &dyn std::error::Error, "tables not read, trying again");
                self.read_tables();
            }
        }
    }

    /// Reads `upwrite.tables`, after a moment.
    pub(super) fn read_tables(&mut self) {
        let outside = self.outside.clone();
        let delay = self.delays.after(1);
        self.tasks.spawn(async move {
            outside.clock.sleep_until(outside.clock.now() + delay).await;
            Done::Tables(outside.projections.tables().await)
        });
    }

    /// Measures Postgres's clock again after a while.
    pub(super) fn sample_clock_later(&mut self) {
        let outside = self.outside.clone();
        self.tasks.spawn(async move {
            outside.clock.sleep_until(outside.clock.now() + outside.config.clock_sample_every).await;
            Done::Clock(super::start::sample(&outside).await)
        });
    }
}

fn answer(row: RowResult, interval: Interval) -> Answer {
    match row {
        RowResult::Applied { key, image, vendor_version } => {
            Answer::Applied(Seen { key, image, vendor_version, interval })
        }
        RowResult::Failed(error) => Answer::Failed(error),
    }
}

/// For people: ids and classes, never values.
fn tell(mutation: upwrite_events::MutationId, answers: &[Answer]) {
    let failed = answers.iter().find_map(|answer| match answer {
        Answer::Failed(error) => Some(&error.failure),
        Answer::Applied(_) => None,
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
