//! Secrets come from the environment or a file, never from the configuration itself, and never show themselves.

use std::fmt;

use super::reader::Section;

/// A secret's value. `Debug` and `Display` do not show it.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    pub fn new(value: impl Into<String>) -> Self {
        Self(value.into())
    }

    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("(secret)")
    }
}

/// Reads `name = { env = "VARIABLE" }` or `name = { file = "/path" }`. `None`: not given, or a mistake was noted.
pub(super) fn secret(section: &Section<'_, '_>, name: &str) -> Option<Secret> {
    let source = section.section(name);
    if !source.is_present() {
        return None;
    }
    match (source.string("env"), source.string("file")) {
        (Some(variable), None) => match std::env::var(&variable) {
            Ok(value) if !value.is_empty() => Some(Secret(value)),
            _ => {
                source.wrong("env", format!("environment variable {variable} is not set"));
                None
            }
        },
        (None, Some(path)) => match std::fs::read_to_string(&path) {
            Ok(value) => Some(Secret(value.trim_end_matches(['\r', '\n']).to_owned())),
            Err(error) => {
                source.wrong("file", format!("{path} cannot be read: {error}"));
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

/// Reads a value that may be written openly, `name = "value"`, or like a secret.
pub(super) fn option(section: &Section<'_, '_>, name: &str) -> Option<Secret> {
    if section.is_string(name) { section.string(name).map(Secret) } else { secret(section, name) }
}
