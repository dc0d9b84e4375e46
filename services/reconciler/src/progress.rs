//! How far the reconciler is: for `upwrite ctl status`, and for metrics.

use std::collections::HashMap;
use std::time::{Duration, SystemTime};

use serde::Serialize;
use tokio::sync::watch;
use upwrite_events::{Partition, Phase, Position, unix_us};

use crate::plan::Advances;
use crate::status::Status;

/// What a reconciler process has and how far it is with it.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct Progress {
    /// In order of stream and number.
    pub partitions: Vec<PartitionProgress>,
}

/// One partition that the process has.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct PartitionProgress {
    /// `mutations` or `observations`.
    pub stream: &'static str,
    pub number: u16,
    /// The first log position that is not folded yet.
    pub position: i64,
    /// Rises whenever a process takes the partition over.
    pub epoch: i64,
    /// How old the last folded record was when it was committed.
    pub lag_ms: u64,
    /// Images that wait for a lock.
    pub parked: u64,
    /// Why the partition stands still, if it does.
    pub halted: Option<String>,
}

impl PartitionProgress {
    fn is(&self, partition: Partition) -> bool {
        self.stream == partition.stream.as_str() && self.number == partition.number
    }
}

/// Publishes [`Progress`] and counts.
#[derive(Debug)]
pub(crate) struct Reporter(watch::Sender<Progress>);

impl Reporter {
    /// A term begins with these partitions.
    pub(crate) fn begin(
        progress: watch::Sender<Progress>,
        positions: &HashMap<Partition, Position>,
        epochs: &HashMap<Partition, i64>,
    ) -> Self {
        let mut partitions: Vec<_> = positions
            .iter()
            .map(|(partition, position)| PartitionProgress {
                stream: partition.stream.as_str(),
                number: partition.number,
                position: position.0,
                epoch: epochs.get(partition).copied().unwrap_or_default(),
                lag_ms: 0,
                parked: 0,
                halted: None,
            })
            .collect();
        partitions.sort_by_key(|partition| (partition.stream, partition.number));
        progress.send_replace(Progress { partitions });
        Self(progress)
    }

    /// A batch was committed.
    pub(crate) fn committed(&self, records: usize, took: Duration, positions: &Advances) {
        metrics::histogram!("upwrite_reconciler_batch_records").record(records as f64);
        metrics::histogram!("upwrite_reconciler_batch_seconds").record(took.as_secs_f64());
        let now = now_us();
        self.0.send_modify(|progress| {
            for (partition, moved) in positions {
                let lag_us = u64::try_from(now - moved.stamp_us).unwrap_or(0);
                let number = partition.number.to_string();
                metrics::gauge!("upwrite_reconciler_log_lag_seconds", "stream" => partition.stream.as_str(), "partition" => number)
                    .set(lag_us as f64 / 1e6);
                if let Some(known) = progress.partitions.iter_mut().find(|known| known.is(*partition)) {
                    known.position = moved.next.0;
                    known.lag_ms = lag_us / 1000;
                }
            }
        });
    }

    /// How many images of each partition are parked; none of those that are not named.
    pub(crate) fn parked(&self, counts: &HashMap<Partition, u64>) {
        metrics::gauge!("upwrite_reconciler_parked_images").set(counts.values().sum::<u64>() as f64);
        self.0.send_modify(|progress| {
            for known in &mut progress.partitions {
                known.parked = counts.iter().find(|(of, _)| known.is(**of)).map_or(0, |(_, count)| *count);
            }
        });
    }

    /// A partition stands still.
    pub(crate) fn halted(&self, partition: Partition, reason: &str) {
        self.0.send_modify(|progress| {
            if let Some(known) = progress.partitions.iter_mut().find(|known| known.is(partition)) {
                known.halted = Some(reason.to_owned());
            }
        });
    }

    /// A mutation has its verdict, and the table shows it.
    pub(crate) fn verdict(status: &Status) {
        metrics::counter!("upwrite_reconciler_verdicts_total", "sqlstate" => sqlstate(status)).increment(1);
    }
}

/// As `finish.sql` writes it; `00000` for success.
fn sqlstate(status: &Status) -> String {
    match status.lifecycle.as_ref().map(|life| life.phase) {
        Some(Phase::Applied) => "00000".to_owned(),
        Some(Phase::InDoubt | Phase::Partial) => "40003".to_owned(),
        Some(Phase::Revoked) => "57014".to_owned(),
        _ => status.failure.as_ref().map_or_else(|| "58030".to_owned(), |failure| failure.sqlstate.clone()),
    }
}

/// Unix time, microseconds.
pub(crate) fn now_us() -> i64 {
    unix_us(SystemTime::now())
}
