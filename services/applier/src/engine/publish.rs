//! What the driver shows of itself: gauges for Prometheus, and a status for people.

use std::collections::BTreeMap;
use std::time::Duration;

use upwrite_event_log::Moment;

use super::partition::Stage;
use super::seats::Seat;
use super::{At, Driver, JobId, Timer};
use crate::status::{ApplierStatus, PartitionStage, PartitionStatus, SourceStatus};

const EVERY: Duration = Duration::from_secs(1);

impl Driver {
    /// Now, and again after a while.
    pub(super) fn publish(&mut self) {
        let now = self.outside.clock.now();
        let status = self.status(now);
        gauges(&status);
        if let Some(sender) = &self.outside.config.status {
            sender.send_replace(status);
        }
        self.set_timer(now + EVERY, Timer::Publish);
    }

    fn status(&self, now: Moment) -> ApplierStatus {
        let partitions = self.seats.iter().map(|(number, seat)| self.partition_status(now, *number, seat)).collect();
        let sources = self.sources.iter().map(|(name, source)| {
            let valid = |ticket: &super::lanes::Ticket| {
                let slot = self.slots.get(&ticket.job);
                slot.is_some_and(|slot| slot.at == At::Queued && slot.generation == ticket.generation)
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

    fn partition_status(&self, now: Moment, partition: u16, seat: &Seat) -> PartitionStatus {
        let owned = self.tenures.get(&seat.tenure);
        let stage = match owned.map(|owned| owned.stage) {
            _ if seat.halted.is_some() => PartitionStage::Halted,
            None => PartitionStage::Starting,
            Some(_) if owned.is_some_and(|owned| owned.draining.is_some()) => PartitionStage::Draining,
            Some(Stage::CatchingUp) => PartitionStage::CatchingUp,
            Some(Stage::Owner) => PartitionStage::Owner,
            Some(Stage::Ousted) => PartitionStage::Ousted,
        };
        let lease = owned.and_then(|owned| owned.lease.start_until(Duration::ZERO)).map(|until| until.since(now));
        PartitionStatus {
            partition,
            stage,
            owner: owned.map(|owned| owned.owner),
            lease_left_ms: millis(lease.unwrap_or_default()),
            read_to: owned.map(|owned| owned.read_to),
            jobs: self.slots.range(JobId::all_of(seat.tenure)).count(),
            halted: seat.halted.clone(),
        }
    }
}

fn gauges(status: &ApplierStatus) {
    let mut stages: BTreeMap<&'static str, u32> = PartitionStage::ALL.iter().map(|stage| (stage.as_str(), 0)).collect();
    for partition in &status.partitions {
        *stages.entry(partition.stage.as_str()).or_default() += 1;
    }
    for (stage, count) in stages {
        metrics::gauge!("upwrite_applier_partitions_count", "stage" => stage).set(f64::from(count));
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
