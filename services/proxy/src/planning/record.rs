//! Records in the text form that `record_out` gives: `(a,"b ""quoted""",,"")`.
//!
//! An empty field is NULL; a field is quoted if it is empty text or has quotes, backslashes, parentheses, commas or white
//! space in it; quotes and backslashes are doubled. What `record_in` accepts beyond that is accepted too.

/// Why a text is no record of so many fields.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(super) enum MalformedImage {
    #[error("a record image is not UTF-8")]
    Encoding,
    #[error("a record image is damaged at byte {0}")]
    Syntax(usize),
    #[error("a record image has {found} fields instead of {expected}")]
    Fields { expected: usize, found: usize },
}

/// The fields in order; `None` is NULL.
pub(super) fn decode(image: &[u8], expected: usize) -> Result<Vec<Option<String>>, MalformedImage> {
    let text = std::str::from_utf8(image).map_err(|_| MalformedImage::Encoding)?;
    let inner = text.strip_prefix('(').ok_or(MalformedImage::Syntax(0))?;
    // A record of no fields and one of a single NULL look alike.
    if expected == 0 && inner == ")" {
        return Ok(Vec::new());
    }
    let mut fields = Vec::with_capacity(expected);
    let mut at = 1;
    loop {
        let (field, next) = field(text, at)?;
        fields.push(field);
        match text.as_bytes().get(next) {
            Some(b',') => at = next + 1,
            Some(b')') if next + 1 == text.len() => break,
            _ => return Err(MalformedImage::Syntax(next)),
        }
    }
    if fields.len() == expected { Ok(fields) } else { Err(MalformedImage::Fields { expected, found: fields.len() }) }
}

/// One field from byte `at` on, and where it ends.
fn field(text: &str, at: usize) -> Result<(Option<String>, usize), MalformedImage> {
    let bytes = text.as_bytes();
    let mut value = Vec::new();
    let mut quoted = false;
    let mut was_quoted = false;
    let mut next = at;
    while let Some(&byte) = bytes.get(next) {
        match byte {
            b',' | b')' if !quoted => break,
            b'\\' => {
                next += 1;
                value.push(*bytes.get(next).ok_or(MalformedImage::Syntax(next))?);
            }
            b'"' if quoted && bytes.get(next + 1) == Some(&b'"') => {
                next += 1;
                value.push(b'"');
            }
            b'"' => {
                quoted = !quoted;
                was_quoted = true;
            }
            byte => value.push(byte),
        }
        next += 1;
    }
    if quoted {
        return Err(MalformedImage::Syntax(next));
    }
    if value.is_empty() && !was_quoted {
        return Ok((None, next));
    }
    // Only ASCII bytes were taken out, so this is UTF-8 as the text was.
    String::from_utf8(value).map(|value| (Some(value), next)).map_err(|_| MalformedImage::Encoding)
}

#[cfg(test)]
pub(super) fn encode(fields: &[Option<&str>]) -> Vec<u8> {
    let mut text = String::from("(");
    for (index, field) in fields.iter().enumerate() {
        if index > 0 {
            text.push(',');
        }
        let Some(value) = field else { continue };
        // As record_out decides it: isspace() of the C locale.
        let space = |c: char| matches!(c, ' ' | '\t' | '\n' | '\r' | '\u{b}' | '\u{c}');
        if value.is_empty() || value.contains(|c: char| "\"\\(),".contains(c) || space(c)) {
            text.push('"');
            text.push_str(&value.replace('\\', "\\\\").replace('"', "\"\""));
            text.push('"');
        } else {
            text.push_str(value);
        }
    }
    text.push(')');
    text.into_bytes()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn some(values: &[&str]) -> Vec<Option<String>> {
        values.iter().map(|value| Some((*value).to_owned())).collect()
    }

    #[test]
    fn the_forms_of_record_out() {
        assert_eq!(decode(b"(1,abc)", 2), Ok(some(&["1", "abc"])));
        assert_eq!(decode(b"(,\"\",)", 3), Ok(vec![None, Some(String::new()), None]));
        assert_eq!(
            decode(br#"("a ""b"" c","back\\slash","(x,y)")"#, 3),
            Ok(some(&["a \"b\" c", "back\\slash", "(x,y)"]))
        );
        assert_eq!(decode("(漢字,\"line\nbreak\")".as_bytes(), 2), Ok(some(&["漢字", "line\nbreak"])));
        assert_eq!(decode(b"()", 1), Ok(vec![None]));
        assert_eq!(decode(b"()", 0), Ok(vec![]));
        assert_eq!(decode(br#"("{""k"": ""v""}")"#, 1), Ok(some(&["{\"k\": \"v\"}"])));
    }

    #[test]
    fn what_is_no_record_is_an_error() {
        for damaged in ["", "(", "(a", "(a,", "a)", "(a)b", "(\"a)", "(a\\", "(a))"] {
            assert!(decode(damaged.as_bytes(), 1).is_err(), "{damaged}");
        }
        assert_eq!(decode(b"(a,b)", 3), Err(MalformedImage::Fields { expected: 3, found: 2 }));
        assert_eq!(decode(b"(\xff)", 1), Err(MalformedImage::Encoding));
    }

    proptest! {
        #[test]
        fn what_was_encoded_is_decoded(fields in prop::collection::vec(prop::option::of("[ a\\\\\",()\n\t漢é]{0,8}|\\PC{0,20}"), 1..8)) {
            let borrowed: Vec<Option<&str>> = fields.iter().map(Option::as_deref).collect();
            prop_assert_eq!(decode(&encode(&borrowed), fields.len()), Ok(fields));
        }

        #[test]
        fn no_bytes_make_it_panic(bytes in prop::collection::vec(any::<u8>(), 0..64), expected in 0usize..5) {
            let _ = decode(&bytes, expected);
        }
    }
}
