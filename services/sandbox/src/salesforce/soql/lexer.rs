//! Query text to tokens.

use super::ast::Literal;
use super::literal;

#[derive(Clone, Debug, PartialEq)]
pub(super) enum Token {
    /// A name, keyword or dotted path, as written.
    Word(String),
    Literal(Literal),
    /// `(`, `)`, `,`, or a comparison.
    Sign(&'static str),
}

const SIGNS: [&str; 10] = ["!=", "<>", "<=", ">=", "=", "<", ">", "(", ")", ","];

/// All tokens, or what could not be read.
pub(super) fn tokens(text: &str) -> Result<Vec<Token>, String> {
    let mut found = Vec::new();
    let mut rest = text.trim_start();
    while let Some(first) = rest.chars().next() {
        let used = if first == '\'' {
            let (value, used) = quoted(rest)?;
            found.push(Token::Literal(Literal::Text(value)));
            used
        } else if let Some(sign) = SIGNS.iter().find(|s| rest.starts_with(**s)) {
            found.push(Token::Sign(sign));
            sign.len()
        } else {
            let end = rest.find(|c: char| c.is_whitespace() || "()=<>!,'".contains(c)).unwrap_or(rest.len());
            if end == 0 {
                return Err(format!("unexpected token: '{first}'"));
            }
            found.push(bare(&rest[..end])?);
            end
        };
        rest = rest[used..].trim_start();
    }
    Ok(found)
}

fn bare(word: &str) -> Result<Token, String> {
    if word.starts_with(|c: char| c.is_ascii_digit() || c == '-' || c == '+' || c == '.') {
        return literal::number_or_date(word).map(Token::Literal);
    }
    if word.chars().all(|c| c.is_ascii_alphanumeric() || c == '_' || c == '.') {
        return Ok(Token::Word(word.to_owned()));
    }
    Err(format!("unexpected token: '{word}'"))
}

/// A quoted string at the start of `text`, and how many bytes it takes.
fn quoted(text: &str) -> Result<(String, usize), String> {
    let mut value = String::new();
    let mut chars = text.char_indices().skip(1);
    while let Some((at, c)) = chars.next() {
        match c {
            '\'' => return Ok((value, at + 1)),
            '\\' => match chars.next().map(|(_, escaped)| escaped) {
                Some('n' | 'N') => value.push('\n'),
                Some('r' | 'R') => value.push('\r'),
                Some('t' | 'T') => value.push('\t'),
                Some('b' | 'B') => value.push('\u{8}'),
                Some('f' | 'F') => value.push('\u{c}'),
                // Kept escaped: they mean something only to LIKE, which undoes them.
                Some(wild @ ('%' | '_')) => value.extend(['\\', wild]),
                Some(plain @ ('\'' | '"' | '\\')) => value.push(plain),
                _ => {
                    return Err(
                        "Illegal string literal. Legal escape sequences: \\n \\r \\t \\b \\f \\\" \\' \\\\".to_owned()
                    );
                }
            },
            other => value.push(other),
        }
    }
    Err("line 1: unterminated string literal".to_owned())
}
