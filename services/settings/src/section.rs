//! One table of the file. Mistakes are noted with their places instead of ending the reading at the first.

use std::cell::RefCell;
use std::collections::HashSet;
use std::fmt;
use std::ops::Range;
use std::time::Duration;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use crate::mistake::Mistakes;
use crate::secret::{Secret, by_reference};
use crate::spelling::distance;

/// A table of the file (or the absence of one, which has only defaults).
pub struct Section<'a, 'i> {
    table: Option<&'a DeTable<'i>>,
    span: Option<Range<usize>>,
    path: String,
    mistakes: &'a Mistakes<'a>,
    asked: RefCell<HashSet<String>>,
}

impl<'a, 'i> Section<'a, 'i> {
    pub(crate) fn root(table: &'a Spanned<DeTable<'i>>, mistakes: &'a Mistakes<'a>) -> Self {
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

    pub fn is_present(&self) -> bool {
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
    pub fn wrong(&self, name: &str, message: impl Into<String>) {
        let span = self.get(name).map(Spanned::span).or_else(|| self.span.clone());
        self.mistakes.add(span, &self.key(name), message);
    }

    /// Says that something about the value at `place` is wrong: a dotted path below this table, with `[n]` for the n-th
    /// item of a list (`objects[1].columns`), empty for the table itself. What is not in the file is pointed at by what
    /// would hold it. Of several mistakes of one key the first counts: the others follow from it.
    pub fn wrong_at(&self, place: &str, message: impl Into<String>) {
        let key = if place.is_empty() { self.path.clone() } else { self.key(place) };
        if self.mistakes.has(&key) {
            return;
        }
        let mut span = self.span.clone();
        let mut table = self.table;
        for step in place.split('.').filter(|step| !step.is_empty()) {
            let (name, index) = match step.split_once('[') {
                Some((name, rest)) => (name, rest.trim_end_matches(']').parse::<usize>().ok()),
                None => (step, None),
            };
            let value = table.and_then(|table| table.iter().find(|(key, _)| key.get_ref().as_ref() == name));
            let Some((_, value)) = value else { break };
            let value = match index {
                Some(index) => value.get_ref().as_array().and_then(|items| items.get(index)),
                None => Some(value),
            };
            let Some(value) = value else { break };
            span = Some(value.span());
            table = value.get_ref().as_table();
        }
        self.mistakes.add(span, &key, message);
    }

    fn typed<T>(&self, name: &str, wanted: &str, read: impl Fn(&DeValue<'i>) -> Option<T>) -> Option<T> {
        let value = self.get(name)?;
        let read = read(value.get_ref());
        if read.is_none() {
            self.wrong(name, format!("expected {wanted}, found {}", value.get_ref().type_str()));
        }
        read
    }

    pub fn string(&self, name: &str) -> Option<String> {
        self.typed(name, "a string", |value| value.as_str().map(str::to_owned))
    }

    pub fn boolean(&self, name: &str) -> Option<bool> {
        self.typed(name, "true or false", DeValue::as_bool)
    }

    pub fn required(&self, name: &str) -> String {
        if self.get(name).is_none() {
            self.wrong(name, "is missing");
        }
        self.string(name).unwrap_or_default()
    }

    /// A whole number within `range`.
    pub fn number<T: TryFrom<i64> + PartialOrd + fmt::Display + Copy>(
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
    pub fn rate(&self, name: &str) -> Option<f64> {
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
    pub fn share(&self, name: &str) -> Option<f64> {
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
    pub fn duration(&self, name: &str) -> Option<Duration> {
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
    pub fn parsed<T: std::str::FromStr>(&self, name: &str, wanted: &str) -> Option<T> {
        let text = self.string(name)?;
        let parsed = text.parse().ok();
        if parsed.is_none() {
            self.wrong(name, format!("{text:?} is not {wanted}"));
        }
        parsed
    }

    /// `name = { env = "VARIABLE" }` or `name = { file = "/path" }`. `None`: not given, or a mistake was noted.
    pub fn secret(&self, name: &str) -> Option<Secret> {
        by_reference(self, name)
    }

    /// A secret that must be there; blank once its mistake is noted.
    pub fn required_secret(&self, name: &str) -> Secret {
        let given = self.secret(name);
        if given.is_none() && !self.section(name).is_present() {
            self.wrong(name, "is missing");
        }
        given.unwrap_or_else(|| Secret::new(""))
    }

    /// A value that may be written openly, `name = "value"`, or like a secret.
    pub fn open_or_secret(&self, name: &str) -> Option<Secret> {
        if self.is_string(name) { self.string(name).map(Secret::new) } else { self.secret(name) }
    }

    pub fn strings(&self, name: &str) -> Option<Vec<String>> {
        let wanted = "a list of strings";
        self.typed(name, wanted, |value| {
            value.as_array()?.iter().map(|item| item.get_ref().as_str().map(str::to_owned)).collect()
        })
    }

    pub fn section(&self, name: &str) -> Section<'a, 'i> {
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
    pub fn sections(&self, name: &str) -> Vec<(String, Section<'a, 'i>)> {
        let outer = self.section(name);
        let names = outer.table.into_iter().flat_map(|table| table.keys().map(|key| key.get_ref().to_string()));
        names.map(|name| (name.clone(), outer.section(&name))).collect()
    }

    /// The keys that are there.
    pub fn names(&self) -> Vec<String> {
        self.table.into_iter().flat_map(|table| table.keys().map(|key| key.get_ref().to_string())).collect()
    }

    /// Whether the value is written as a string.
    fn is_string(&self, name: &str) -> bool {
        self.get(name).is_some_and(|value| value.get_ref().as_str().is_some())
    }

    /// A list of tables, `[[name]]`.
    pub fn list(&self, name: &str) -> Vec<Section<'a, 'i>> {
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
