//! Text between JSON and Postgres.

/// The JSON string of a text.
pub fn to_json(text: &str) -> String {
    serde_json::to_string(text).unwrap_or_else(|_| "null".to_owned())
}

/// The contents of a JSON string, as far as Postgres can hold them: U+0000 and lone surrogates become U+FFFD.
pub fn from_json(json: &str) -> String {
    let text = serde_json::from_str::<String>(json)
        .or_else(|_| serde_json::from_str(&without_surrogates(json)))
        .unwrap_or_else(|_| json.trim_matches('"').to_owned());
    if text.contains('\0') { text.replace('\0', "\u{fffd}") } else { text }
}

/// Replaces each escaped surrogate; only for strings that serde_json refuses.
fn without_surrogates(json: &str) -> String {
    let mut out = String::with_capacity(json.len());
    let mut rest = json;
    while let Some(at) = rest.find('\\') {
        out.push_str(&rest[..at]);
        let escape = &rest[at..];
        let hex = escape.strip_prefix("\\u").and_then(|tail| tail.get(..4));
        let is_surrogate =
            hex.and_then(|hex| u16::from_str_radix(hex, 16).ok()).is_some_and(|unit| (0xd800..=0xdfff).contains(&unit));
        let taken = if hex.is_some() { 6 } else { 2.min(escape.len()) };
        if is_surrogate {
            out.push('\u{fffd}');
        } else {
            out.push_str(escape.get(..taken).unwrap_or(escape));
        }
        rest = escape.get(taken..).unwrap_or("");
    }
    out.push_str(rest);
    out
}

#[cfg(test)]
mod tests {
    use super::from_json;

    #[test]
    fn strings_become_what_postgres_can_hold() {
        assert_eq!(from_json(r#""a\u0000b""#), "a\u{fffd}b");
        assert_eq!(from_json(r#""a\ud800b \\u \n""#), "a\u{fffd}b \\u \n");
        assert_eq!(from_json(r#""\ud83d\ude00""#), "\u{1f600}");
    }
}
