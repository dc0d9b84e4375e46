//! Reading and making the server's messages about rows.

use bytes::{BufMut, Bytes, BytesMut};

use super::frame::frame;
use super::{Body, Frame, Malformed};
use crate::error::{PgError, Severity};
use crate::returning::FieldShape;

/// The values of a row.
pub(crate) fn fields(row: &Frame) -> Result<Vec<Option<&[u8]>>, Malformed> {
    let mut body = Body(row.body());
    let count = body.u16()?;
    (0..count).map(|_| body.value()).collect()
}

/// A row of the given values.
pub(crate) fn data_row<V: AsRef<[u8]>>(values: &[Option<V>]) -> Bytes {
    let mut body = BytesMut::new();
    body.put_u16(u16::try_from(values.len()).unwrap_or(u16::MAX));
    for value in values {
        match value {
            None => body.put_i32(-1),
            Some(value) => {
                let value = value.as_ref();
                body.put_i32(i32::try_from(value.len()).unwrap_or(i32::MAX));
                body.extend_from_slice(value);
            }
        }
    }
    frame(b'D', &body)
}

/// A whole row as a frame again.
pub(crate) fn row_frame(raw: Bytes) -> Frame {
    Frame { tag: b'D', raw, first: true, last: true }
}

/// Types from a RowDescription, and the formats that `format` gives for each column.
pub(crate) fn field_shapes(description: &Frame, format: impl Fn(usize) -> u16) -> Result<Vec<FieldShape>, Malformed> {
    let mut body = Body(description.body());
    let count = body.u16()?;
    (0..usize::from(count))
        .map(|index| {
            body.cstring()?; // name
            body.bytes(4 + 2)?; // table, column
            let type_oid = body.u32()?;
            body.bytes(2 + 4 + 2)?; // size, modifier, format (0 when a statement was described)
            Ok(FieldShape { type_oid, binary: format(index) == 1 })
        })
        .collect()
}

/// The text of a CommandComplete.
pub(crate) fn command_tag(complete: &Frame) -> &str {
    let body = complete.body();
    std::str::from_utf8(body.strip_suffix(&[0]).unwrap_or(body)).unwrap_or_default()
}

/// A CommandComplete with another row count: `INSERT 0 5`, `UPDATE 5`, `SELECT 5`. Tags without a count stay.
pub(crate) fn with_count(tag: &str, count: usize) -> Bytes {
    let text = match tag.rsplit_once(' ') {
        Some((command, number)) if number.bytes().all(|byte| byte.is_ascii_digit()) => format!("{command} {count}\0"),
        _ => format!("{tag}\0"),
    };
    frame(b'C', text.as_bytes())
}

/// An ErrorResponse as our own type, as far as it has those fields.
pub(crate) fn error_fields(response: &Frame) -> PgError {
    let mut error = PgError::error("XX000", "");
    let mut body = Body(response.body());
    while let Ok(code) = body.u8() {
        if code == 0 {
            break;
        }
        let Ok(value) = body.cstring() else { break };
        let text = String::from_utf8_lossy(value).into_owned();
        match code {
            b'V' if text == "FATAL" || text == "PANIC" => error.severity = Severity::Fatal,
            b'C' => error.sqlstate = text,
            b'M' => error.message = text,
            b'D' => error.detail = Some(text),
            b'H' => error.hint = Some(text),
            b's' => error.schema = Some(text),
            b't' => error.table = Some(text),
            b'c' => error.column = Some(text),
            b'n' => error.constraint = Some(text),
            _ => {}
        }
    }
    error
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_are_made_as_they_are_read() {
        let raw = data_row(&[Some(&b"a"[..]), None, Some(&b""[..])]);
        assert_eq!(fields(&row_frame(raw)).unwrap(), [Some(&b"a"[..]), None, Some(&b""[..])]);
    }

    #[test]
    fn counts_are_replaced_where_there_are_counts() {
        assert_eq!(&with_count("INSERT 0 7", 2)[5..], b"INSERT 0 2\0");
        assert_eq!(&with_count("CALL", 2)[5..], b"CALL\0");
    }

    #[test]
    fn an_error_survives_the_wire() {
        let mut error = PgError::error("23505", "duplicate").with_table("salesforce", "contact");
        error.constraint = Some("k".to_owned());
        let raw = error.frame();
        assert_eq!(error_fields(&Frame { tag: b'E', raw, first: true, last: true }), error);
    }
}
