//! One rate budget per upstream scope, shared by all who call it: the applier's writes and the syncer's reads.

mod admission;
mod priority;
mod reservation;
mod share;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::Instant;

pub use admission::{OutOfBudget, TimeLimit};
pub use priority::{Priority, with_priority};
pub use reservation::Reservation;
pub use share::{Ask, Slice};

/// A token bucket that can be paused. Clones share it. Among processes it is shared by [`Budget::share`].
#[derive(Debug, Clone)]
pub struct Budget(Arc<BudgetState>);

#[derive(Debug)]
struct BudgetState {
    bucket: Mutex<Bucket>,
    /// A shared bucket is running out.
    short: Notify,
}

#[derive(Debug)]
struct Bucket {
    /// Requests per second; `None`: not limited.
    rate: Option<f64>,
    burst: f64,
    tokens: f64,
    filled: Instant,
    paused_until: Instant,
    /// A write has to come back by then: reads wait that long.
    write_expected_until: Instant,
    /// Filled by slices of a shared budget, and by time not at all.
    sliced: bool,
    /// Whether a write was short of tokens since the last slice.
    write_short: bool,
    /// Requests that were given out, less those given back.
    taken: u64,
}

/// A slice that was not used by then is void: another process has it by now.
const SLICE_LASTS: Duration = Duration::from_secs(1);
/// When to ask again for what a slice is to bring.
const SLICE_WAIT: Duration = Duration::from_millis(5);

/// How long a write that has to wait keeps its place before reads.
const WRITE_KEEPS_PLACE: Duration = Duration::from_millis(20);

impl Budget {
    /// `requests_per_second` as the source is configured; up to a tenth of a second's worth (at least
    /// one request) may go at once.
    pub fn new(requests_per_second: Option<f64>) -> Self {
        let rate = requests_per_second.filter(|rate| rate.is_finite() && *rate > 0.0);
        let burst = rate.map_or(1.0, |rate| (rate / 10.0).max(1.0));
        let now = Instant::now();
        let bucket = Bucket {
            rate,
            burst,
            tokens: burst,
            filled: now,
            paused_until: now,
            write_expected_until: now,
            sliced: false,
            write_short: false,
            taken: 0,
        };
        Self(Arc::new(BudgetState { bucket: Mutex::new(bucket), short: Notify::new() }))
    }

    /// Takes one request's worth, or says how long to wait before asking again.
    pub fn try_take(&self, priority: Priority) -> Result<(), Duration> {
        let mut bucket = self.bucket();
        let taken = bucket.take(priority, Instant::now());
        if bucket.sliced && bucket.tokens < 1.0 {
            bucket.write_short |= priority == Priority::Write;
            drop(bucket);
            self.0.short.notify_one();
        }
        taken
    }

    /// Waits for one request's worth.
    pub async fn take(&self, priority: Priority) {
        while let Err(wait) = self.try_take(priority) {
            tokio::time::sleep(wait).await;
        }
    }

    /// Upstream wants to be left alone: nothing is given out for this long.
    pub fn pause(&self, length: Duration) {
        let mut bucket = self.bucket();
        bucket.paused_until = bucket.paused_until.max(Instant::now() + length);
    }

    /// Requests that this process has taken since the start.
    pub fn taken(&self) -> u64 {
        self.bucket().taken
    }

    /// What is left at this moment.
    pub fn level(&self) -> Level {
        self.bucket().level(Instant::now())
    }

    /// Plain numbers are never left half changed, so a panic elsewhere does not spoil them.
    fn bucket(&self) -> MutexGuard<'_, Bucket> {
        self.0.bucket.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What is left of a budget.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Level {
    /// Requests that may go at once; `None`: not limited.
    pub requests: Option<f64>,
    /// For how long upstream still wants to be left alone.
    pub paused: Duration,
}

impl Bucket {
    fn level(&self, now: Instant) -> Level {
        let elapsed = now.saturating_duration_since(self.filled).as_secs_f64();
        let fills = if self.sliced { 0.0 } else { elapsed };
        let requests = self.rate.map(|rate| (self.tokens + fills * rate).min(self.burst).max(0.0));
        Level { requests, paused: self.paused_until.saturating_duration_since(now) }
    }

    fn take(&mut self, priority: Priority, now: Instant) -> Result<(), Duration> {
        let wait = self.wait(priority, now);
        if wait.is_zero() {
            self.tokens -= 1.0;
            self.taken += 1;
            return Ok(());
        }
        if priority == Priority::Write {
            self.write_expected_until = self.write_expected_until.max(now + wait + WRITE_KEEPS_PLACE);
        }
        Err(wait)
    }

    /// A request's worth that was not used after all.
    fn give_back(&mut self) {
        self.taken = self.taken.saturating_sub(1);
        if self.rate.is_some() {
            self.tokens = (self.tokens + 1.0).min(self.burst.max(self.tokens));
        }
    }

    fn wait(&mut self, priority: Priority, now: Instant) -> Duration {
        let mut wait = self.paused_until.saturating_duration_since(now);
        if priority == Priority::Read {
            wait = wait.max(self.write_expected_until.saturating_duration_since(now));
        }
        let Some(rate) = self.rate else {
            self.tokens = self.burst;
            return wait;
        };
        if self.sliced {
            return wait.max(self.wait_for_slice(now));
        }
        let elapsed = now.saturating_duration_since(self.filled).as_secs_f64();
        self.tokens = (self.tokens + elapsed * rate).min(self.burst);
        self.filled = now;
        if self.tokens < 1.0 {
            // A millisecond more, so that rounding does not make the caller come back just too early.
            let missing = (1.0 - self.tokens) / rate;
            wait = wait.max(Duration::from_secs_f64(missing) + Duration::from_millis(1));
        }
        wait
    }

    fn wait_for_slice(&mut self, now: Instant) -> Duration {
        if now.saturating_duration_since(self.filled) > SLICE_LASTS {
            // One stays, so that the first call after a pause need not wait.
            self.tokens = self.tokens.min(1.0);
        }
        if self.tokens < 1.0 { SLICE_WAIT } else { Duration::ZERO }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bucket(rate: f64) -> (Bucket, Instant) {
        let now = Instant::now();
        let bucket = Bucket {
            rate: Some(rate),
            burst: 1.0,
            tokens: 1.0,
            filled: now,
            paused_until: now,
            write_expected_until: now,
            sliced: false,
            write_short: false,
            taken: 0,
        };
        (bucket, now)
    }

    #[test]
    fn no_more_than_the_rate() {
        let (mut bucket, start) = bucket(10.0);
        let given =
            (0..1000).filter(|ms| bucket.take(Priority::Write, start + Duration::from_millis(*ms)).is_ok()).count();
        assert!((9..=11).contains(&given), "{given} in a second");
    }

    #[test]
    fn a_pause_is_for_all() {
        let (mut bucket, start) = bucket(1000.0);
        bucket.paused_until = start + Duration::from_secs(30);
        assert_eq!(bucket.take(Priority::Write, start), Err(Duration::from_secs(30)));
        assert!(bucket.take(Priority::Write, start + Duration::from_secs(30)).is_ok());
    }

    #[test]
    fn reads_stand_back_for_a_waiting_write() {
        let (mut bucket, start) = bucket(10.0);
        assert!(bucket.take(Priority::Read, start).is_ok());
        let wait = bucket.take(Priority::Write, start).unwrap_err();
        let then = start + wait;
        assert!(bucket.take(Priority::Read, then).is_err(), "the write comes first");
        assert!(bucket.take(Priority::Write, then).is_ok());
    }

    #[test]
    fn the_level_is_read_without_taking_any() {
        let (mut bucket, start) = bucket(10.0);
        assert_eq!(bucket.level(start), Level { requests: Some(1.0), paused: Duration::ZERO });
        assert!(bucket.take(Priority::Write, start).is_ok());
        assert_eq!(bucket.level(start).requests, Some(0.0));
        bucket.paused_until = start + Duration::from_secs(5);
        let later = start + Duration::from_secs(1);
        assert_eq!(bucket.level(later), Level { requests: Some(1.0), paused: Duration::from_secs(4) });
    }

    #[test]
    fn without_a_rate_nothing_waits() {
        let budget = Budget::new(None);
        assert!((0..100).all(|_| budget.try_take(Priority::Write).is_ok()));
    }
}
