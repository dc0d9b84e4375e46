//! What this process has appended, for readers of its own: they need not wait until it has come back from the brokers.
//!
//! Only what the brokers have acknowledged is here, as it stands there, and only at the very position that a reader wants
//! next. What a reader has taken from here comes to it again from the brokers, and is passed over, unless it is something
//! else: then the brokers' log is no longer the one that it was.

use tokio::sync::watch;
use upwrite_events::{Partition, Position};

use super::producer::Placed;
use crate::LogRecord;
use crate::log::appender::Encoded;
use crate::log::per_partition::PerPartition;
use crate::log::tail::Tail;

/// Of each partition. A reader that lags further behind reads from the brokers.
const RECORDS: usize = 256;
const BYTES: usize = 1024 * 1024;

pub(crate) struct Tails(PerPartition<(watch::Sender<()>, Tail)>);

impl Tails {
    pub(crate) fn new(partitions: u16) -> Self {
        Self(PerPartition::new(partitions, || (watch::Sender::new(()), Tail::new(RECORDS, BYTES))))
    }

    /// Events that stand there now. Nothing is kept if no reader here reads the partition, nor of events whose time the brokers
    /// did not send.
    pub(crate) fn push(&self, partition: Partition, placed: &[Placed], events: Vec<Encoded>) {
        let Some((grown, tail)) = self.0.get(partition).filter(|(grown, _)| grown.receiver_count() > 0) else { return };
        for (placed, encoded) in placed.iter().zip(events) {
            let Some(appended_at_us) = placed.appended_at_us else { continue };
            let (position, bytes) = (placed.position, encoded.value.len());
            tail.push(LogRecord { partition, position, appended_at_us, event: Ok(encoded.event) }, bytes);
        }
        grown.send_replace(());
    }

    /// To hear of growth; what is there already does not count.
    pub(crate) fn watch(&self, partition: Partition) -> Option<watch::Receiver<()>> {
        let (grown, tail) = self.0.get(partition)?;
        // A reader that begins has looked at the log as it is now.
        tail.clear();
        Some(grown.subscribe())
    }

    /// Whether another record stands at that position here: one that was appended at another time.
    pub(crate) fn contradicts(&self, partition: Partition, position: Position, appended_at_us: i64) -> bool {
        let here = self.0.get(partition).and_then(|(_, tail)| tail.appended_at_us(position));
        here.is_some_and(|here| here != appended_at_us)
    }

    pub(crate) fn read(&self, partition: Partition, from: Position, limit: usize) -> Option<Vec<LogRecord>> {
        self.0.get(partition)?.1.read(from, limit)
    }
}

#[cfg(test)]
mod tests {
    use upwrite_events::{Event, MutationId, MutationVoided, Stream};
    use uuid::Uuid;

    use super::*;

    const HERE: Partition = Partition { stream: Stream::Observations, number: 1 };

    fn push(tails: &Tails, position: i64, appended_at_us: Option<i64>) {
        let event = MutationVoided { mutation: MutationId(Uuid::nil()), reason: String::new() };
        let encoded = Encoded { event: Event::MutationVoided(event), value: vec![0; 10] };
        tails.push(HERE, &[Placed { position: Position(position), appended_at_us }], vec![encoded]);
    }

    fn count(tails: &Tails, from: i64) -> Option<usize> {
        tails.read(HERE, Position(from), 10).map(|records| records.len())
    }

    #[test]
    fn kept_for_readers_that_are_there() {
        let tails = Tails::new(2);
        push(&tails, 1, Some(1));
        assert_eq!(count(&tails, 1), None);
        let grown = tails.watch(HERE).expect("there is such a partition");
        push(&tails, 2, Some(2));
        push(&tails, 3, Some(3));
        assert!(grown.has_changed().expect("the sender is there"));
        assert_eq!((count(&tails, 1), count(&tails, 2), count(&tails, 4)), (None, Some(2), None));
        let other = Partition { stream: Stream::Mutations, number: 1 };
        assert!(tails.read(other, Position(2), 10).is_none());
        drop(grown);
        push(&tails, 4, Some(4));
        assert_eq!(count(&tails, 4), None);
    }

    #[test]
    fn what_has_no_time_is_left_to_the_brokers() {
        let tails = Tails::new(2);
        let _grown = tails.watch(HERE);
        push(&tails, 2, Some(2));
        push(&tails, 3, None);
        push(&tails, 4, Some(4));
        assert_eq!((count(&tails, 2), count(&tails, 3), count(&tails, 4)), (None, None, Some(1)));
    }

    #[test]
    fn another_record_at_the_same_position_is_noticed() {
        let tails = Tails::new(2);
        let _grown = tails.watch(HERE);
        push(&tails, 2, Some(2));
        let contradicts = |position, at_us| tails.contradicts(HERE, Position(position), at_us);
        assert_eq!((contradicts(2, 2), contradicts(2, 3), contradicts(3, 3)), (false, true, false));
    }

    #[test]
    fn there_are_no_others() {
        let tails = Tails::new(2);
        assert!(tails.watch(Partition { stream: Stream::Mutations, number: 2 }).is_none());
    }
}
