//! What a client reads as `ErrorResponse` or `NoticeResponse`. Everything here was written for clients: no internal
//! detail, no secrets.

use std::fmt;
use std::ops::{Deref, DerefMut};

use bytes::{BufMut, Bytes, BytesMut};

/// How grave it is; decides between `ErrorResponse` and `NoticeResponse`, and whether the connection ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Severity {
    /// The statement failed.
    Error,
    /// The statement failed and the connection is closed.
    Fatal,
    /// The statement succeeded, but the client should know.
    Warning,
}

impl Severity {
    fn as_str(self) -> &'static str {
        match self {
            Self::Error => "ERROR",
            Self::Fatal => "FATAL",
            Self::Warning => "WARNING",
        }
    }
}

/// The fields that drivers and ORMs read; see "Error and Notice Message Fields" in PostgreSQL's protocol chapter.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PgErrorFields {
    pub severity: Severity,
    /// SQLSTATE, five characters.
    pub sqlstate: String,
    pub message: String,
    pub detail: Option<String>,
    pub hint: Option<String>,
    pub schema: Option<String>,
    pub table: Option<String>,
    pub column: Option<String>,
    pub constraint: Option<String>,
}

/// An error for the client. Boxed, as most results are fine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PgError(Box<PgErrorFields>);

impl PgError {
    /// Any severity; the optional fields are empty.
    pub fn new(severity: Severity, sqlstate: impl Into<String>, message: impl Into<String>) -> Self {
        Self(Box::new(PgErrorFields {
            severity,
            sqlstate: sqlstate.into(),
            message: message.into(),
            detail: None,
            hint: None,
            schema: None,
            table: None,
            column: None,
            constraint: None,
        }))
    }

    /// The statement fails.
    pub fn error(sqlstate: impl Into<String>, message: impl Into<String>) -> Self {
        Self::new(Severity::Error, sqlstate, message)
    }

    /// The connection ends.
    pub fn fatal(sqlstate: impl Into<String>, message: impl Into<String>) -> Self {
        Self::new(Severity::Fatal, sqlstate, message)
    }

    /// The statement succeeds with a warning.
    pub fn warning(sqlstate: impl Into<String>, message: impl Into<String>) -> Self {
        Self::new(Severity::Warning, sqlstate, message)
    }

    /// 0A000: what Upwrite does not do, or not yet; the hint says what to do instead.
    pub fn unsupported(message: impl Into<String>, hint: impl Into<String>) -> Self {
        Self::error("0A000", message).with_hint(hint)
    }

    #[must_use]
    pub fn with_detail(mut self, detail: impl Into<String>) -> Self {
        self.detail = Some(detail.into());
        self
    }

    #[must_use]
    pub fn with_hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// Schema and table that the error is about.
    #[must_use]
    pub fn with_table(mut self, schema: impl Into<String>, table: impl Into<String>) -> Self {
        self.schema = Some(schema.into());
        self.table = Some(table.into());
        self
    }

    #[must_use]
    pub fn with_column(mut self, column: impl Into<String>) -> Self {
        self.column = Some(column.into());
        self
    }

    /// The whole frame: `ErrorResponse`, or `NoticeResponse` for warnings.
    pub fn frame(&self) -> Bytes {
        let tag = match self.severity {
            Severity::Error | Severity::Fatal => b'E',
            Severity::Warning => b'N',
        };
        let mut body = BytesMut::with_capacity(64 + self.message.len());
        let severity = Some(self.severity.as_str());
        let fields = [
            (b'S', severity),
            (b'V', severity),
            (b'C', Some(self.sqlstate.as_str())),
            (b'M', Some(self.message.as_str())),
            (b'D', self.detail.as_deref()),
            (b'H', self.hint.as_deref()),
            (b's', self.schema.as_deref()),
            (b't', self.table.as_deref()),
            (b'c', self.column.as_deref()),
            (b'n', self.constraint.as_deref()),
        ];
        for (code, value) in fields {
            if let Some(value) = value {
                body.put_u8(code);
                // A NUL would end the field early and shift all that follow.
                body.extend(value.bytes().filter(|byte| *byte != 0).take(FIELD_MAX_BYTES));
                body.put_u8(0);
            }
        }
        body.put_u8(0);
        let length = u32::try_from(body.len() + 4).expect("ten fields of at most FIELD_MAX_BYTES fit u32");
        let mut frame = BytesMut::with_capacity(body.len() + 5);
        frame.put_u8(tag);
        frame.put_u32(length);
        frame.extend_from_slice(&body);
        frame.freeze()
    }
}

/// libpq 14 and older refuse error messages beyond 30,000 bytes.
const FIELD_MAX_BYTES: usize = 8_000;

impl Deref for PgError {
    type Target = PgErrorFields;

    fn deref(&self) -> &PgErrorFields {
        &self.0
    }
}

impl DerefMut for PgError {
    fn deref_mut(&mut self) -> &mut PgErrorFields {
        &mut self.0
    }
}

impl fmt::Display for PgError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({})", self.message, self.sqlstate)
    }
}

impl std::error::Error for PgError {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_frame_has_its_fields_and_its_length() {
        let mut error = PgError::error("23505", "du\0plicate");
        error.constraint = Some("contact_email_key".to_owned());
        let frame = error.frame();
        assert_eq!(frame[0], b'E');
        assert_eq!(u32::from_be_bytes([frame[1], frame[2], frame[3], frame[4]]) as usize, frame.len() - 1);
        let body = b"SERROR\0VERROR\0C23505\0Mduplicate\0ncontact_email_key\0\0";
        assert_eq!(&frame[5..], body);
    }

    #[test]
    fn a_warning_is_a_notice() {
        assert_eq!(PgError::warning("01000", "late").frame()[0], b'N');
    }
}
