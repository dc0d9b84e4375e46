//! From this process's clock to Postgres's: images of records are ordered by the latter.

use std::time::Duration;

use upwrite_events::Interval;

use crate::Moment;

/// How far two machine clocks drift apart at worst, parts per million (NTP's own bound is 500).
const DRIFT_PPM: u128 = 500;

/// One measurement: Postgres's clock minus ours, and how wrong that can be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct PgOffset {
    offset_us: i64,
    error_us: i64,
    measured: Moment,
}

impl PgOffset {
    /// From a question asked at `asked_us`, answered with `postgres_us` by `heard_us` (ours, Unix microseconds).
    pub(crate) fn measured(asked_us: i64, postgres_us: i64, heard_us: i64, at: Moment) -> Self {
        let round_trip = heard_us.saturating_sub(asked_us).max(0);
        let middle = asked_us.saturating_add(round_trip / 2);
        Self { offset_us: postgres_us.saturating_sub(middle), error_us: round_trip / 2 + 1, measured: at }
    }

    /// The interval in Postgres's clock, widened by the error of the measurement and by what the clocks may have
    /// drifted since.
    pub(crate) fn convert(&self, seen: Interval, now: Moment) -> Interval {
        let error = self.error_us.saturating_add(drift_us(now.since(self.measured)));
        Interval {
            begun_us: seen.begun_us.saturating_add(self.offset_us).saturating_sub(error),
            ended_us: seen.ended_us.saturating_add(self.offset_us).saturating_add(error),
        }
    }
}

fn drift_us(age: Duration) -> i64 {
    i64::try_from(age.as_micros() * DRIFT_PPM / 1_000_000).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_true_time_is_inside_the_converted_interval() {
        let at = Moment(Duration::from_secs(5));
        // Postgres is 1,000,000 µs ahead; its answer took between 0 and 200 µs to come.
        for answered in [0, 100, 200] {
            let offset = PgOffset::measured(10_000, 10_000 + answered + 1_000_000, 10_200, at);
            let converted = offset.convert(Interval { begun_us: 50_000, ended_us: 60_000 }, at);
            assert!(converted.begun_us <= 1_050_000 && converted.ended_us >= 1_060_000, "{converted:?}");
            assert!(converted.ended_us - converted.begun_us <= 10_000 + 2 * 101);
        }
    }

    #[test]
    fn an_old_measurement_widens() {
        let at = Moment(Duration::ZERO);
        let offset = PgOffset::measured(0, 0, 0, at);
        let seen = Interval { begun_us: 0, ended_us: 0 };
        let later = offset.convert(seen, at + Duration::from_secs(60));
        assert_eq!(later, Interval { begun_us: -30_001, ended_us: 30_001 });
    }
}
