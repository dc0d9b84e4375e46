//! Open query cursors.

use std::collections::VecDeque;

use crate::salesforce::soql::QueryResult;

/// The vendor keeps this many per user; the oldest is dropped.
const MOST_CURSORS: usize = 10;

#[derive(Debug, Default)]
pub(super) struct Cursors {
    next: u64,
    open: VecDeque<(String, QueryResult, usize)>,
}

impl Cursors {
    /// Keeps a result for later pages of `page` rows; returns its name.
    pub(super) fn open(&mut self, found: QueryResult, page: usize) -> String {
        self.next += 1;
        if self.open.len() == MOST_CURSORS {
            self.open.pop_front();
        }
        let name = crate::salesforce::id::make("0r8", "000", self.next);
        self.open.push_back((name.clone(), found, page));
        name
    }

    /// The result and its page size.
    pub(super) fn get(&self, name: &str) -> Option<(&QueryResult, usize)> {
        self.open.iter().find(|(n, _, _)| n == name).map(|(_, found, page)| (found, *page))
    }
}
