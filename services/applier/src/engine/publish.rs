//! What the driver shows of itself: gauges for Prometheus, and a status for people.

use std::collections::BTreeMap;
use std::time::Duration;

use upwrite_event_log::Moment;

use super::assignments::Assignment;
use super::partition::OwnerState;
use super::{Driver, JobId, SlotState, Timer};
use crate::status::{ApplierStatus, PartitionState, PartitionStatus, SourceStatus};

const EVERY: Duration = Duration::from_secs(1);

impl Driver {
    /// Now, and again after a while.
    pub(super) fn publish(&mut self) {
        let now = self.environment.clock.now();
        let status = self.status(now);
        gauges(&status);
        if let Some(sender) = &self.environment.config.status {
            sender.send_replace(status);
        }
        self.set_timer(now + EVERY, Timer::Publish);
    }

    fn status(&self, now: Moment) -> ApplierStatus {
        let partitions = self
            .assignments
            .iter()
            .map(|(number, assignment)| self.partition_status(now, *number, assignment))
            .collect();
        let sources = self.sources.iter().map(|(name, source)| {
            let valid = |ticket: &super::lanes::Ticket| {
                let slot = self.slots.get(&ticket.job);
                slot.is_some_and(|slot| slot.state == SlotState::Queued && slot.generation == ticket.generation)
            };
            let (queued, oldest) = source.lanes.waiting(valid);
            SourceStatus {
                source: name.clone(),
                in_flight: source.in_flight,
                queued,
                oldest_ms: oldest.map_or(0, |oldest| millis(now.since(oldest))),
            }
        });
        ApplierStatus { partitions, sources: sources.collect() }
    }

    fn partition_status(&self, now: Moment, partition: u16, assignment: &Assignment) -> PartitionStatus {
        let ownership = self.terms.get(&assignment.term);
        let state = match ownership.map(|ownership| ownership.state) {
            _ if assignment.halted.is_some() => PartitionState::Halted,
            None => PartitionState::Starting,
            Some(_) if ownership.is_some_and(|ownership| ownership.draining.is_some()) => PartitionState::Draining,
            Some(OwnerState::CatchingUp) => PartitionState::CatchingUp,
            Some(OwnerState::Owner) => PartitionState::Owner,
            Some(OwnerState::Ousted) => PartitionState::Ousted,
        };
        let lease =
            ownership.and_then(|ownership| ownership.lease.start_until(Duration::ZERO)).map(|until| until.since(now));
        PartitionStatus {
            partition,
            state,
            owner: ownership.map(|ownership| ownership.owner),
            lease_left_ms: millis(lease.unwrap_or_default()),
            read_to: ownership.map(|ownership| ownership.read_to),
            jobs: self.slots.range(JobId::all_of(assignment.term)).count(),
            halted: assignment.halted.clone(),
        }
    }
}

fn gauges(status: &ApplierStatus) {
    let mut counts: BTreeMap<&'static str, u32> = PartitionState::ALL.iter().map(|state| (state.as_str(), 0)).collect();
    for partition in &status.partitions {
        *counts.entry(partition.state.as_str()).or_default() += 1;
    }
    for (state, count) in counts {
        metrics::gauge!("upwrite_applier_partitions_count", "stage" => state).set(f64::from(count));
    }
    for source in &status.sources {
        let label = || source.source.clone();
        metrics::gauge!("upwrite_applier_calls_in_flight_count", "source" => label()).set(number(source.in_flight));
        metrics::gauge!("upwrite_applier_queue_depth_count", "source" => label()).set(number(source.queued));
        let age = Duration::from_millis(source.oldest_ms).as_secs_f64();
        metrics::gauge!("upwrite_applier_queue_age_seconds", "source" => label()).set(age);
    }
}

fn millis(length: Duration) -> u64 {
    u64::try_from(length.as_millis()).unwrap_or(u64::MAX)
}

fn number(count: usize) -> f64 {
    f64::from(u32::try_from(count).unwrap_or(u32::MAX))
}
