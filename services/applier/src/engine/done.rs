//! What came back from calls, look-ups, appends and reads.

use upwrite_connectors::{CallRow, Found, UpstreamError};
use upwrite_event_log::{LogError, Moment, PgClock};
use upwrite_events::{LocalInterval, OwnerId, Position, RowChange, TableSpec};

use super::append::{Appended, Purpose};
use super::calls::Called;
use super::lanes::{LaneKey, Ticket};
use super::start::Start;
use super::{Driver, JobId, Tenure};
use crate::ApplierError;
use crate::core::Finding;
use crate::projections::ProjectionError;

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
        result: Result<(Vec<Found>, LocalInterval), UpstreamError>,
        changes: Vec<(CallRow, RowChange)>,
        begun: Moment,
    },
    ReadBack {
        id: JobId,
        result: Result<Vec<Finding>, UpstreamError>,
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
    Clock(Result<PgClock, ProjectionError>),
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
                    Ok(pg_clock) => self.pg_clock = pg_clock,
                    Err(error) => tracing::warn!(error = &error as &dyn std::error::Error, "clock not measured"),
                }
                self.sample_clock_later();
            }
        }
        Ok(())
    }
}
