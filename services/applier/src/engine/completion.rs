//! What came back from calls, look-ups, appends and reads.

use upwrite_connectors::{CallRow, LookupResult, UpstreamError};
use upwrite_event_log::{LogError, Moment, PgClock};
use upwrite_events::{LocalInterval, OwnerId, Position, RowChange, TableSpec};

use super::append::{Acknowledgement, Purpose};
use super::calls::CallEnd;
use super::lanes::{LaneKey, Ticket};
use super::start::Start;
use super::{Driver, JobId, Term};
use crate::ApplierError;
use crate::core::Finding;
use crate::projections::ProjectionError;

/// The end of something that ran beside the driver.
pub(crate) enum Completion {
    /// What a term starts from has been read.
    Started {
        term: Term,
        result: Box<Result<Start, ApplierError>>,
    },
    Called {
        key: LaneKey,
        tickets: Vec<Ticket>,
        called: CallEnd,
        ended: Moment,
    },
    LookedUp {
        key: LaneKey,
        tickets: Vec<Ticket>,
        result: Result<(Vec<LookupResult>, LocalInterval), UpstreamError>,
        changes: Vec<(CallRow, RowChange)>,
        begun: Moment,
    },
    ReadBack {
        id: JobId,
        result: Result<Vec<Finding>, UpstreamError>,
    },
    Appended {
        term: Term,
        purpose: Purpose,
        result: Result<Acknowledgement, LogError>,
    },
    /// One try to take a partition, under an owner id of its own.
    Marker {
        term: Term,
        owner: OwnerId,
        sent: Moment,
        result: Result<Vec<Position>, LogError>,
    },
    Tables(Result<Vec<TableSpec>, ProjectionError>),
    Clock(Result<PgClock, ProjectionError>),
}

impl Driver {
    pub(super) fn done(&mut self, completion: Completion) -> Result<(), ApplierError> {
        match completion {
            Completion::Started { term, result } => self.started(term, *result)?,
            Completion::Called { key, tickets, called, ended } => self.called(&key, tickets, called, ended),
            Completion::LookedUp { key, tickets, result, changes, begun } => {
                self.count(&key, -1);
                self.looked_up(&key, tickets, result, changes, begun);
            }
            Completion::ReadBack { id, result } => self.read_back(id, result),
            Completion::Appended { term, purpose, result } => self.appended(term, purpose, result?),
            Completion::Marker { term, owner, sent, result } => self.marked(term, owner, sent, result)?,
            Completion::Tables(result) => self.tables_read(result),
            Completion::Clock(result) => {
                match result {
                    Ok(pg_clock) => self.pg_clock = pg_clock,
                    Err(error) => tracing::warn!(error = &error as &dyn std::error::Error, "clock not measured"),
                }
                self.sample_clock_later();
            }
        }
        Ok(())
    }
}
