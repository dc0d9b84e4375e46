//! Reads TOML section by section and collects every mistake with its place, instead of stopping at the first.

use std::cell::RefCell;
use std::collections::HashSet;
use std::fmt;
use std::ops::Range;
use std::time::Duration;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

/// One thing that is wrong, and where.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mistake {
    /// From 1; `None` where the mistake is that something is missing.
    pub line: Option<usize>,
    /// Dotted, e.g. `proxy.listen`.
    pub key: String,
    pub message: String,
}

impl fmt::Display for Mistake {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.line {
            Some(line) => write!(f, "line {line}: {}: {}", self.key, self.message),
            None => write!(f, "{}: {}", self.key, self.message),
        }
    }
}

/// Where mistakes are collected.
#[derive(Debug)]
pub(super) struct Mistakes<'a> {
    text: &'a str,
    found: RefCell<Vec<Mistake>>,
}

impl<'a> Mistakes<'a> {
    pub(super) fn new(text: &'a str) -> Self {
        Self { text, found: RefCell::default() }
    }

    pub(super) fn add(&self, span: Option<Range<usize>>, key: &str, message: impl Into<String>) {
        let line = span.map(|span| self.text.get(..span.start).unwrap_or_default().matches('\n').count() + 1);
        self.found.borrow_mut().push(Mistake { line, key: key.to_owned(), message: message.into() });
    }

    /// In the order of the file.
    pub(super) fn into_inner(self) -> Vec<Mistake> {
        let mut found = self.found.into_inner();
        found.sort_by_key(|mistake| mistake.line.unwrap_or(usize::MAX));
        found
    }
}

/// A table of the file (or the absence of one, which has only defaults).
pub(super) struct Section<'a, 'i> {
    table: Option<&'a DeTable<'i>>,
    span: Option<Range<usize>>,
    path: String,
    mistakes: &'a Mistakes<'a>,
    asked: RefCell<HashSet<String>>,
}

impl<'a, 'i> Section<'a, 'i> {
    pub(super) fn root(table: &'a Spanned<DeTable<'i>>, mistakes: &'a Mistakes<'a>) -> Self {
        Self::new(Some(table.get_ref()), None, String::new(), mistakes)
    }

    fn new(
        table: Option<&'a DeTable<'i>>,
        span: Option<Range<usize>>,
        path: String,
        mistakes: &'a Mistakes<'a>,
    ) -> Self {
        Self { table, span, path, mistakes, asked: RefCell::default() }
    }

    pub(super) fn is_present(&self) -> bool {
        self.table.is_some()
    }

    fn key(&self, name: &str) -> String {
        if self.path.is_empty() { name.to_owned() } else { format!("{}.{name}", self.path) }
    }

    fn get(&self, name: &str) -> Option<&'a Spanned<DeValue<'i>>> {
        self.asked.borrow_mut().insert(name.to_owned());
        self.table?.iter().find(|(key, _)| key.get_ref().as_ref() == name).map(|(_, value)| value)
    }

    /// Says that something about `name` is wrong, at its value if it is there.
    pub(super) fn wrong(&self, name: &str, message: impl Into<String>) {
        let span = self.get(name).map(Spanned::span).or_else(|| self.span.clone());
        self.mistakes.add(span, &self.key(name), message);
    }

    fn typed<T>(&self, name: &str, wanted: &str, read: impl Fn(&DeValue<'i>) -> Option<T>) -> Option<T> {
        let value = self.get(name)?;
        let read = read(value.get_ref());
        if read.is_none() {
            self.wrong(name, format!("expected {wanted}, found {}", value.get_ref().type_str()));
        }
        read
    }

    pub(super) fn string(&self, name: &str) -> Option<String> {
        self.typed(name, "a string", |value| value.as_str().map(str::to_owned))
    }

    pub(super) fn boolean(&self, name: &str) -> Option<bool> {
        self.typed(name, "true or false", DeValue::as_bool)
    }

    pub(super) fn required(&self, name: &str) -> String {
        if self.get(name).is_none() {
            self.wrong(name, "is missing");
        }
        self.string(name).unwrap_or_default()
    }

    /// A whole number within `range`.
    pub(super) fn number<T: TryFrom<i64> + PartialOrd + fmt::Display + Copy>(
        &self,
        name: &str,
        range: std::ops::RangeInclusive<T>,
    ) -> Option<T> {
        let number = self.typed(name, "a whole number", |value| {
            value.as_integer().and_then(|number| i64::from_str_radix(number.as_str(), number.radix()).ok())
        })?;
        let number = T::try_from(number).ok().filter(|number| range.contains(number));
        if number.is_none() {
            self.wrong(name, format!("must be from {} to {}", range.start(), range.end()));
        }
        number
    }

    /// A number with or without a fraction, above 0.
    pub(super) fn rate(&self, name: &str) -> Option<f64> {
        let rate = self.typed(name, "a number", |value| match value {
            DeValue::Integer(number) => number.as_str().parse().ok(),
            DeValue::Float(number) => number.as_str().parse().ok(),
            _ => None,
        })?;
        if rate > 0.0 {
            return Some(rate);
        }
        self.wrong(name, "must be above 0");
        None
    }

    /// A number from 0 to 1.
    pub(super) fn share(&self, name: &str) -> Option<f64> {
        let share = self.typed(name, "a number", |value| match value {
            DeValue::Integer(number) => number.as_str().parse().ok(),
            DeValue::Float(number) => number.as_str().parse().ok(),
            _ => None,
        })?;
        if (0.0..=1.0).contains(&share) {
            return Some(share);
        }
        self.wrong(name, "must be from 0 to 1");
        None
    }

    /// A duration such as `25s`, `500ms`, `2m`.
    pub(super) fn duration(&self, name: &str) -> Option<Duration> {
        let text = self.string(name)?;
        match humantime::parse_duration(&text) {
            Ok(duration) => Some(duration),
            Err(error) => {
                self.wrong(name, format!("{text:?} is not a duration ({error}); write it like 25s, 500ms or 2m"));
                None
            }
        }
    }

    /// A value of another type that is written as a string.
    pub(super) fn parsed<T: std::str::FromStr>(&self, name: &str, wanted: &str) -> Option<T> {
        let text = self.string(name)?;
        let parsed = text.parse().ok();
        if parsed.is_none() {
            self.wrong(name, format!("{text:?} is not {wanted}"));
        }
        parsed
    }

    pub(super) fn strings(&self, name: &str) -> Option<Vec<String>> {
        let wanted = "a list of strings";
        self.typed(name, wanted, |value| {
            value.as_array()?.iter().map(|item| item.get_ref().as_str().map(str::to_owned)).collect()
        })
    }

    pub(super) fn section(&self, name: &str) -> Section<'a, 'i> {
        let value = self.get(name);
        let table = value.and_then(|value| {
            let table = value.get_ref().as_table();
            if table.is_none() {
                self.wrong(name, format!("expected a table [{}]", self.key(name)));
            }
            table
        });
        Section::new(table, value.map(Spanned::span), self.key(name), self.mistakes)
    }

    /// The tables inside a table, by name.
    pub(super) fn sections(&self, name: &str) -> Vec<(String, Section<'a, 'i>)> {
        let outer = self.section(name);
        let names = outer.table.into_iter().flat_map(|table| table.keys().map(|key| key.get_ref().to_string()));
        names.map(|name| (name.clone(), outer.section(&name))).collect()
    }

    /// The keys that are there.
    pub(super) fn names(&self) -> Vec<String> {
        self.table.into_iter().flat_map(|table| table.keys().map(|key| key.get_ref().to_string())).collect()
    }

    /// Whether the value is written as a string.
    pub(super) fn is_string(&self, name: &str) -> bool {
        self.get(name).is_some_and(|value| value.get_ref().as_str().is_some())
    }

    /// A list of tables, `[[name]]`.
    pub(super) fn list(&self, name: &str) -> Vec<Section<'a, 'i>> {
        let Some(value) = self.get(name) else { return vec![] };
        let Some(items) = value.get_ref().as_array() else {
            self.wrong(name, format!("expected a list of tables [[{}]]", self.key(name)));
            return vec![];
        };
        let numbered = items.iter().enumerate();
        numbered
            .filter_map(|(index, item)| {
                let path = format!("{}[{index}]", self.key(name));
                let Some(table) = item.get_ref().as_table() else {
                    self.mistakes.add(Some(item.span()), &path, "expected a table");
                    return None;
                };
                Some(Section::new(Some(table), Some(item.span()), path, self.mistakes))
            })
            .collect()
    }
}

/// What was never asked for is unknown: a misspelt key must not pass for a default.
impl Drop for Section<'_, '_> {
    fn drop(&mut self) {
        let asked = self.asked.borrow();
        for (key, _) in self.table.into_iter().flatten() {
            let name = key.get_ref().as_ref();
            if !asked.contains(name) {
                let near =
                    asked.iter().filter(|known| distance(known, name) <= 2).min_by_key(|known| distance(known, name));
                let hint = near.map(|known| format!("; did you mean {known}?")).unwrap_or_default();
                self.mistakes.add(Some(key.span()), &self.key(name), format!("unknown key{hint}"));
            }
        }
    }
}

/// Edit distance, to recognise a misspelt key.
fn distance(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, from) in a.chars().enumerate() {
        let mut corner = row[0];
        row[0] = i + 1;
        for (j, to) in b.iter().enumerate() {
            let replaced = corner + usize::from(from != *to);
            corner = row[j + 1];
            row[j + 1] = replaced.min(row[j] + 1).min(corner + 1);
        }
    }
    row[b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn distance_counts_edits() {
        assert_eq!(distance("listen", "listen"), 0);
        assert_eq!(distance("listen", "lisen"), 1);
        assert_eq!(distance("listen", "lsiten"), 2);
        assert_eq!(distance("", "abc"), 3);
    }
}
