//! The settings `upwrite.*`: Postgres takes any text for them, so they are read here, when they matter.

use std::collections::HashMap;
use std::time::Duration;

use upwrite_event_log::trace;
use upwrite_events::{Ack, DEFAULT_HOLD_TIMEOUT};

use crate::error::PgError;

/// Longest `upwrite.hold_timeout`.
const LONGEST_HOLD: Duration = Duration::from_secs(24 * 3600);

/// `upwrite.on_timeout`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum OnTimeout {
    /// The mutation is withdrawn if nothing was sent.
    #[default]
    Revoke,
    /// It goes on; the client is told that its outcome is not known (40003).
    Continue,
}

/// `upwrite.on_rollback`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum OnRollback {
    #[default]
    Warn,
    /// No synced mutation inside a block.
    Refuse,
    /// Not built: refused where it would matter, inside a block.
    Compensate,
}

/// `upwrite.apply`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Apply {
    #[default]
    Statement,
    /// Not built: refused where it would matter, inside a block.
    Commit,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UpwriteSettings {
    pub apply: Apply,
    pub ack: Ack,
    pub hold_timeout: Duration,
    pub on_timeout: OnTimeout,
    pub on_rollback: OnRollback,
    pub idempotency_key: Option<String>,
    /// W3C `traceparent`.
    pub traceparent: Option<String>,
}

impl Default for UpwriteSettings {
    fn default() -> Self {
        Self {
            apply: Apply::Statement,
            ack: Ack::Reconciled,
            hold_timeout: DEFAULT_HOLD_TIMEOUT,
            on_timeout: OnTimeout::Revoke,
            on_rollback: OnRollback::Warn,
            idempotency_key: None,
            traceparent: None,
        }
    }
}

impl UpwriteSettings {
    /// Reads the values by full name; what is missing, null or empty has its default. 22023 names the setting that cannot
    /// be read.
    pub fn read(values: &HashMap<String, Option<String>>) -> Result<Self, PgError> {
        let text = |name: &str| {
            let value = values.get(&format!("upwrite.{name}"))?.as_deref()?.trim();
            (!value.is_empty()).then(|| value.to_owned())
        };
        let apply = [("statement", Apply::Statement), ("commit", Apply::Commit)];
        let ack = [("reconciled", Ack::Reconciled), ("applied", Ack::Applied), ("accepted", Ack::Accepted)];
        let on_timeout = [("revoke", OnTimeout::Revoke), ("continue", OnTimeout::Continue)];
        let on_rollback =
            [("warn", OnRollback::Warn), ("refuse", OnRollback::Refuse), ("compensate", OnRollback::Compensate)];
        Ok(Self {
            apply: one_of("apply", text("apply"), &apply)?,
            ack: one_of("ack", text("ack"), &ack)?,
            hold_timeout: text("hold_timeout").map_or(Ok(DEFAULT_HOLD_TIMEOUT), |value| hold_timeout(&value))?,
            on_timeout: one_of("on_timeout", text("on_timeout"), &on_timeout)?,
            on_rollback: one_of("on_rollback", text("on_rollback"), &on_rollback)?,
            idempotency_key: text("idempotency_key"),
            traceparent: text("traceparent").map(traceparent).transpose()?,
        })
    }
}

fn one_of<T: Copy + Default>(name: &str, value: Option<String>, allowed: &[(&str, T)]) -> Result<T, PgError> {
    let Some(value) = value else { return Ok(T::default()) };
    let found = allowed.iter().find(|(word, _)| value.eq_ignore_ascii_case(word));
    found.map(|(_, meaning)| *meaning).ok_or_else(|| {
        let words: Vec<&str> = allowed.iter().map(|(word, _)| *word).collect();
        invalid(name, &value, format!("Available values: {}.", words.join(", ")))
    })
}

fn hold_timeout(value: &str) -> Result<Duration, PgError> {
    duration(value).filter(|hold| !hold.is_zero() && *hold <= LONGEST_HOLD).ok_or_else(|| {
        invalid(
            "hold_timeout",
            value,
            "A time from 1 ms to 1 day, such as '25s'. Valid units are \"us\", \"ms\", \"s\", \"min\", \"h\", and \"d\"; \
             a number alone is milliseconds."
                .to_owned(),
        )
    })
}

/// A time as Postgres's own settings have it.
fn duration(value: &str) -> Option<Duration> {
    let split = value.find(|c: char| !(c.is_ascii_digit() || c == '.')).unwrap_or(value.len());
    let (number, unit) = value.split_at(split);
    let milliseconds = match unit.trim() {
        "us" => 0.001,
        "" | "ms" => 1.0,
        "s" => 1_000.0,
        "min" => 60_000.0,
        "h" => 3_600_000.0,
        "d" => 86_400_000.0,
        _ => return None,
    };
    let number: f64 = number.parse().ok()?;
    let seconds = (number * milliseconds).round() / 1_000.0;
    Duration::try_from_secs_f64(seconds).ok()
}

/// W3C Trace Context. A setting of the client is checked like any other.
fn traceparent(value: String) -> Result<String, PgError> {
    if trace::is_valid(&value) {
        return Ok(value);
    }
    let hint = "A W3C traceparent, such as '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01'.";
    Err(invalid("traceparent", &value, hint.to_owned()))
}

fn invalid(name: &str, value: &str, hint: String) -> PgError {
    PgError::error("22023", format!("invalid value for parameter \"upwrite.{name}\": \"{value}\"")).with_hint(hint)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(name: &str, value: &str) -> Result<UpwriteSettings, PgError> {
        UpwriteSettings::read(&HashMap::from([(format!("upwrite.{name}"), Some(value.to_owned()))]))
    }

    #[test]
    fn what_is_not_set_is_as_by_default() {
        assert_eq!(UpwriteSettings::read(&HashMap::new()), Ok(UpwriteSettings::default()));
        assert_eq!(
            UpwriteSettings::read(&HashMap::from([("upwrite.ack".into(), None)])),
            Ok(UpwriteSettings::default())
        );
        assert_eq!(read("ack", ""), Ok(UpwriteSettings::default()));
    }

    #[test]
    fn values_are_read_as_postgres_reads_enums_and_times() {
        assert_eq!(read("ack", "Applied").unwrap().ack, Ack::Applied);
        assert_eq!(read("on_timeout", "continue").unwrap().on_timeout, OnTimeout::Continue);
        assert_eq!(read("on_rollback", "refuse").unwrap().on_rollback, OnRollback::Refuse);
        for (text, milliseconds) in
            [("25s", 25_000), ("500ms", 500), ("1min", 60_000), ("1500", 1_500), ("1.5 s", 1_500), ("1h", 3_600_000)]
        {
            assert_eq!(read("hold_timeout", text).unwrap().hold_timeout, Duration::from_millis(milliseconds), "{text}");
        }
    }

    #[test]
    fn what_cannot_be_read_names_the_setting_and_what_it_takes() {
        for (name, value) in [
            ("ack", "soon"),
            ("apply", "x"),
            ("on_timeout", "x"),
            ("on_rollback", "x"),
            ("hold_timeout", "0"),
            ("hold_timeout", "-1s"),
            ("hold_timeout", "25 seconds"),
            ("hold_timeout", "2d"),
            ("hold_timeout", "1e300s"),
            ("hold_timeout", "."),
            ("traceparent", "00-xyz"),
        ] {
            let error = read(name, value).unwrap_err();
            assert_eq!(error.sqlstate, "22023");
            assert!(error.message.contains(&format!("\"upwrite.{name}\"")), "{}", error.message);
            assert!(error.hint.is_some());
        }
        assert_eq!(
            read("ack", "x").unwrap_err().hint.as_deref(),
            Some("Available values: reconciled, applied, accepted.")
        );
    }
}
