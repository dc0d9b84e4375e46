//! Numbers and dates as a query writes them.

use super::ast::Literal;
use crate::salesforce::stamp;

/// `12`, `-1.5`, `2026-01-31`, `2026-01-31T10:20:30Z`.
pub(super) fn number_or_date(word: &str) -> Result<Literal, String> {
    if let Ok(number) = word.parse::<f64>() {
        return Ok(Literal::Number(number));
    }
    if word.len() == 10
        && let Some(day) = stamp::parse_date(word)
    {
        return Ok(Literal::Date(day));
    }
    stamp::parse(word).map(|at| Literal::DateTime(stamp::wire(at))).ok_or_else(|| format!("unexpected token: '{word}'"))
}

/// `null`, `true`, `false`.
pub(super) fn keyword(word: &str) -> Option<Literal> {
    match word.to_ascii_lowercase().as_str() {
        "null" => Some(Literal::Null),
        "true" => Some(Literal::Bool(true)),
        "false" => Some(Literal::Bool(false)),
        _ => None,
    }
}
