//! Times and durations, as people write and read them.

use std::str::FromStr;
use std::time::SystemTime;

use upwrite_control::Timestamp;

/// A point in time: RFC 3339, or how long ago.
#[derive(Debug, Clone)]
pub(super) struct Since(pub(super) Timestamp);

impl FromStr for Since {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if let Ok(at) = text.parse::<Timestamp>() {
            return Ok(Self(at));
        }
        let ago = humantime::parse_duration(text)
            .map_err(|_| "write 2026-01-31T12:00:00Z, or how long ago: 10m, 2h, 3d".to_owned())?;
        let at = SystemTime::now().checked_sub(ago).ok_or("too long ago")?;
        Ok(Self(at.into()))
    }
}

/// `2026-01-31 12:00:00.123`, UTC; a dash for what has not happened.
pub(super) fn at(at: Option<&Timestamp>) -> String {
    let Some(at) = at else { return "-".to_owned() };
    let text = Timestamp { seconds: at.seconds, nanos: 0 }.to_string();
    format!("{}.{:03}", text.trim_end_matches('Z').replace('T', " "), at.nanos / 1_000_000)
}

/// How long `at` lies before `now`, to two places: `4ms`, `45s`, `2h 3m`, `5d 1h`; a dash for what has not happened.
pub(super) fn age(at: Option<&Timestamp>, now: Option<&Timestamp>) -> String {
    let (Some(at), Some(now)) = (at, now) else { return "-".to_owned() };
    let ms = (now.seconds - at.seconds) * 1_000 + i64::from(now.nanos - at.nanos) / 1_000_000;
    span(ms.max(0))
}

/// A duration in milliseconds, to two places.
pub(super) fn span(ms: i64) -> String {
    let seconds = ms / 1_000;
    match seconds {
        0 => format!("{ms}ms"),
        1..=59 => format!("{seconds}s"),
        60..=3_599 => format!("{}m {}s", seconds / 60, seconds % 60),
        3_600..=86_399 => format!("{}h {}m", seconds / 3_600, seconds % 3_600 / 60),
        _ => format!("{}d {}h", seconds / 86_400, seconds % 86_400 / 3_600),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans() {
        for (ms, expected) in [
            (0, "0ms"),
            (999, "999ms"),
            (59_999, "59s"),
            (61_000, "1m 1s"),
            (7_380_000, "2h 3m"),
            (435_600_000, "5d 1h"),
        ] {
            assert_eq!(span(ms), expected);
        }
    }

    #[test]
    fn points() {
        let then: Timestamp = "2026-01-31T12:00:00.123456Z".parse().unwrap();
        assert_eq!(at(Some(&then)), "2026-01-31 12:00:00.123");
        assert_eq!(at(None), "-");
        let now = "2026-01-31T12:00:02Z".parse().unwrap();
        assert_eq!(age(Some(&then), Some(&now)), "1s");
        assert_eq!(age(Some(&now), Some(&then)), "0ms", "clocks differ");
        assert_eq!("2026-01-31T12:00:00.123456Z".parse::<Since>().unwrap().0, then);
        assert!("10m".parse::<Since>().is_ok() && "soon".parse::<Since>().is_err());
    }
}
