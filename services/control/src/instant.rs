//! Points in time: Postgres and the log have microseconds since 1970, the API has `Timestamp`.

use prost_types::Timestamp;

/// Unix time in microseconds → `Timestamp`.
pub(crate) fn timestamp(us: i64) -> Timestamp {
    let nanos = i32::try_from(us.rem_euclid(1_000_000) * 1_000).expect("less than a billion");
    Timestamp { seconds: us.div_euclid(1_000_000), nanos }
}

/// `Timestamp` → Unix time in microseconds; beyond what fits, the end of what fits.
pub(crate) fn micros(at: &Timestamp) -> i64 {
    at.seconds.saturating_mul(1_000_000).saturating_add(i64::from(at.nanos) / 1_000)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn there_and_back() {
        for us in [0, 1, 1_700_000_000_123_456, -1, -1_500_000] {
            assert_eq!(micros(&timestamp(us)), us);
        }
    }
}
