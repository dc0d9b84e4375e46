//! A query string into its statements.

use pg_query::NodeEnum;
use pg_query::protobuf::RawStmt;

/// The parser's answer.
pub(super) enum ParseResult {
    /// Trees with their own texts, in order.
    Statements(Vec<(Box<str>, NodeEnum)>),
    /// Not SQL for this parser: the server will word its own error.
    Syntax,
    /// Beyond what can be read here (nested too deeply): it may do anything.
    Opaque,
}

pub(super) fn parse(sql: &str) -> ParseResult {
    let parsed = match pg_query::parse(sql, 0) {
        Ok(parsed) => parsed.protobuf,
        Err(pg_query::Error::Parse(message)) if !message.contains("stack depth") => return ParseResult::Syntax,
        Err(_) => return ParseResult::Opaque,
    };
    let statements = parsed.stmts.into_iter().map(|raw| Some((own_text(sql, &raw)?.into(), raw.stmt?.node?)));
    statements.collect::<Option<Vec<_>>>().map_or(ParseResult::Opaque, ParseResult::Statements)
}

/// Locations are in bytes; a length of 0 means up to the end.
fn own_text<'a>(sql: &'a str, raw: &RawStmt) -> Option<&'a str> {
    let start = usize::try_from(raw.stmt_location).ok()?;
    let length = usize::try_from(raw.stmt_len).ok()?;
    let text = if length == 0 { sql.get(start..)? } else { sql.get(start..start.checked_add(length)?)? };
    Some(text.trim_ascii().trim_end_matches(';'))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(sql: &str) -> Vec<String> {
        match parse(sql) {
            ParseResult::Statements(statements) => statements.into_iter().map(|(text, _)| text.into()).collect(),
            ParseResult::Syntax | ParseResult::Opaque => panic!("not parsed: {sql}"),
        }
    }

    #[test]
    fn each_statement_has_its_own_text() {
        assert_eq!(texts("select ';' ; select 'ü'; -- the end"), ["select ';'", "select 'ü'"]);
        assert_eq!(texts("select 1"), ["select 1"]);
        assert_eq!(texts("select 1;"), ["select 1"]);
        assert_eq!(
            texts("create function f() returns int language sql begin atomic; select 1; end; select 2").len(),
            2
        );
        assert!(texts("").is_empty());
        assert!(texts("-- ping").is_empty());
        assert!(texts(" ; ").is_empty());
    }

    #[test]
    fn what_is_no_sql_is_left_to_the_server() {
        assert!(matches!(parse("selekt 1"), ParseResult::Syntax));
        let deep = format!("select {}1{}", "(1+".repeat(5_000), ")".repeat(5_000));
        assert!(matches!(parse(&deep), ParseResult::Opaque | ParseResult::Syntax));
    }
}
