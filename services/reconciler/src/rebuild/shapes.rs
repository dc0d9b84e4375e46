//! Which columns an image speaks of. Most images of a table speak of the same ones, so each set gets a number.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

/// A set of columns, by their place in the layout.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
pub(super) struct ColumnSet(Vec<u64>);

impl ColumnSet {
    pub(super) fn none(columns: usize) -> Self {
        Self(vec![0; columns.div_ceil(64)])
    }

    pub(super) fn add(&mut self, column: usize) {
        if let Some(word) = self.0.get_mut(column / 64) {
            *word |= 1 << (column % 64);
        }
    }

    pub(super) fn has(&self, column: usize) -> bool {
        self.0.get(column / 64).is_some_and(|word| word & (1 << (column % 64)) != 0)
    }

    /// What `self` speaks of and `other` does not; `None`: nothing.
    pub(super) fn beyond(&self, other: &Self) -> Option<Self> {
        let words: Vec<u64> = self.0.iter().zip(&other.0).map(|(own, others)| own & !others).collect();
        words.iter().any(|word| *word != 0).then_some(Self(words))
    }

    pub(super) fn with(&self, other: &Self) -> Self {
        Self(self.0.iter().zip(&other.0).map(|(own, others)| own | others).collect())
    }
}

/// The numbered sets of one operation. Shared by the tasks that encode.
#[derive(Debug, Default)]
pub(super) struct Shapes(Mutex<NumberedSets>);

#[derive(Debug, Default)]
struct NumberedSets {
    numbers: HashMap<ColumnSet, i32>,
    sets: Vec<ColumnSet>,
}

impl Shapes {
    pub(super) fn number(&self, spoken: &ColumnSet) -> i32 {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(number) = known.numbers.get(spoken) {
            return *number;
        }
        let number = i32::try_from(known.sets.len()).unwrap_or(i32::MAX);
        known.numbers.insert(spoken.clone(), number);
        known.sets.push(spoken.clone());
        number
    }

    pub(super) fn all(&self) -> Vec<ColumnSet> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).sets.clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sets_are_numbered_once() {
        let shapes = Shapes::default();
        let mut a = ColumnSet::none(70);
        a.add(3);
        a.add(69);
        let mut b = ColumnSet::none(70);
        b.add(3);
        assert_eq!((shapes.number(&a), shapes.number(&b), shapes.number(&a)), (0, 1, 0));
        assert!(a.has(69) && !b.has(69));
        assert_eq!(b.beyond(&a), None);
        let beyond = a.beyond(&b).unwrap();
        assert!(beyond.has(69) && !beyond.has(3));
        assert_eq!(b.with(&beyond), a);
    }
}
