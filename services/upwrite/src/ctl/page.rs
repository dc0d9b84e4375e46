//! Writing to standard output.

use std::io::Write as _;

use serde::Serialize;

use super::exit::Failure;

/// One object, one line.
pub(super) fn json(message: &impl Serialize) -> String {
    let text = serde_json::to_string(message).expect("messages of the API have only text as keys");
    format!("{text}\n")
}

pub(super) fn print(text: &str) -> Result<(), Failure> {
    let mut out = std::io::stdout().lock();
    out.write_all(text.as_bytes())?;
    out.flush()?;
    Ok(())
}
