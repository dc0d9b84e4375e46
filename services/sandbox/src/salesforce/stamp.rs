//! Times as the vendor writes them: UTC, one-second grain, `2026-01-31T10:20:30.000+0000` (an offset without a
//! colon). Kept as text everywhere inside, since this form sorts as it compares.

use time::format_description::well_known::Rfc3339;
use time::macros::format_description;
use time::{Date, OffsetDateTime, PrimitiveDateTime, UtcOffset};

/// The wire form; anything finer than a second is cut off, as the vendor does.
pub(crate) fn wire(at: OffsetDateTime) -> String {
    let form = format_description!("[year]-[month]-[day]T[hour]:[minute]:[second].000+0000");
    at.to_offset(UtcOffset::UTC).format(&form).unwrap_or_else(|_| String::from("1970-01-01T00:00:00.000+0000"))
}

/// Reads the ISO forms that clients send: `Z`, `+00:00` or `+0000`, with or without a fraction.
pub(crate) fn parse(text: &str) -> Option<OffsetDateTime> {
    let mut text = text.trim().replace(' ', "+"); // a `+` in a query string that was not escaped arrives as a blank
    let tail = text.len().checked_sub(5)?;
    if let Some(offset) = text.get(tail..)
        && offset.starts_with(['+', '-'])
        && offset[1..].bytes().all(|b| b.is_ascii_digit())
    {
        text.insert(tail + 3, ':');
    }
    OffsetDateTime::parse(&text, &Rfc3339).ok().map(|t| t.to_offset(UtcOffset::UTC))
}

/// A calendar date, `2026-01-31`; the time part of a datetime is ignored, as the vendor does for date fields.
pub(crate) fn parse_date(text: &str) -> Option<String> {
    let day = text.get(..10)?;
    let form = format_description!("[year]-[month]-[day]");
    Date::parse(day, &form).ok()?;
    (text.len() == 10 || text.as_bytes()[10] == b'T').then(|| day.to_owned())
}

/// `Sun, 06 Nov 1994 08:49:37 GMT` (RFC 9110), as in `Last-Modified`.
pub(crate) fn http_date(at: OffsetDateTime) -> String {
    let form =
        format_description!("[weekday repr:short], [day] [month repr:short] [year] [hour]:[minute]:[second] GMT");
    at.to_offset(UtcOffset::UTC).format(&form).unwrap_or_default()
}

/// The reverse of [`http_date`].
pub(crate) fn parse_http_date(text: &str) -> Option<OffsetDateTime> {
    let form =
        format_description!("[weekday repr:short], [day] [month repr:short] [year] [hour]:[minute]:[second] GMT");
    PrimitiveDateTime::parse(text.trim(), &form).ok().map(PrimitiveDateTime::assume_utc)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_forms_clients_send_mean_the_same_instant() {
        let forms = ["2026-01-31T10:20:30.000+0000", "2026-01-31T10:20:30Z", "2026-01-31T12:20:30.5+02:00"];
        for form in forms {
            assert_eq!(wire(parse(form).unwrap()), "2026-01-31T10:20:30.000+0000", "{form}");
        }
        assert!(parse("2026-01-31").is_none());
        assert!(parse("é").is_none());
    }

    #[test]
    fn http_dates_come_back() {
        let at = parse("2026-01-31T10:20:30Z").unwrap();
        assert_eq!(http_date(at), "Sat, 31 Jan 2026 10:20:30 GMT");
        assert_eq!(parse_http_date(&http_date(at)), Some(at));
    }
}
