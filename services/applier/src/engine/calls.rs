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
use upwrite_event_log::{Clock, Moment};
use upwrite_events::{ErrorClass, LocalInterval, Op, RowChange};

use super::upstream::{Table, Upstream};
use crate::core::no_answer;

/// What became of a call.
#[derive(Debug)]
pub(crate) enum CallEnd {
    /// The lease ran out before the call began: nothing was sent.
    NotSent,
    Answered {
        report: CallReport,
        begun: Moment,
    },
}

/// One write call, with its rows read back where the answer does not carry them.
pub(crate) struct WriteCall {
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

impl WriteCall {
    pub(crate) async fn run(mut self) -> CallEnd {
        let reservation = self.reservation.take();
        let begun = self.clock.now();
        if begun >= self.start_until {
            return CallEnd::NotSent;
        }
        let begun_us = self.clock.unix_us();
        let call = Call { table: &self.table.spec, op: self.op, rows: &self.rows, atomic: self.atomic };
        // Whatever waits for the budget within the call waits within the timeout that the lease covers.
        let asked = with_priority(Priority::Write, reservation, self.upstream.connector.call(call));
        let answer = in_time(self.table.whole_timeout(), asked).await;
        let mut report =
            answer.unwrap_or_else(|(class, why)| {
                CallReport { rows: Vec::new(), seen: LocalInterval { begun_us, ended_us: self.clock.unix_us() } }
                    .filled(self.rows.len(), class, why)
            });
        if report.rows.len() != self.rows.len() {
            report = report.filled(self.rows.len(), ErrorClass::Bug, "the connector did not answer for every row");
        }
        if self.op != Op::Delete {
            self.read_back(&mut report).await;
        }
        CallEnd::Answered { report, begun }
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

/// How the records in question are found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Search {
    /// Read by their keys, whatever was done to them.
    ByKey,
    /// As creates whose keys are not known.
    Created,
}

impl Search {
    /// After a lost answer to such an operation.
    pub(crate) fn after(op: Op, idempotency: Idempotency) -> Self {
        if op == Op::Insert && idempotency != Idempotency::ClientId { Self::Created } else { Self::ByKey }
    }
}

/// What is asked about rows of one table.
pub(crate) struct Lookup {
    pub(crate) upstream: Upstream,
    pub(crate) table: Arc<Table>,
    pub(crate) search: Search,
    /// With the keys by which the records are to be read.
    pub(crate) rows: Vec<(CallRow, RowChange)>,
    /// Nothing was sent before this, Unix microseconds.
    pub(crate) sent_at_us: i64,
    pub(crate) priority: Priority,
}

impl Lookup {
    /// One answer per row, in order.
    pub(crate) async fn run(
        &self,
        reservation: Reservation,
    ) -> Result<(Vec<LookupResult>, LocalInterval), UpstreamError> {
        let rows: Vec<CallRow> = self.rows.iter().map(|(row, _)| row.clone()).collect();
        let answer = async {
            match self.search {
                Search::Created => self.upstream.connector.find_created(&self.table.spec, &rows, self.sent_at_us).await,
                Search::ByKey => {
                    let keys: Vec<String> = rows.iter().map(|row| row.key.clone()).collect();
                    self.upstream.connector.read(&self.table.spec, &keys).await
                }
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_creates_whose_key_upstream_draws_are_searched_for() {
        assert_eq!(Search::after(Op::Insert, Idempotency::UpsertKey), Search::Created);
        assert_eq!(Search::after(Op::Insert, Idempotency::Probe), Search::Created);
        assert_eq!(Search::after(Op::Insert, Idempotency::ClientId), Search::ByKey);
        assert_eq!(Search::after(Op::Update, Idempotency::Natural), Search::ByKey);
        assert_eq!(Search::after(Op::Delete, Idempotency::Natural), Search::ByKey);
    }
}
