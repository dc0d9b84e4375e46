//! The `traceparent` of a sqlcommenter comment (<https://google.github.io/sqlcommenter/spec/>):
//! `/*action='list',traceparent='00-…-01'*/` at the end of the text; some libraries put it in front.

use std::borrow::Cow;

use upwrite_event_log::trace;

/// The last one that is valid. `sql` has been parsed: what ends with `*/` then ends with a comment, not with a literal.
pub(super) fn traceparent(sql: &str) -> Option<Box<str>> {
    let text = sql.trim_ascii().trim_end_matches(|c: char| c == ';' || c.is_ascii_whitespace());
    let last = text.strip_suffix("*/").and_then(|text| text.rsplit_once("/*")).map(|(_, comment)| comment);
    let first = text.strip_prefix("/*").and_then(|text| text.split_once("*/")).map(|(comment, _)| comment);
    [last, first].into_iter().flatten().find_map(of_comment)
}

/// `key='value',key='value'`: keys and values percent-encoded (a comma in either is `%2C`), then quotes in values escaped.
fn of_comment(comment: &str) -> Option<Box<str>> {
    comment.split(',').find_map(|pair| {
        let (key, value) = pair.split_once('=')?;
        if decoded(key.trim_ascii())? != "traceparent" {
            return None;
        }
        let value = value.trim_ascii().strip_prefix('\'')?.strip_suffix('\'')?.replace("\\'", "'");
        let value = decoded(&value)?;
        trace::is_valid(&value).then(|| value.into())
    })
}

/// Percent-decoded. `None`: it is not percent-encoded UTF-8.
fn decoded(text: &str) -> Option<Cow<'_, str>> {
    if !text.contains('%') {
        return Some(Cow::Borrowed(text));
    }
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        if byte != b'%' {
            bytes.push(byte);
            continue;
        }
        let mut digit = || char::from(rest.next()?).to_digit(16);
        let (high, low) = (digit()?, digit()?);
        bytes.push(u8::try_from(high * 16 + low).ok()?);
    }
    String::from_utf8(bytes).ok().map(Cow::Owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    const CLIENT: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";

    #[test]
    fn a_comment_of_sqlcommenter_is_read() {
        for sql in [
            "insert into t values (1) /*traceparent='{}'*/",
            "insert into t values (1); /* traceparent='{}' */ ;",
            "insert into t values (1) /*action='%2Fnew%2C',db_driver='pg',traceparent='{}',tracestate='a%3Db'*/",
            "insert into t values ('/*') /*route='it\\'s',traceparent='{}'*/\n",
            "/*traceparent='{}'*/ insert into t values (1)",
            "/*traceparent='{}'*/ insert into t values (1) /* why not */",
        ] {
            let sql = sql.replace("{}", CLIENT);
            assert_eq!(traceparent(&sql).as_deref(), Some(CLIENT), "{sql}");
        }
    }

    #[test]
    fn what_is_encoded_is_decoded() {
        let encoded: String = CLIENT.bytes().map(|byte| format!("%{byte:02X}")).collect();
        let sql = format!("delete from t /*%74raceparent='{encoded}'*/");
        assert_eq!(traceparent(&sql).as_deref(), Some(CLIENT));
    }

    #[test]
    fn what_is_none_is_ignored() {
        for sql in [
            "insert into t values (1)",
            "insert into t values ('traceparent=''{}''')",
            "insert into t values ('/*traceparent=''{}''*/')",
            "insert into t values (1) /*traceparent={}*/",
            "insert into t values (1) /*traceparent='{}%'*/",
            "insert into t values (1) /*traceparent='%ff'*/",
            "insert into t values (1) /*traceparent='00-1-2-3'*/",
            "insert into t values (1) /*xtraceparent='{}'*/",
            "insert into t /*traceparent='{}'*/ values (1)",
            "*/",
            "/*",
            "/*/",
        ] {
            let sql = sql.replace("{}", CLIENT);
            assert_eq!(traceparent(&sql), None, "{sql}");
        }
    }
}
