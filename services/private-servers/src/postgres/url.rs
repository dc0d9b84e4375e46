//! Connection URLs.

/// Percent-encodes all that is not unreserved, so that no user name or password can end its part of the URL.
pub(super) fn encode(part: &str) -> String {
    part.bytes()
        .map(|byte| match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => char::from(byte).to_string(),
            _ => format!("%{byte:02X}"),
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::encode;

    #[test]
    fn separators_and_foreign_letters_are_encoded() {
        assert_eq!(encode("a@b/c:d%é"), "a%40b%2Fc%3Ad%25%C3%A9");
    }
}
