//! Which of two images of one record is the later one. Pure.
//!
//! The vendor's version decides. Where it cannot (equal, or one image has none), the interval of the request that saw
//! the image does: a request that began after the other had ended saw the later state. Where the intervals overlap, the
//! images do not show which is later: a mutation's own image wins (claims order the mutations of a record, so the log's order
//! is theirs), and an observation is left out and the key is read again by id.

use upwrite_events::{Interval, MutationId, Partition, Row};

/// An image on its way into a synced table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Image {
    pub(crate) key: String,
    /// `None`: the record is deleted.
    pub(crate) row: Option<Row>,
    pub(crate) vendor_version: Option<String>,
    pub(crate) seen: Interval,
    /// The mutation whose outcome this is; `None`: an observation.
    pub(crate) mutation: Option<MutationId>,
    /// Where in the log it came from: that partition's reconciler is the one that writes it, also if it has to wait.
    pub(crate) origin: Partition,
}

/// What is known of the image that the table holds (`upwrite.records`).
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct RecordState {
    pub(crate) vendor_version: Option<String>,
    pub(crate) seen: Interval,
    pub(crate) by_mutation: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Decision {
    /// The incoming image is later.
    Write,
    /// The incoming image is a mutation's and is shown to its client; whether it is later is not known: write it and
    /// read the record again.
    WriteAndReread,
    /// It is older, or the same.
    Skip,
    /// Which is later is not known: keep what is there and read the record again.
    Reread,
}

/// Decides between what the table holds and what comes.
pub(crate) fn decide(current: Option<&RecordState>, incoming: &Image) -> Decision {
    let Some(current) = current else { return Decision::Write };
    if let (Some(held), Some(new)) = (&current.vendor_version, &incoming.vendor_version) {
        match new.cmp(held) {
            std::cmp::Ordering::Greater => return Decision::Write,
            std::cmp::Ordering::Less => return Decision::Skip,
            std::cmp::Ordering::Equal => {}
        }
    }
    if incoming.mutation.is_some() && current.by_mutation {
        // Two mutations of one record: claims put them in order, and the log has that order.
        return Decision::Write;
    }
    if incoming.seen.begun_us >= current.seen.ended_us {
        return Decision::Write;
    }
    if incoming.seen.ended_us <= current.seen.begun_us {
        return Decision::Skip;
    }
    if incoming.mutation.is_some() { Decision::WriteAndReread } else { Decision::Reread }
}

impl Image {
    /// What will be known of the record once this image is written.
    pub(crate) fn state(&self) -> RecordState {
        RecordState {
            vendor_version: self.vendor_version.clone(),
            seen: self.seen,
            by_mutation: self.mutation.is_some(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn image(version: Option<&str>, begun_us: i64, ended_us: i64, mutation: bool) -> Image {
        Image {
            key: "k".into(),
            row: Some(Row::new()),
            vendor_version: version.map(str::to_owned),
            seen: Interval { begun_us, ended_us },
            mutation: mutation.then(|| MutationId(uuid::Uuid::from_u128(1))),
            origin: Partition { stream: upwrite_events::Stream::Mutations, number: 0 },
        }
    }

    #[test]
    fn a_record_never_seen_is_written() {
        assert_eq!(decide(None, &image(None, 1, 2, false)), Decision::Write);
    }

    #[test]
    fn vendor_version_decides_before_time() {
        let held = image(Some("2026-01-01T00:00:05"), 100, 110, false).state();
        assert_eq!(decide(Some(&held), &image(Some("2026-01-01T00:00:06"), 10, 20, false)), Decision::Write);
        assert_eq!(decide(Some(&held), &image(Some("2026-01-01T00:00:04"), 900, 910, true)), Decision::Skip);
    }

    #[test]
    fn equal_versions_go_by_the_requests_interval() {
        let held = image(Some("v"), 100, 110, false).state();
        assert_eq!(decide(Some(&held), &image(Some("v"), 110, 120, false)), Decision::Write);
        assert_eq!(decide(Some(&held), &image(Some("v"), 80, 100, false)), Decision::Skip);
        assert_eq!(decide(Some(&held), &image(Some("v"), 105, 120, false)), Decision::Reread);
        assert_eq!(decide(Some(&held), &image(Some("v"), 105, 120, true)), Decision::WriteAndReread);
    }

    #[test]
    fn an_observation_begun_before_a_delete_ended_does_not_bring_the_row_back() {
        let tombstone = image(None, 100, 110, true).state();
        assert_eq!(decide(Some(&tombstone), &image(Some("v"), 90, 105, false)), Decision::Reread);
        assert_eq!(decide(Some(&tombstone), &image(Some("v"), 110, 115, false)), Decision::Write);
    }

    proptest! {
        /// Never backwards: of two images with different versions the newer stays, in whichever order they come.
        #[test]
        fn the_newer_version_stays(a in 0u8..50, b in 0u8..50, times in prop::array::uniform4(0i64..100)) {
            prop_assume!(a != b);
            let [w, x, y, z] = times;
            let first = image(Some(&format!("{a:03}")), w.min(x), w.max(x), false);
            let second = image(Some(&format!("{b:03}")), y.min(z), y.max(z), false);
            for (one, two) in [(&first, &second), (&second, &first)] {
                let written = decide(Some(&one.state()), two) == Decision::Write;
                prop_assert_eq!(written, two.vendor_version > one.vendor_version);
            }
        }
    }
}
