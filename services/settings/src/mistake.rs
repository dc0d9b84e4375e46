//! What is wrong with a file, and where.

use std::cell::RefCell;
use std::fmt;
use std::ops::Range;

/// One thing that is wrong, and where.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mistake {
    /// Line and column in characters, both from 1; `None` where nothing in the file can be pointed at.
    pub at: Option<(usize, usize)>,
    /// Dotted, e.g. `proxy.listen`.
    pub key: String,
    pub message: String,
}

impl fmt::Display for Mistake {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.at {
            Some((line, column)) => write!(f, "line {line}, column {column}: {}: {}", self.key, self.message),
            None => write!(f, "{}: {}", self.key, self.message),
        }
    }
}

/// Where mistakes are collected.
#[derive(Debug)]
pub(crate) struct Mistakes<'a> {
    text: &'a str,
    noted: RefCell<Vec<Mistake>>,
}

impl<'a> Mistakes<'a> {
    pub(crate) fn new(text: &'a str) -> Self {
        Self { text, noted: RefCell::default() }
    }

    pub(crate) fn add(&self, span: Option<Range<usize>>, key: &str, message: impl Into<String>) {
        let at = span.map(|span| {
            let before = self.text.get(..span.start).unwrap_or_default();
            let line_start = before.rfind('\n').map_or(0, |end| end + 1);
            (before.matches('\n').count() + 1, before[line_start..].chars().count() + 1)
        });
        self.noted.borrow_mut().push(Mistake { at, key: key.to_owned(), message: message.into() });
    }

    /// Whether something about this key was noted already.
    pub(crate) fn has(&self, key: &str) -> bool {
        self.noted.borrow().iter().any(|mistake| mistake.key == key)
    }

    /// In the order of the file.
    pub(crate) fn into_inner(self) -> Vec<Mistake> {
        let mut noted = self.noted.into_inner();
        noted.sort_by_key(|mistake| mistake.at.unwrap_or((usize::MAX, usize::MAX)));
        noted
    }
}
