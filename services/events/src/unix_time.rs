//! Time as events carry it.

use std::time::{SystemTime, UNIX_EPOCH};

/// Microseconds since 1970, UTC. Times before that count as 0; the range ends 290,000 years later.
pub fn unix_us(time: SystemTime) -> i64 {
    let since = time.duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_micros()).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn no_clock_reading_is_out_of_range() {
        assert_eq!(unix_us(UNIX_EPOCH + Duration::from_micros(1_767_225_600_000_001)), 1_767_225_600_000_001);
        assert_eq!(unix_us(UNIX_EPOCH - Duration::from_secs(1)), 0);
    }
}
