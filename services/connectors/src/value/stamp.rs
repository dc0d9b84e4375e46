//! Dates, instants and times of day.

use time::{Date, Month, OffsetDateTime, PrimitiveDateTime, Time, UtcOffset};

/// `2026-01-31`, the same on both sides. Years of four digits only: Postgres's `infinity`, `BC` and years beyond
/// 9999 cannot be said upstream.
pub fn date(text: &str) -> Option<String> {
    let date = parse_date(text)?;
    Some(write_date(date))
}

/// ISO 8601 such as `2026-01-31T10:20:30.000+0000` to Postgres's `2026-01-31 10:20:30+00`.
pub fn instant_to_postgres(text: &str) -> Option<String> {
    let instant = parse_instant(text)?;
    let fraction = trimmed_fraction(instant.time());
    Some(format!("{} {}{fraction}+00", write_date(instant.date()), write_clock(instant.time())))
}

/// Postgres's `2026-01-31 10:20:30.123456+00`, or ISO 8601, to `2026-01-31T10:20:30.123Z`: milliseconds, cut; sorts as
/// text.
pub fn instant_to_rfc3339(text: &str) -> Option<String> {
    let instant = parse_instant(text)?;
    let time = instant.time();
    Some(format!("{}T{}.{:03}Z", write_date(instant.date()), write_clock(time), time.millisecond()))
}

/// `2026-01-31T10:20:30Z` of Unix microseconds; the fraction is cut.
pub fn unix_to_rfc3339(unix_us: i64) -> Option<String> {
    let instant = OffsetDateTime::from_unix_timestamp(unix_us.div_euclid(1_000_000)).ok()?;
    Some(format!("{}T{}Z", write_date(instant.date()), write_clock(instant.time())))
}

/// `10:20:30.000Z`, the `Z` or not, to Postgres's `10:20:30`.
pub fn clock_to_postgres(text: &str) -> Option<String> {
    let time = parse_clock(text.strip_suffix('Z').unwrap_or(text))?;
    Some(format!("{}{}", write_clock(time), trimmed_fraction(time)))
}

/// Postgres's `10:20:30.123456` to `10:20:30.123`: milliseconds, cut.
pub fn clock_to_millis(text: &str) -> Option<String> {
    let time = parse_clock(text)?;
    Some(format!("{}.{:03}", write_clock(time), time.millisecond()))
}

fn number(text: &str, digits: usize) -> Option<u32> {
    (text.len() == digits && text.bytes().all(|byte| byte.is_ascii_digit())).then(|| text.parse().ok())?
}

fn parse_date(text: &str) -> Option<Date> {
    let mut parts = text.split('-');
    let year = number(parts.next()?, 4)?;
    let month = number(parts.next()?, 2)?;
    let day = number(parts.next()?, 2)?;
    if parts.next().is_some() || year == 0 {
        return None;
    }
    let month = Month::try_from(u8::try_from(month).ok()?).ok()?;
    Date::from_calendar_date(i32::try_from(year).ok()?, month, u8::try_from(day).ok()?).ok()
}

fn parse_clock(text: &str) -> Option<Time> {
    let (clock, fraction) = text.split_once('.').unwrap_or((text, "0"));
    let mut parts = clock.split(':');
    let mut two = || number(parts.next()?, 2).and_then(|value| u8::try_from(value).ok());
    let (hour, minute, second) = (two()?, two()?, two()?);
    if parts.next().is_some() || fraction.is_empty() || fraction.len() > 9 {
        return None;
    }
    let nanos = number(fraction, fraction.len())? * 10_u32.pow(9 - u32::try_from(fraction.len()).ok()?);
    Time::from_hms_nano(hour, minute, second, nanos).ok()
}

fn parse_instant(text: &str) -> Option<OffsetDateTime> {
    let (date, rest) = text.split_once(['T', ' '])?;
    let zone_at = rest.find(['Z', '+', '-'])?;
    let (clock, zone) = rest.split_at(zone_at);
    let local = PrimitiveDateTime::new(parse_date(date)?, parse_clock(clock)?);
    let instant = local.assume_offset(parse_zone(zone)?);
    let utc = instant.checked_to_offset(UtcOffset::UTC)?;
    (1..=9_999).contains(&utc.year()).then_some(utc)
}

/// `Z`, `+00`, `+0000`, `-05:30`.
fn parse_zone(text: &str) -> Option<UtcOffset> {
    if text == "Z" {
        return Some(UtcOffset::UTC);
    }
    let sign = if text.starts_with('-') { -1 } else { 1 };
    let digits: String = text.get(1..)?.chars().filter(|c| *c != ':').collect();
    let (hours, minutes) = match digits.len() {
        2 => (number(&digits, 2)?, 0),
        4 => (number(digits.get(..2)?, 2)?, number(digits.get(2..)?, 2)?),
        _ => return None,
    };
    let seconds = i32::try_from(hours * 3_600 + minutes * 60).ok()?;
    UtcOffset::from_whole_seconds(sign * seconds).ok()
}

fn write_date(date: Date) -> String {
    format!("{:04}-{:02}-{:02}", date.year(), u8::from(date.month()), date.day())
}

fn write_clock(time: Time) -> String {
    format!("{:02}:{:02}:{:02}", time.hour(), time.minute(), time.second())
}

/// `.12` of 120 ms; nothing of a whole second. Microseconds are the finest that Postgres has.
fn trimmed_fraction(time: Time) -> String {
    let micros = time.microsecond();
    if micros == 0 { String::new() } else { format!(".{}", format!("{micros:06}").trim_end_matches('0')) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn instants_both_ways() {
        for (iso, postgres) in [
            ("2026-01-31T10:20:30.000Z", "2026-01-31 10:20:30+00"),
            ("2026-01-31T10:20:30.120Z", "2026-01-31 10:20:30.12+00"),
            ("1700-01-01T00:00:00.001Z", "1700-01-01 00:00:00.001+00"),
        ] {
            assert_eq!(instant_to_postgres(iso).as_deref(), Some(postgres));
            assert_eq!(instant_to_rfc3339(postgres).as_deref(), Some(iso));
        }
        assert_eq!(unix_to_rfc3339(1_769_854_830_999_999).as_deref(), Some("2026-01-31T10:20:30Z"));
    }

    #[test]
    fn a_time_of_day_has_milliseconds() {
        assert_eq!(clock_to_millis("10:20:30.0509").as_deref(), Some("10:20:30.050"));
    }
}
