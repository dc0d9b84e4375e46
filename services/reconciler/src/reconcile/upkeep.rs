//! What a reconciler does between batches: parked images are tried again, voids are forgotten.

use std::time::Duration;

use sqlx::Connection as _;
use upwrite_events::{MutationId, Phase, Stream};

use super::{Reconciler, next_statuses};
use crate::error::doing;
use crate::finish::{Ending, hold_epochs};
use crate::progress::now_us;

use crate::records::RecordUpdates;
use crate::status::Status;
use crate::{ReconcilerError, parked};

impl Reconciler {
    pub(crate) async fn retry_parked(&mut self) -> Result<(), ReconcilerError> {
        // An error here would count as the row's own, also one from columns that have changed since.
        self.columns.forget();
        let mut tx = self.connection.begin().await.map_err(doing("beginning to retry parked images"))?;
        let tried = parked::retry(&mut tx, &mut self.columns, &self.partitions, self.parked_after).await?;
        let touched: Vec<MutationId> = tried.resolved.keys().copied().collect();
        let statuses = next_statuses(&self.start.state, &touched, |mutation, before| {
            before.saturating_sub(tried.resolved.get(&mutation).copied().unwrap_or_default())
        });
        hold_epochs(&mut tx, &tried.origins, &self.start.epochs).await?;
        Ending::without_positions(&tried.shown, &statuses, &self.start.epochs).execute(&mut tx, None).await?;
        let left = parked::count(&mut tx, &self.partitions).await?;
        tx.commit().await.map_err(doing("committing parked images"))?;
        for (mutation, count) in tried.resolved {
            if let Some(tracked) = self.start.state.tracked.get_mut(&mutation) {
                tracked.parked = tracked.parked.saturating_sub(count);
            }
        }
        self.some_parked = tried.some_left;
        self.parked_after = tried.next;
        self.reporter.parked(&left);
        metrics::counter!("upwrite_reconciler_conflicts_total").increment(tried.conflicts);
        self.committed(statuses);
        Ok(())
    }

    /// Releases voids that have been remembered for long enough.
    pub(crate) async fn forget_voided(&mut self, retention: Duration) -> Result<(), ReconcilerError> {
        let until = now_us() - i64::try_from(retention.as_micros()).unwrap_or(i64::MAX);
        let expired = |status: &&Status| {
            // Of a void this is when it was appended.
            status.requested_at_us < until && status.lifecycle.as_ref().is_some_and(|life| life.phase == Phase::Voided)
        };
        let statuses = self.start.state.tracked.values().map(|tracked| &tracked.status).filter(expired);
        let statuses: Vec<Status> = statuses.map(|status| Status { released: true, ..status.clone() }).collect();
        if statuses.is_empty() {
            return Ok(());
        }
        let mut tx = self.connection.begin().await.map_err(doing("beginning to forget voids"))?;
        let mutations = self.partitions.iter().filter(|partition| partition.stream == Stream::Mutations);
        hold_epochs(&mut tx, &mutations.copied().collect(), &self.start.epochs).await?;
        let shown = RecordUpdates::default();
        Ending::without_positions(&shown, &statuses, &self.start.epochs).execute(&mut tx, None).await?;
        tx.commit().await.map_err(doing("committing forgotten voids"))?;
        self.committed(statuses);
        Ok(())
    }
}
