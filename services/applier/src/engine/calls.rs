//! Calls and look-ups: one future each, that never panics and always ends in time.

use std::future::Future;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use futures::FutureExt;
use upwrite_connectors::{
    Call, CallReport, CallRow, Idempotency, LookupResult, Priority, Reservation, RetryRule, RowResult, UpstreamError,
    with_priority,
};
use upwrite_events::{ErrorClass, Interval, Op, RowChange};

use super::upstream::{Table, Upstream};
use crate::core::no_answer;
use crate::{Clock, Moment};

/// What became of a call.
#[derive(Debug)]
pub(crate) enum Called {
    /// The lease ran out before the call began: nothing was sent.
    NotSent,
    Answered {
        report: CallReport,
        begun: Moment,
    },
}

/// One write call, with its rows read back where the answer does not carry them.
pub(crate) struct Writing {
    pub(crate) upstream: Upstream,
    pub(crate) table: Arc<Table>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) op: Op,
    pub(crate) rows: Vec<CallRow>,
    pub(crate) atomic: bool,
    /// The lease allows a start until then.
    pub(crate) start_until: Moment,
    /// Of the budget, for the first request: a call that was started does not wait to be sent.
    pub(crate) reservation: Option<Reservation>,
}

impl Writing {
    pub(crate) async fn run(mut self) -> Called {
        let reservation = self.reservation.take();
        let begun = self.clock.now();
        if begun >= self.start_until {
            return Called::NotSent;
        }
        let begun_us = self.clock.unix_us();
        let call = Call { table: &self.table.spec, op: self.op, rows: &self.rows, atomic: self.atomic };
        // Whatever waits for the budget within the call waits within the timeout that the lease covers.
        let asked = with_priority(Priority::Write, reservation, self.upstream.connector.call(call));
        let answer = in_time(self.table.whole_timeout(), asked).await;
        let mut report = answer.unwrap_or_else(|(class, why)| {
            CallReport { rows: Vec::new(), seen: Interval { begun_us, ended_us: self.clock.unix_us() } }.filled(
                self.rows.len(),
                class,
                why,
            )
        });
        if report.rows.len() != self.rows.len() {
            report = report.filled(self.rows.len(), ErrorClass::Bug, "the connector did not answer for every row");
        }
        if self.op != Op::Delete {
            self.read_back(&mut report).await;
        }
        Called::Answered { report, begun }
    }

    /// An answer without the rows: ask for them at once. If that fails, they are read by id later.
    async fn read_back(&self, report: &mut CallReport) {
        let bare = |row: &RowResult| matches!(row, RowResult::Applied { image: None, .. });
        let keys: Vec<String> = report.rows.iter().filter(|row| bare(row)).filter_map(applied_key).collect();
        if keys.is_empty() {
            return;
        }
        // Upstream may want to be left alone for an hour; the outcome is known, and must not wait for that.
        let read = with_priority(Priority::Write, None, self.upstream.connector.read(&self.table.spec, &keys));
        let Ok(Ok((found, seen))) = in_time(self.table.whole_timeout(), read).await else { return };
        for (row, found) in report.rows.iter_mut().filter(|row| bare(row)).zip(found) {
            if let (
                RowResult::Applied { image, vendor_version, .. },
                LookupResult::Present { image: is, vendor_version: now, .. },
            ) = (row, found)
            {
                (*image, *vendor_version) = (Some(is), now);
            }
        }
        // The rows are as of the read, and the write was before it: one interval covers both.
        report.seen.ended_us = report.seen.ended_us.max(seen.ended_us);
    }
}

fn applied_key(row: &RowResult) -> Option<String> {
    match row {
        RowResult::Applied { key, .. } => Some(key.clone()),
        RowResult::Failed(_) => None,
    }
}

trait Filled {
    fn filled(self, rows: usize, class: ErrorClass, why: &str) -> Self;
}

impl Filled for CallReport {
    /// Every row's outcome is unknown.
    fn filled(mut self, rows: usize, class: ErrorClass, why: &str) -> Self {
        let error = UpstreamError { failure: no_answer(class, why), retry: RetryRule::Backoff };
        self.rows = vec![RowResult::Failed(error); rows];
        self
    }
}

/// What is asked about rows of one table and operation.
pub(crate) struct Looking {
    pub(crate) upstream: Upstream,
    pub(crate) table: Arc<Table>,
    pub(crate) op: Op,
    pub(crate) idempotency: Idempotency,
    /// With the keys by which the records are to be read.
    pub(crate) rows: Vec<(CallRow, RowChange)>,
    /// Nothing was sent before this, Unix microseconds.
    pub(crate) sent_at_us: i64,
    pub(crate) priority: Priority,
}

impl Looking {
    /// One answer per row, in order.
    pub(crate) async fn run(&self, reservation: Reservation) -> Result<(Vec<LookupResult>, Interval), UpstreamError> {
        let searched = self.op == Op::Insert && self.idempotency != Idempotency::ClientId;
        let rows: Vec<CallRow> = self.rows.iter().map(|(row, _)| row.clone()).collect();
        let answer = async {
            if searched {
                self.upstream.connector.find_created(&self.table.spec, &rows, self.sent_at_us).await
            } else {
                let keys: Vec<String> = rows.iter().map(|row| row.key.clone()).collect();
                self.upstream.connector.read(&self.table.spec, &keys).await
            }
        };
        let failed = |class, why: &str| UpstreamError { failure: no_answer(class, why), retry: RetryRule::Backoff };
        let asked = with_priority(self.priority, Some(reservation), answer);
        let (found, seen) =
            in_time(self.table.whole_timeout() * 2, asked).await.map_err(|(class, why)| failed(class, why))??;
        if found.len() != self.rows.len() {
            return Err(failed(ErrorClass::Bug, "the connector did not answer for every row"));
        }
        Ok((found, seen))
    }
}

/// A connector that takes too long or panics must not take others with it.
async fn in_time<T>(limit: Duration, work: impl Future<Output = T>) -> Result<T, (ErrorClass, &'static str)> {
    match tokio::time::timeout(limit, AssertUnwindSafe(work).catch_unwind()).await {
        Ok(Ok(answer)) => Ok(answer),
        Ok(Err(_)) => Err((ErrorClass::Bug, "the connector failed while it waited for the answer")),
        Err(_) => Err((ErrorClass::Timeout, "upstream did not answer in time")),
    }
}
