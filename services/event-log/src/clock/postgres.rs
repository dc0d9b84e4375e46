//! From this process's clock to Postgres's: images of records are ordered by the latter.

use std::time::Duration;

use sqlx::PgPool;
use upwrite_events::{Interval, LocalInterval};

use super::{Clock, Moment};

/// How far two machine clocks drift apart at worst, parts per million. RFC 5905 (NTPv4) disciplines no clock whose
/// frequency is further off than 500 ppm.
const DRIFT_PPM: u128 = 500;

/// One measurement of Postgres's clock: how far it is ahead of this process's, and how wrong that can be. The only way
/// from a [`LocalInterval`] to an [`Interval`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PgClock {
    offset_us: i64,
    error_us: i64,
    measured: Moment,
    /// The same moment by the clock that intervals are given in.
    measured_us: i64,
}

impl PgClock {
    /// Asks Postgres for its time. `ask` gives it in Unix microseconds, as [`PgClock::now_us`] does.
    ///
    /// # Errors
    /// That of `ask`.
    pub async fn measure<E>(clock: &dyn Clock, ask: impl Future<Output = Result<i64, E>>) -> Result<Self, E> {
        let asked_us = clock.unix_us();
        let postgres_us = ask.await?;
        Ok(Self::measured(asked_us, postgres_us, clock.unix_us(), clock.now()))
    }

    /// Postgres's time, Unix microseconds.
    ///
    /// # Errors
    /// If Postgres does not answer.
    pub async fn now_us(pool: &PgPool) -> sqlx::Result<i64> {
        let sql = "/* event-log.clock */ select (extract(epoch from clock_timestamp()) * 1000000)::bigint";
        sqlx::query_scalar(sql).fetch_one(pool).await
    }

    /// From a question asked at `asked_us`, answered with `postgres_us` by `heard_us` (ours, Unix microseconds).
    pub(crate) fn measured(asked_us: i64, postgres_us: i64, heard_us: i64, at: Moment) -> Self {
        let round_trip = heard_us.saturating_sub(asked_us).max(0);
        let middle = asked_us.saturating_add(round_trip / 2);
        Self {
            offset_us: postgres_us.saturating_sub(middle),
            error_us: round_trip / 2 + 1,
            measured: at,
            measured_us: heard_us,
        }
    }

    /// How old the measurement is.
    pub fn age(&self, now: Moment) -> Duration {
        now.since(self.measured)
    }

    /// The interval in Postgres's clock, widened by the error of the measurement and by what the clocks may have drifted
    /// apart between the measurement and either end. `now` is not before the end of `seen`.
    pub fn convert(&self, seen: LocalInterval, now: Moment) -> Interval {
        let (begun_us, ended_us) = (seen.begun_us.min(seen.ended_us), seen.ended_us.max(seen.begun_us));
        // A long request may have begun before the measurement: drift counts in that direction, too.
        let before = self.measured_us.saturating_sub(begun_us).max(0).unsigned_abs();
        let apart = self.age(now).max(Duration::from_micros(before));
        let error = self.error_us.saturating_add(drift_us(apart));
        Interval {
            begun_us: begun_us.saturating_add(self.offset_us).saturating_sub(error),
            ended_us: ended_us.saturating_add(self.offset_us).saturating_add(error),
        }
    }
}

fn drift_us(apart: Duration) -> i64 {
    i64::try_from((apart.as_micros() * DRIFT_PPM).div_ceil(1_000_000)).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const SECOND_US: i64 = 1_000_000;

    fn local(begun_us: i64, ended_us: i64) -> LocalInterval {
        LocalInterval { begun_us, ended_us }
    }

    #[test]
    fn the_true_time_is_inside_the_converted_interval() {
        let at = Moment(Duration::from_secs(5));
        // Postgres is 1,000,000 µs ahead; its answer took between 0 and 200 µs to come.
        for answered in [0, 100, 200] {
            let clock = PgClock::measured(10_000, 10_000 + answered + 1_000_000, 10_200, at);
            let converted = clock.convert(local(50_000, 60_000), at);
            assert!(converted.begun_us <= 1_050_000 && converted.ended_us >= 1_060_000, "{converted:?}");
            assert!(converted.ended_us - converted.begun_us <= 10_000 + 2 * 101);
        }
    }

    #[test]
    fn an_old_measurement_widens() {
        let at = Moment(Duration::ZERO);
        let clock = PgClock::measured(0, 0, 0, at);
        let later = clock.convert(local(0, 0), at + Duration::from_secs(60));
        assert_eq!(later, Interval { begun_us: -30_001, ended_us: 30_001 });
    }

    #[test]
    fn after_an_hour_an_interval_is_wider_by_1_8_seconds_on_either_side() {
        let at = Moment(Duration::ZERO);
        let clock = PgClock::measured(0, 0, 0, at);
        let hour = 3_600 * SECOND_US;
        let converted = clock.convert(local(hour, hour + 10), at + Duration::from_secs(3_600));
        assert_eq!(converted, Interval { begun_us: hour - 1_800_001, ended_us: hour + 10 + 1_800_001 });
    }

    #[test]
    fn a_request_that_began_before_the_measurement_is_widened_by_the_time_between() {
        let clock = PgClock::measured(60 * SECOND_US, 60 * SECOND_US, 60 * SECOND_US, Moment(Duration::from_secs(60)));
        let converted = clock.convert(local(0, 61 * SECOND_US), Moment(Duration::from_secs(61)));
        assert_eq!(converted.begun_us, -30_001);
    }

    proptest! {
        /// Nothing that comes from outside, however odd, makes an interval narrower or panics.
        #[test]
        fn conversion_never_narrows(
            asked in any::<i64>(), postgres in any::<i64>(), took in 0..i64::MAX / 4, age in any::<u64>(),
            begun in -i64::MAX / 4..i64::MAX / 4, length in 0..i64::MAX / 4,
        ) {
            let clock = PgClock::measured(asked, postgres, asked.saturating_add(took), Moment(Duration::ZERO));
            let now = Moment(Duration::from_micros(age));
            let converted = clock.convert(local(begun, begun + length), now);
            let saturated = converted.begun_us == i64::MIN || converted.ended_us == i64::MAX;
            prop_assert!(saturated || i128::from(converted.ended_us) - i128::from(converted.begun_us) > i128::from(length));
            let backwards = clock.convert(local(begun + length, begun), now);
            prop_assert_eq!(backwards, converted, "a clock that was set back during the request");
        }

        /// The true times are inside, wherever in the round trip Postgres answered, whatever the drift within its bound,
        /// and whether the request began before or after the measurement.
        #[test]
        fn the_true_interval_is_inside(
            offset in -SECOND_US..SECOND_US, trip in 0..SECOND_US, answered in 0.0..=1.0f64, ppm in -500i64..=500,
            begun in -7_200 * SECOND_US..7_200 * SECOND_US, length in 0..60 * SECOND_US,
        ) {
            // Postgres's clock, by ours; our own is taken to be right.
            let theirs = |ours: i64| ours + offset + ours * ppm / 1_000_000;
            let read = (trip as f64 * answered) as i64;
            let heard_at = Duration::from_secs(10_000);
            let clock = PgClock::measured(-trip, theirs(-trip + read), 0, Moment(heard_at));
            let ended = begun + length;
            let now = Moment(Duration::from_micros((heard_at.as_micros() as i64 + ended.max(0)).unsigned_abs()));
            let converted = clock.convert(local(begun, ended), now);
            prop_assert!(converted.begun_us <= theirs(begun) && theirs(ended) <= converted.ended_us, "{:?}", converted);
        }
    }
}
