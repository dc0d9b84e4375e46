//! The client's session as the first row of `upwrite.dry_run(secret)` describes it.

use std::collections::HashMap;
use std::time::Duration;

use serde::Deserialize;

use super::error::PlanError;
use super::locks::Lock;
use super::upwrite_settings::UpwriteSettings;
use crate::error::PgError;

/// Effective state of the client's session at the time of the dry run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SessionSettings {
    /// The user who logged in (`session_user`): whose mutations they are, whatever `SET ROLE` says.
    pub user: String,
    pub database: String,
    pub application_name: String,
    /// `read committed`, …
    pub isolation: String,
    /// `None`: no limit.
    pub statement_timeout: Option<Duration>,
    /// `None`: no limit.
    pub lock_timeout: Option<Duration>,
    pub upwrite: UpwriteSettings,
}

#[derive(Deserialize)]
struct SessionJson {
    session_user: String,
    database: String,
    #[serde(default)]
    application_name: Option<String>,
    isolation: String,
    #[serde(default)]
    settings: HashMap<String, Option<String>>,
    #[serde(default)]
    statement_timeout_ms: Option<u64>,
    #[serde(default)]
    lock_timeout_ms: Option<u64>,
    #[serde(default)]
    locks: Vec<Lock>,
}

impl SessionSettings {
    /// Reads its JSON; 22023 if an `upwrite.*` setting cannot be read.
    pub fn read(json: &str) -> Result<Self, PgError> {
        read(json).map(|(settings, _)| settings).map_err(PlanError::into_error)
    }
}

/// The session, and the locks that its transaction holds.
pub(super) fn read(json: &str) -> Result<(SessionSettings, Vec<Lock>), PlanError> {
    let raw: SessionJson = serde_json::from_str(json).map_err(|error| {
        PlanError::Refused(PgError::error(
            "XX000",
            format!("the session in upwrite.dry_run() is not understood: {error}"),
        ))
    })?;
    let limit = |milliseconds: Option<u64>| milliseconds.filter(|limit| *limit > 0).map(Duration::from_millis);
    let settings = SessionSettings {
        user: raw.session_user,
        database: raw.database,
        application_name: raw.application_name.unwrap_or_default(),
        isolation: raw.isolation,
        statement_timeout: limit(raw.statement_timeout_ms),
        lock_timeout: limit(raw.lock_timeout_ms),
        upwrite: UpwriteSettings::read(&raw.settings).map_err(PlanError::Refused)?,
    };
    Ok((settings, raw.locks))
}

#[cfg(test)]
pub(super) fn json(extra: &str) -> String {
    format!(
        r#"{{"user":"app","session_user":"app","database":"shop","application_name":"psql","isolation":"read committed",
            "statement_timeout_ms":0,"lock_timeout_ms":1500{extra}}}"#
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_session_is_read() {
        let extra = r#","settings":{"upwrite.ack":"applied","upwrite.hold_timeout":null},"locks":[],"captured":3"#;
        let settings = SessionSettings::read(&json(extra)).unwrap();
        assert_eq!((settings.user.as_str(), settings.database.as_str()), ("app", "shop"));
        assert_eq!(settings.statement_timeout, None);
        assert_eq!(settings.lock_timeout, Some(Duration::from_millis(1500)));
        assert_eq!(settings.upwrite.ack, upwrite_events::Ack::Applied);
    }

    #[test]
    fn foreign_json_is_an_internal_error() {
        assert_eq!(SessionSettings::read("{}").unwrap_err().sqlstate, "XX000");
        let wrong = json(r#","settings":{"upwrite.ack":"x"}"#);
        assert_eq!(SessionSettings::read(&wrong).unwrap_err().sqlstate, "22023");
    }
}
