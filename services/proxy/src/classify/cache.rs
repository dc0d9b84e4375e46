//! Classified statements by their text.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, PoisonError};

use super::{Statement, decide};
use crate::catalog::Catalog;

/// Longer texts are classified each time: they are hardly ever the same twice.
const CACHED_TEXT_MAX_BYTES: usize = 16 * 1024;

/// Classifies, and remembers up to a number of texts for as long as the snapshot stays the same.
pub struct Classifier {
    capacity: usize,
    cached: Mutex<CachedStatements>,
}

#[derive(Default)]
struct CachedStatements {
    generation: u64,
    /// With whether the text was asked for since the last sweep.
    statements: HashMap<Arc<str>, (Arc<[Statement]>, bool)>,
    /// In order of the sweep ("second chance": close to least recently used, at the cost of one flag).
    order: VecDeque<Arc<str>>,
}

impl Classifier {
    /// `capacity`: how many texts are remembered.
    pub fn new(capacity: usize) -> Self {
        Self { capacity, cached: Mutex::default() }
    }

    /// The statements of a query string in their order; empty for an empty query.
    pub fn classify(&self, sql: &str, catalog: &Catalog) -> Arc<[Statement]> {
        if let Some(statements) = self.lock().get(sql, catalog.generation) {
            return statements;
        }
        let statements: Arc<[Statement]> = decide::statements(sql, catalog).into();
        if sql.len() <= CACHED_TEXT_MAX_BYTES && self.capacity > 0 {
            self.lock().keep(sql, statements.clone(), catalog.generation, self.capacity);
        }
        statements
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, CachedStatements> {
        self.cached.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl CachedStatements {
    fn get(&mut self, sql: &str, generation: u64) -> Option<Arc<[Statement]>> {
        if generation != self.generation {
            return None;
        }
        let (statements, used) = self.statements.get_mut(sql)?;
        *used = true;
        Some(statements.clone())
    }

    fn keep(&mut self, sql: &str, statements: Arc<[Statement]>, generation: u64, capacity: usize) {
        if generation < self.generation {
            return;
        }
        if generation > self.generation {
            *self = Self { generation, ..Self::default() };
        }
        while self.order.len() >= capacity {
            let Some(oldest) = self.order.pop_front() else { break };
            match self.statements.get_mut(&oldest) {
                Some((_, used)) if *used => {
                    *used = false;
                    self.order.push_back(oldest);
                }
                _ => drop(self.statements.remove(&oldest)),
            }
        }
        let sql: Arc<str> = sql.into();
        if self.statements.insert(sql.clone(), (statements, false)).is_none() {
            self.order.push_back(sql);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::classify::Kind;
    use crate::testing;

    #[test]
    fn what_is_asked_for_again_outlives_what_is_not() {
        let catalog = testing::catalog();
        let classifier = Classifier::new(3);
        let first = classifier.classify("select 0", &catalog);
        for n in 1..20 {
            classifier.classify(&format!("select {n}"), &catalog);
            assert!(Arc::ptr_eq(&first, &classifier.classify("select 0", &catalog)), "after {n}");
            assert!(classifier.lock().statements.len() <= 3 && classifier.lock().order.len() <= 3);
        }
    }

    #[test]
    fn a_new_snapshot_forgets() {
        let catalog = testing::catalog();
        let classifier = Classifier::new(3);
        let sql = "insert into public.note values (1)";
        assert_eq!(classifier.classify(sql, &catalog)[0].kind, Kind::Relayed);
        let empty = Catalog { generation: 2, ..Catalog::default() };
        assert!(matches!(classifier.classify(sql, &empty)[0].kind, Kind::Captured(_)));
    }
}
