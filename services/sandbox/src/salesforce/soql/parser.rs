//! Tokens to a query, by recursive descent.

use super::ast::{Expr, Group, Literal, Op, Order, Path, Query, Select};
use super::lexer::{Token, tokens};
use super::literal;

/// Conditions nested deeper than this are refused rather than followed down the stack.
const MOST_NESTING: usize = 50;

/// Parses a query; the error is the text of a `MALFORMED_QUERY`.
pub(crate) fn parse(text: &str) -> Result<Query, String> {
    let mut parser = Parser { tokens: tokens(text)?, at: 0, depth: 0 };
    let query = parser.query()?;
    match parser.peek() {
        None => Ok(query),
        Some(token) => Err(unexpected(Some(token))),
    }
}

struct Parser {
    tokens: Vec<Token>,
    at: usize,
    depth: usize,
}

fn unexpected(token: Option<&Token>) -> String {
    match token {
        None => "unexpected token: '<EOF>'".to_owned(),
        Some(Token::Word(word)) => format!("unexpected token: '{word}'"),
        Some(Token::Sign(sign)) => format!("unexpected token: '{sign}'"),
        Some(Token::Literal(value)) => format!("unexpected token: {value:?}"),
    }
}

impl Parser {
    fn peek(&self) -> Option<&Token> {
        self.tokens.get(self.at)
    }

    fn next(&mut self) -> Option<Token> {
        let token = self.tokens.get(self.at).cloned();
        self.at += 1;
        token
    }

    fn is_word(&self, ahead: usize, word: &str) -> bool {
        matches!(self.tokens.get(self.at + ahead), Some(Token::Word(w)) if w.eq_ignore_ascii_case(word))
    }

    /// Takes the keyword if it is next.
    fn take(&mut self, word: &str) -> bool {
        let there = self.is_word(0, word);
        self.at += usize::from(there);
        there
    }

    fn take_sign(&mut self, sign: &str) -> bool {
        let there = matches!(self.peek(), Some(Token::Sign(s)) if *s == sign);
        self.at += usize::from(there);
        there
    }

    fn expect(&mut self, word: &str) -> Result<(), String> {
        if self.take(word) { Ok(()) } else { Err(unexpected(self.peek())) }
    }

    fn expect_sign(&mut self, sign: &str) -> Result<(), String> {
        if self.take_sign(sign) { Ok(()) } else { Err(unexpected(self.peek())) }
    }

    fn word(&mut self) -> Result<String, String> {
        match self.next() {
            Some(Token::Word(word)) => Ok(word),
            other => Err(unexpected(other.as_ref())),
        }
    }

    fn path(&mut self) -> Result<Path, String> {
        Ok(self.word()?.split('.').map(str::to_owned).collect())
    }

    fn query(&mut self) -> Result<Query, String> {
        self.expect("SELECT")?;
        let mut select = self.select()?;
        self.expect("FROM")?;
        let from = self.word()?;
        let alias = self.alias();
        let mut filter = if self.take("WHERE") { Some(self.any_of()?) } else { None };
        let mut order = Vec::new();
        if self.take("ORDER") {
            self.expect("BY")?;
            order.push(self.order()?);
            while self.take_sign(",") {
                order.push(self.order()?);
            }
        }
        let limit = if self.take("LIMIT") { Some(self.count()?) } else { None };
        let offset = if self.take("OFFSET") { self.count()? } else { 0 };
        let prefixes = [Some(from.clone()), alias];
        let strip = |path: &mut Path| {
            let first = path.first().filter(|_| path.len() > 1).cloned();
            if first.is_some_and(|f| prefixes.iter().flatten().any(|p| p.eq_ignore_ascii_case(&f))) {
                path.remove(0);
            }
        };
        if let Select::Paths(paths) = &mut select {
            paths.iter_mut().for_each(strip);
        }
        if let Some(filter) = &mut filter {
            each_path(filter, &strip);
        }
        order.iter_mut().for_each(|o| strip(&mut o.path));
        Ok(Query { select, from, filter, order, limit, offset })
    }

    /// `FROM Contact c`
    fn alias(&mut self) -> Option<String> {
        let taken = ["WHERE", "ORDER", "LIMIT", "OFFSET"].iter().any(|k| self.is_word(0, k));
        if taken || !matches!(self.peek(), Some(Token::Word(_))) {
            return None;
        }
        self.word().ok()
    }

    fn select(&mut self) -> Result<Select, String> {
        let opens = matches!(self.tokens.get(self.at + 1), Some(Token::Sign("(")));
        if opens && self.take("COUNT") {
            self.expect_sign("(")?;
            self.expect_sign(")")?;
            return Ok(Select::Count);
        }
        if opens && self.take("FIELDS") {
            self.expect_sign("(")?;
            let group = match self.word()?.to_ascii_uppercase().as_str() {
                "ALL" => Group::All,
                "STANDARD" => Group::Standard,
                "CUSTOM" => Group::Custom,
                other => return Err(format!("unexpected token: '{other}'")),
            };
            self.expect_sign(")")?;
            return Ok(Select::Fields(group));
        }
        let mut paths = vec![self.path()?];
        while self.take_sign(",") {
            paths.push(self.path()?);
        }
        Ok(Select::Paths(paths))
    }

    fn order(&mut self) -> Result<Order, String> {
        let path = self.path()?;
        let descending = self.take("DESC");
        if !descending {
            self.take("ASC");
        }
        let mut nulls_last = false;
        if self.take("NULLS") {
            nulls_last = self.take("LAST");
            if !nulls_last {
                self.expect("FIRST")?;
            }
        }
        Ok(Order { path, descending, nulls_last })
    }

    fn count(&mut self) -> Result<usize, String> {
        match self.next() {
            Some(Token::Literal(Literal::Number(n))) if n >= 0.0 && n.fract() == 0.0 => Ok(n as usize),
            other => Err(unexpected(other.as_ref())),
        }
    }

    fn any_of(&mut self) -> Result<Expr, String> {
        self.depth += 1;
        if self.depth > MOST_NESTING {
            return Err("conditions are nested too deeply".to_owned());
        }
        let mut list = vec![self.all_of()?];
        while self.take("OR") {
            list.push(self.all_of()?);
        }
        self.depth -= 1;
        Ok(if list.len() == 1 { list.remove(0) } else { Expr::Or(list) })
    }

    fn all_of(&mut self) -> Result<Expr, String> {
        let mut list = vec![self.one()?];
        while self.take("AND") {
            list.push(self.one()?);
        }
        Ok(if list.len() == 1 { list.remove(0) } else { Expr::And(list) })
    }

    fn one(&mut self) -> Result<Expr, String> {
        let mut negations = 0;
        while self.take("NOT") {
            negations += 1;
        }
        let inner = if self.take_sign("(") {
            let inner = self.any_of()?;
            self.expect_sign(")")?;
            inner
        } else {
            self.condition()?
        };
        Ok(if negations % 2 == 1 { Expr::Not(Box::new(inner)) } else { inner })
    }

    fn condition(&mut self) -> Result<Expr, String> {
        let path = self.path()?;
        if self.take("NOT") {
            self.expect("IN")?;
            return Ok(Expr::Among(path, false, self.list()?));
        }
        if self.take("IN") {
            return Ok(Expr::Among(path, true, self.list()?));
        }
        if self.take("LIKE") {
            return match self.next() {
                Some(Token::Literal(Literal::Text(pattern))) => Ok(Expr::Like(path, pattern)),
                other => Err(unexpected(other.as_ref())),
            };
        }
        for (word, wanted) in [("INCLUDES", true), ("EXCLUDES", false)] {
            if self.take(word) {
                return Ok(Expr::Includes(path, wanted, texts(self.list()?)?));
            }
        }
        let op = match self.next() {
            Some(Token::Sign("=")) => Op::Eq,
            Some(Token::Sign("!=" | "<>")) => Op::Ne,
            Some(Token::Sign("<")) => Op::Lt,
            Some(Token::Sign("<=")) => Op::Le,
            Some(Token::Sign(">")) => Op::Gt,
            Some(Token::Sign(">=")) => Op::Ge,
            other => return Err(unexpected(other.as_ref())),
        };
        Ok(Expr::Compare(path, op, self.literal()?))
    }

    fn list(&mut self) -> Result<Vec<Literal>, String> {
        self.expect_sign("(")?;
        let mut list = vec![self.literal()?];
        while self.take_sign(",") {
            list.push(self.literal()?);
        }
        self.expect_sign(")")?;
        Ok(list)
    }

    fn literal(&mut self) -> Result<Literal, String> {
        match self.next() {
            Some(Token::Literal(value)) => Ok(value),
            Some(Token::Word(word)) => literal::keyword(&word).ok_or_else(|| format!("unexpected token: '{word}'")),
            other => Err(unexpected(other.as_ref())),
        }
    }
}

fn texts(list: Vec<Literal>) -> Result<Vec<String>, String> {
    list.into_iter()
        .map(|literal| match literal {
            Literal::Text(text) => Ok(text),
            other => Err(format!("unexpected token: {other:?}")),
        })
        .collect()
}

fn each_path(expr: &mut Expr, change: &impl Fn(&mut Path)) {
    match expr {
        Expr::And(list) | Expr::Or(list) => list.iter_mut().for_each(|e| each_path(e, change)),
        Expr::Not(inner) => each_path(inner, change),
        Expr::Compare(path, ..) | Expr::Among(path, ..) | Expr::Like(path, _) | Expr::Includes(path, ..) => {
            change(path);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_connectors_queries_parse() {
        let text = "SELECT Id, Name, Account.Name FROM Contact WHERE (SystemModstamp >= 2026-01-01T00:00:00Z AND \
                    SystemModstamp < 2026-01-02T00:00:00.000+0000) AND NOT (Email = null OR LastName LIKE 'O\\'%') \
                    ORDER BY SystemModstamp, Id DESC NULLS LAST LIMIT 10 OFFSET 5";
        let query = parse(text).unwrap();
        assert_eq!((query.limit, query.offset, query.order.len()), (Some(10), 5, 2));
        assert!(query.order[1].descending && query.order[1].nulls_last);
        let Some(Expr::And(parts)) = query.filter else { panic!("not a conjunction") };
        assert_eq!(parts.len(), 2);
    }

    #[test]
    fn counts_aliases_and_lists() {
        assert_eq!(parse("select count() from Account").unwrap().select, Select::Count);
        let query = parse("SELECT c.Id FROM Contact c WHERE c.Id NOT IN ('a','b')").unwrap();
        assert_eq!(query.select, Select::Paths(vec![vec!["Id".to_owned()]]));
        assert!(matches!(query.filter, Some(Expr::Among(path, false, list)) if path == ["Id"] && list.len() == 2));
    }

    #[test]
    fn nonsense_is_refused_with_a_reason() {
        for text in [
            "",
            "SELECT",
            "SELECT Id FROM",
            "SELECT Id FROM A WHERE",
            "SELECT Id FROM A WHERE x = 'y",
            "SELECT Id FROM A WHERE x IN ()",
            "SELECT * FROM A",
            "SELECT Id FROM A LIMIT -1",
            "DELETE FROM A",
        ] {
            assert!(parse(text).is_err(), "{text}");
        }
        let deep = format!("SELECT Id FROM A WHERE {}x = 1{}", "(".repeat(9000), ")".repeat(9000));
        assert!(parse(&deep).is_err());
    }
}
