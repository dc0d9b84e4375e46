//! What time it is, for the intervals in which requests saw what they saw.

use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use upwrite_events::LocalInterval;

/// Unix time in microseconds.
pub type Clock = Arc<dyn Fn() -> i64 + Send + Sync>;

pub fn system_clock() -> Clock {
    Arc::new(|| {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        i64::try_from(now.as_micros()).unwrap_or(i64::MAX)
    })
}

/// The interval from `begun_us` to now; never negative, even if the clock was set back meanwhile.
pub fn until_now(clock: &Clock, begun_us: i64) -> LocalInterval {
    LocalInterval { begun_us, ended_us: clock().max(begun_us) }
}
