//! Instants and times of day as the vendor writes them: milliseconds, and `+0000` after an instant.

use crate::value::stamp;

pub(crate) use crate::value::stamp::{
    clock_to_postgres, date, instant_to_postgres, instant_to_rfc3339 as instant_sortable,
    unix_to_rfc3339 as soql_second,
};

/// Postgres's `2026-01-31 10:20:30.123456+00` to the vendor's form, which has milliseconds.
pub(crate) fn instant_to_vendor(text: &str) -> Option<String> {
    let utc = stamp::instant_to_rfc3339(text)?;
    Some(format!("{}+0000", utc.strip_suffix('Z')?))
}

/// Postgres's `10:20:30.123456` to `10:20:30.123Z`.
pub(crate) fn clock_to_vendor(text: &str) -> Option<String> {
    Some(format!("{}Z", stamp::clock_to_millis(text)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn instants_both_ways() {
        for (vendor, postgres) in [
            ("2026-01-31T10:20:30.000+0000", "2026-01-31 10:20:30+00"),
            ("2026-01-31T10:20:30.120+0000", "2026-01-31 10:20:30.12+00"),
            ("1700-01-01T00:00:00.001+0000", "1700-01-01 00:00:00.001+00"),
        ] {
            assert_eq!(instant_to_postgres(vendor).as_deref(), Some(postgres));
            assert_eq!(instant_to_vendor(postgres).as_deref(), Some(vendor));
        }
        assert_eq!(instant_to_postgres("2026-01-31T10:20:30Z").as_deref(), Some("2026-01-31 10:20:30+00"));
        assert_eq!(instant_to_postgres("2026-01-31T23:20:30.000-0500").as_deref(), Some("2026-02-01 04:20:30+00"));
        assert_eq!(
            instant_to_vendor("2026-01-31 10:20:30.123456+05:30").as_deref(),
            Some("2026-01-31T04:50:30.123+0000")
        );
        assert_eq!(instant_sortable("2026-01-31T10:20:30.000+0000").as_deref(), Some("2026-01-31T10:20:30.000Z"));
        assert_eq!(soql_second(1_769_854_830_999_999).as_deref(), Some("2026-01-31T10:20:30Z"));
    }

    #[test]
    fn what_only_one_side_has_is_refused() {
        for text in ["infinity", "-infinity", "0044-03-15 BC", "10000-01-01", "2026-02-30", "2026-1-1", "", "é-01-01"]
        {
            assert_eq!(date(text), None, "{text}");
        }
        for text in ["infinity", "2026-01-31", "2026-01-31 10:20", "9999-12-31 23:00:00-05", "2026-01-31 10:20:30+é0"]
        {
            assert_eq!(instant_to_vendor(text), None, "{text}");
        }
        assert_eq!(clock_to_vendor("24:00:00"), None);
    }

    #[test]
    fn times_of_day_both_ways() {
        assert_eq!(clock_to_postgres("10:20:30.000Z").as_deref(), Some("10:20:30"));
        assert_eq!(clock_to_postgres("10:20:30.050Z").as_deref(), Some("10:20:30.05"));
        assert_eq!(clock_to_vendor("10:20:30.05").as_deref(), Some("10:20:30.050Z"));
    }
}
