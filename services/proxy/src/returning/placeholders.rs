//! Putting real keys where the dry run's rows show placeholders.

use std::borrow::Cow;
use std::collections::HashMap;

use upwrite_events::{PENDING_PREFIX, TEXT_PLACEHOLDER_BYTES};

use crate::error::PgError;

/// How a field of a row travels: its type's oid and format code, as the row description and Bind said.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FieldShape {
    pub type_oid: u32,
    /// Format code 1, else 0.
    pub binary: bool,
}

/// The placeholder keys that one mutation made, with the real ones once they are known.
#[derive(Debug, Clone, Default)]
pub struct Placeholders {
    /// `pending:<uuid>`, or a negative number.
    real: HashMap<String, Option<String>>,
}

/// Types whose binary form is their text: text, varchar, char(n), name, unknown, json, xml; and jsonb, whose binary form
/// is a version byte and the text.
const TEXT_IN_BINARY: &[u32] = &[25, 1043, 1042, 19, 705, 114, 142, 3802];

const INT8: u32 = 20;
const INT2: u32 = 21;
const INT4: u32 = 23;

impl Placeholders {
    pub(crate) fn new(made: impl IntoIterator<Item = (String, Option<String>)>) -> Self {
        Self { real: made.into_iter().collect() }
    }

    /// No placeholder was made: every row may be relayed as it is.
    pub fn is_empty(&self) -> bool {
        self.real.is_empty()
    }

    /// Before the append: whether every placeholder in this field of a dry run's row could be replaced (0A000 if not).
    pub fn check(&self, field: &[u8], shape: FieldShape) -> Result<(), PgError> {
        let hidden = match shape {
            FieldShape { type_oid: INT2 | INT4 | INT8, binary } => self.is_integer_key(field, binary),
            FieldShape { type_oid, binary: true } if !TEXT_IN_BINARY.contains(&type_oid) => {
                self.occurrences(field).next().is_some()
            }
            _ => false,
        };
        if hidden { Err(irreplaceable()) } else { Ok(()) }
    }

    /// After the verdict: the field with real keys.
    pub fn replace<'a>(&self, field: &'a [u8], shape: FieldShape) -> Cow<'a, [u8]> {
        if shape.binary && !TEXT_IN_BINARY.contains(&shape.type_oid) {
            return Cow::Borrowed(field);
        }
        let mut replaced = Vec::new();
        let mut copied = 0;
        for (start, real) in self.occurrences(field) {
            let Some(real) = real else { continue };
            replaced.extend_from_slice(&field[copied..start]);
            replaced.extend_from_slice(real.as_bytes());
            copied = start + TEXT_PLACEHOLDER_BYTES;
        }
        if copied == 0 {
            return Cow::Borrowed(field);
        }
        replaced.extend_from_slice(&field[copied..]);
        Cow::Owned(replaced)
    }

    /// Where the placeholders of this mutation stand in a field, with their real keys. Whatever else a user calls
    /// `pending:…` is not theirs.
    fn occurrences<'a>(&'a self, field: &'a [u8]) -> impl Iterator<Item = (usize, Option<&'a str>)> {
        let mut next = 0;
        std::iter::from_fn(move || {
            while !self.real.is_empty() && next + TEXT_PLACEHOLDER_BYTES <= field.len() {
                let start = next + find(&field[next..], PENDING_PREFIX.as_bytes())?;
                let known = field
                    .get(start..start + TEXT_PLACEHOLDER_BYTES)
                    .and_then(|bytes| std::str::from_utf8(bytes).ok())
                    .and_then(|text| self.real.get(text));
                if let Some(real) = known {
                    next = start + TEXT_PLACEHOLDER_BYTES;
                    return Some((start, real.as_deref()));
                }
                next = start + PENDING_PREFIX.len();
            }
            None
        })
    }

    fn is_integer_key(&self, field: &[u8], binary: bool) -> bool {
        let text = match (binary, field) {
            (false, text) => return std::str::from_utf8(text).is_ok_and(|text| self.real.contains_key(text)),
            (true, &[a, b]) => i16::from_be_bytes([a, b]).to_string(),
            (true, &[a, b, c, d]) => i32::from_be_bytes([a, b, c, d]).to_string(),
            (true, bytes) => match <[u8; 8]>::try_from(bytes) {
                Ok(bytes) => i64::from_be_bytes(bytes).to_string(),
                Err(_) => return false,
            },
        };
        self.real.contains_key(&text)
    }
}

fn find(haystack: &[u8], needle: &[u8]) -> Option<usize> {
    haystack.windows(needle.len()).position(|window| window == needle)
}

fn irreplaceable() -> PgError {
    PgError::unsupported(
        "the statement returns a key that upstream has yet to assign in a form in which it cannot be replaced",
        "Return the key itself with RETURNING, in a statement that only inserts.",
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    const A: &str = "pending:7f1c1f5e-4b0a-4c57-9d2e-0d6f1c1b2a3c";
    const B: &str = "pending:00000000-4b0a-4c57-9d2e-0d6f1c1b2a3c";
    const TEXT: FieldShape = FieldShape { type_oid: 25, binary: false };

    fn made() -> Placeholders {
        Placeholders::new([(A.to_owned(), Some("003A".to_owned())), (B.to_owned(), Some("003BB".to_owned()))])
    }

    fn replaced(field: &str, shape: FieldShape) -> String {
        String::from_utf8(made().replace(field.as_bytes(), shape).into_owned()).unwrap()
    }

    #[test]
    fn whole_fields_and_embedded_ones_are_replaced() {
        assert_eq!(replaced(A, TEXT), "003A");
        assert_eq!(replaced(A, FieldShape { type_oid: 1043, binary: true }), "003A");
        assert_eq!(
            replaced(&format!("[{{\"id\":\"{A}\"}},{{\"id\":\"{B}\"}}]"), TEXT),
            "[{\"id\":\"003A\"},{\"id\":\"003BB\"}]"
        );
        let jsonb = format!("\u{1}{{\"id\": \"{A}\"}}");
        assert_eq!(replaced(&jsonb, FieldShape { type_oid: 3802, binary: true }), "\u{1}{\"id\": \"003A\"}");
        assert_eq!(replaced(&format!("{{id=eq.{A}}}"), FieldShape { type_oid: 1009, binary: false }), "{id=eq.003A}");
    }

    #[test]
    fn nothing_else_is_touched() {
        for field in
            ["", "pending:", "pending: review", "pending:7f1c1f5e-4b0a-4c57-9d2e-0d6f1c1b2a3d", "pending:pending:"]
        {
            assert!(matches!(made().replace(field.as_bytes(), TEXT), Cow::Borrowed(_)), "{field}");
        }
        assert_eq!(replaced(&format!("pending:{A}"), TEXT), "pending:003A");
        assert!(matches!(Placeholders::default().replace(A.as_bytes(), TEXT), Cow::Borrowed(_)));
    }

    #[test]
    fn what_cannot_be_replaced_is_refused_beforehand() {
        let array = FieldShape { type_oid: 1009, binary: true };
        assert!(made().check(A.as_bytes(), array).is_err());
        assert!(made().check(b"pending: review of a text that is long enough", array).is_ok());
        assert!(made().check(A.as_bytes(), TEXT).is_ok());

        let integers = Placeholders::new([("-2147483648".to_owned(), None)]);
        assert!(integers.check(b"-2147483648", FieldShape { type_oid: INT4, binary: false }).is_err());
        assert!(integers.check(&i32::MIN.to_be_bytes(), FieldShape { type_oid: INT4, binary: true }).is_err());
        assert!(
            integers.check(&i64::from(i32::MIN).to_be_bytes(), FieldShape { type_oid: INT8, binary: true }).is_err()
        );
        assert!(integers.check(b"-1", FieldShape { type_oid: INT4, binary: false }).is_ok());
    }
}
