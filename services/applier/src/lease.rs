//! Who may call: an owner that was heard of lately.

use std::time::Duration;

use upwrite_event_log::Moment;

/// The right to start calls for one partition. Every append to it, of whatever event of ours, that was acknowledged and
/// read back with no other marker before it, renews it from the moment at which that append was *sent*: the next owner
/// comes after it.
#[derive(Debug, Clone)]
pub(crate) struct Lease {
    length: Duration,
    renewed: Option<Moment>,
}

impl Lease {
    pub(crate) fn new(length: Duration) -> Self {
        Self { length, renewed: None }
    }

    pub(crate) fn length(&self) -> Duration {
        self.length
    }

    /// An append that was sent at `sent` stands in the log, and we were the owner there.
    pub(crate) fn renew(&mut self, sent: Moment) {
        self.renewed = self.renewed.max(Some(sent));
    }

    /// Until when a call that takes up to `whole` may start.
    pub(crate) fn start_until(&self, whole: Duration) -> Option<Moment> {
        let end = self.renewed? + self.length;
        (end.0 > whole).then(|| Moment(end.0 - whole))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn at(seconds: u64) -> Moment {
        Moment(Duration::from_secs(seconds))
    }

    #[test]
    fn no_call_before_the_first_acknowledged_append() {
        assert_eq!(Lease::new(10 * SECOND).start_until(SECOND), None);
    }

    #[test]
    fn a_call_must_end_within_the_lease() {
        let mut lease = Lease::new(10 * SECOND);
        lease.renew(at(100));
        assert_eq!(lease.start_until(3 * SECOND), Some(at(107)));
        assert_eq!(lease.start_until(200 * SECOND), None, "longer than there is time");
        // An older append that is acknowledged late takes nothing away.
        lease.renew(at(50));
        assert_eq!(lease.start_until(3 * SECOND), Some(at(107)));
    }
}
