//! Time, as a parameter of the stages: this process's clocks, and the way from them to Postgres's ([`PgClock`]).

mod postgres;

use std::io;
use std::ops::Add;
use std::time::{Duration, SystemTime};

use async_trait::async_trait;
use upwrite_events::unix_us;

pub use postgres::PgClock;

/// A point of a clock that never goes back and runs during suspend: time since some fixed start.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Moment(pub Duration);

impl Moment {
    /// How long from `earlier` to here; zero if `earlier` is later.
    pub fn since(self, earlier: Self) -> Duration {
        self.0.saturating_sub(earlier.0)
    }
}

impl Add<Duration> for Moment {
    type Output = Self;

    fn add(self, rhs: Duration) -> Self {
        Self(self.0.saturating_add(rhs))
    }
}

/// The two clocks that decisions rest on.
#[async_trait]
pub trait Clock: Send + Sync + 'static {
    /// For leases and delays.
    fn now(&self) -> Moment;

    /// Unix time, microseconds: for facts. May step.
    fn unix_us(&self) -> i64;

    async fn sleep_until(&self, moment: Moment);
}

/// The machine's own clocks: `CLOCK_BOOTTIME` where there is one (a lease must run out while the machine sleeps).
#[derive(Debug, Clone)]
pub struct BootClock(());

impl BootClock {
    /// Reads the clock once, so that later reads cannot fail for want of it.
    ///
    /// # Errors
    /// If the kernel has no such clock.
    pub fn new() -> io::Result<Self> {
        boot_time().map_err(io::Error::from)?;
        Ok(Self(()))
    }
}

#[async_trait]
impl Clock for BootClock {
    fn now(&self) -> Moment {
        Moment(boot_time().expect("the clock was readable at start, and the kernel does not take clocks away"))
    }

    fn unix_us(&self) -> i64 {
        unix_us(SystemTime::now())
    }

    async fn sleep_until(&self, moment: Moment) {
        // tokio's timers stand still during suspend: a long wait is cut, so that waking up is noticed.
        const SLICE: Duration = Duration::from_secs(5);
        loop {
            let left = moment.since(self.now());
            if left.is_zero() {
                return;
            }
            tokio::time::sleep(left.min(SLICE)).await;
        }
    }
}

fn boot_time() -> nix::Result<Duration> {
    #[cfg(target_os = "linux")]
    let clock = nix::time::ClockId::CLOCK_BOOTTIME;
    #[cfg(not(target_os = "linux"))]
    let clock = nix::time::ClockId::CLOCK_MONOTONIC;
    nix::time::clock_gettime(clock).map(Duration::from)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_boot_clock_never_goes_back() {
        let clock = BootClock::new().unwrap();
        let first = clock.now();
        assert!(clock.now() >= first);
        assert_eq!(first.since(first + Duration::from_secs(1)), Duration::ZERO);
    }
}
