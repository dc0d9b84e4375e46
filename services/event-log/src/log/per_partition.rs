//! One of something for each partition of both streams.

use upwrite_events::{Partition, Stream};

#[derive(Debug)]
pub(crate) struct PerPartition<T> {
    /// Of each stream.
    partitions: u16,
    /// Partitions of `Mutations`, then of `Observations`.
    entries: Vec<T>,
}

impl<T> PerPartition<T> {
    pub(crate) fn new(partitions: u16, make: impl Fn() -> T) -> Self {
        Self { partitions, entries: (0..2 * usize::from(partitions)).map(|_| make()).collect() }
    }

    pub(crate) fn partitions(&self) -> u16 {
        self.partitions
    }

    /// `None`: there is no such partition.
    pub(crate) fn get(&self, partition: Partition) -> Option<&T> {
        if partition.number >= self.partitions {
            return None;
        }
        let offset = match partition.stream {
            Stream::Mutations => 0,
            Stream::Observations => usize::from(self.partitions),
        };
        self.entries.get(offset + usize::from(partition.number))
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = (Partition, &T)> {
        let numbers = 0..self.partitions;
        let streams = [Stream::Mutations, Stream::Observations].into_iter();
        let partitions =
            streams.flat_map(move |stream| numbers.clone().map(move |number| Partition { stream, number }));
        partitions.zip(&self.entries)
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use super::*;

    #[test]
    fn each_partition_has_its_own() {
        let made = Cell::new(0);
        let all = PerPartition::new(3, || made.replace(made.get() + 1));
        let of = |stream, number| all.get(Partition { stream, number }).copied();
        assert_eq!((of(Stream::Mutations, 2), of(Stream::Observations, 0)), (Some(2), Some(3)));
        assert_eq!((of(Stream::Mutations, 3), of(Stream::Observations, 3)), (None, None));
        assert!(all.iter().all(|(partition, entry)| all.get(partition) == Some(entry)));
        assert_eq!(all.iter().count(), 6);
    }
}
