//! Secrets come from the environment or a file, never from the configuration itself, and never show themselves.

use std::fmt;

use serde::Deserialize;

use crate::Section;

/// A secret. Neither `Debug` nor `Display` shows it, so it cannot get into a log by way of a larger struct.
#[derive(Clone, PartialEq, Eq, Deserialize)]
#[serde(transparent)]
pub struct Secret(String);

impl Secret {
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// The secret itself; for the request or login that needs it.
    pub fn expose(&self) -> &str {
        &self.0
    }

    pub fn is_blank(&self) -> bool {
        self.0.trim().is_empty()
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

impl fmt::Display for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

/// Reads `name = { env = "VARIABLE" }` or `name = { file = "/path" }`.
pub(crate) fn by_reference(section: &Section<'_, '_>, name: &str) -> Option<Secret> {
    let reference = section.section(name);
    if !reference.is_present() {
        return None;
    }
    match (reference.string("env"), reference.string("file")) {
        (Some(variable), None) => match std::env::var(&variable) {
            Ok(value) if !value.is_empty() => Some(Secret(value)),
            _ => {
                reference.wrong("env", format!("environment variable {variable} is not set"));
                None
            }
        },
        (None, Some(path)) => match std::fs::read_to_string(&path) {
            Ok(value) => Some(Secret(value.trim_end_matches(['\r', '\n']).to_owned())),
            Err(error) => {
                reference.wrong("file", format!("{path} cannot be read: {error}"));
                None
            }
        },
        _ => {
            section.wrong(
                name,
                "write { env = \"VARIABLE\" } or { file = \"/path\" }; a secret is never written here itself",
            );
            None
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Secret;

    #[test]
    fn neither_form_shows_it() {
        let secret = Secret::new("hunter2");
        assert_eq!(format!("{secret} {secret:?} {:?}", Some(&secret)), "*** *** Some(***)");
        assert_eq!(secret.expose(), "hunter2");
    }
}
