//! Who should have what. Pure.

use std::collections::{BTreeMap, BTreeSet};

/// One lock of a group, as `pg_locks` shows it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Lock {
    Member {
        pid: i32,
    },
    /// This member can have the item.
    Announced {
        key: i32,
        pid: i32,
    },
    Item {
        key: i32,
        pid: i32,
    },
}

/// What the locks of a group say, as one query saw them.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct View {
    /// Backend process ids of the members' sessions.
    members: BTreeSet<i32>,
    /// Who holds what, by the item's key.
    holders: BTreeMap<i32, i32>,
    /// Who can have what; items that nobody has announced can be had by every member.
    announced: BTreeMap<i32, BTreeSet<i32>>,
}

impl View {
    pub(crate) fn new(locks: impl IntoIterator<Item = Lock>) -> Self {
        let mut view = Self::default();
        for lock in locks {
            match lock {
                Lock::Member { pid } => {
                    view.members.insert(pid);
                }
                Lock::Announced { key, pid } => {
                    view.announced.entry(key).or_default().insert(pid);
                }
                Lock::Item { key, pid } => {
                    view.holders.insert(key, pid);
                }
            }
        }
        view
    }

    pub(crate) fn members(&self) -> usize {
        self.members.len()
    }

    pub(crate) fn holder(&self, key: i32) -> Option<i32> {
        self.holders.get(&key).copied()
    }

    /// Who should have which of the items, by key: those of `items` and all that others have announced. Who has an item
    /// keeps it; a free one goes to the member with the fewest; then items move, the last first, from those who have at
    /// least two more than another that can have them, and none without need. Every member that sees the same locks
    /// comes to the same division.
    pub(crate) fn division(&self, items: impl IntoIterator<Item = i32>) -> BTreeMap<i32, i32> {
        let items: BTreeSet<i32> = items.into_iter().chain(self.announced.keys().copied()).collect();
        let mut counts: BTreeMap<i32, usize> = self.members.iter().map(|pid| (*pid, 0)).collect();
        let mut division = BTreeMap::new();
        for key in &items {
            if let Some(holder) = self.holder(*key).filter(|pid| self.can_have(*pid, *key)) {
                division.insert(*key, holder);
                *counts.entry(holder).or_default() += 1;
            }
        }
        for key in &items {
            if !division.contains_key(key)
                && let Some(pid) = self.poorest(*key, &counts)
            {
                division.insert(*key, pid);
                *counts.entry(pid).or_default() += 1;
            }
        }
        while let Some((key, from, to)) = self.unfair(&division, &counts) {
            division.insert(key, to);
            counts.entry(from).and_modify(|count| *count -= 1);
            *counts.entry(to).or_default() += 1;
        }
        division
    }

    fn can_have(&self, pid: i32, key: i32) -> bool {
        self.members.contains(&pid) && self.announced.get(&key).is_none_or(|who| who.contains(&pid))
    }

    /// The member with the fewest items of those that can have this one.
    fn poorest(&self, key: i32, counts: &BTreeMap<i32, usize>) -> Option<i32> {
        let able = counts.iter().filter(|(pid, _)| self.can_have(**pid, key));
        able.min_by_key(|(pid, count)| (**count, **pid)).map(|(pid, _)| *pid)
    }

    /// The move that is most called for: item, from, to.
    fn unfair(&self, division: &BTreeMap<i32, i32>, counts: &BTreeMap<i32, usize>) -> Option<(i32, i32, i32)> {
        let moves = division.iter().filter_map(|(key, from)| {
            let to = self.poorest(*key, counts)?;
            let excess = counts.get(from)?.checked_sub(*counts.get(&to)?)?;
            (excess >= 2).then_some((excess, *key, *from, to))
        });
        moves.max().map(|(_, key, from, to)| (key, from, to))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn locks(members: &[i32], held: &[(i32, i32)]) -> Vec<Lock> {
        let members = members.iter().map(|pid| Lock::Member { pid: *pid });
        members.chain(held.iter().map(|(key, pid)| Lock::Item { key: *key, pid: *pid })).collect()
    }

    fn view(members: &[i32], held: &[(i32, i32)]) -> View {
        View::new(locks(members, held))
    }

    fn parts(view: &View, items: i32) -> Vec<usize> {
        let division = view.division(1..=items);
        view.members.iter().map(|pid| division.values().filter(|holder| *holder == pid).count()).collect()
    }

    #[test]
    fn parts_are_equal_but_for_one_and_add_up() {
        for items in 0..20 {
            for count in 1..8 {
                let members: Vec<i32> = (0..count).map(|n| 100 + 7 * n).collect();
                for held in [0, items / 2, items] {
                    let held: Vec<(i32, i32)> = (1..=held).map(|key| (key, 100)).collect();
                    let parts = parts(&view(&members, &held), items);
                    assert_eq!(parts.iter().sum::<usize>(), items as usize, "{parts:?}");
                    assert!(parts.iter().max().unwrap() - parts.iter().min().unwrap() <= 1, "{parts:?}");
                }
            }
        }
    }

    #[test]
    fn who_has_the_odd_one_keeps_it() {
        let held = [(1, 30), (2, 30), (3, 20), (4, 20), (5, 10)];
        let view = view(&[10, 20, 30], &held);
        assert_eq!(view.division(1..=5), BTreeMap::from(held), "nothing moves without need");
    }

    #[test]
    fn the_last_items_move_to_a_new_member_and_stay_in_question_until_they_are_given_back() {
        let held = [(1, 10), (2, 10), (3, 10), (4, 10), (5, 10)];
        let before = view(&[10, 20], &held).division(1..=5);
        assert_eq!(before, BTreeMap::from([(1, 10), (2, 10), (3, 10), (4, 20), (5, 20)]));
        let after = view(&[10, 20], &[(1, 10), (2, 10), (3, 10), (4, 10)]).division(1..=5);
        assert_eq!(after, before, "one of the two has been given back");
    }

    #[test]
    fn what_a_member_that_leaves_still_holds_is_meant_for_others() {
        let division = view(&[10, 30], &[(1, 20), (2, 20), (3, 10)]).division(1..=3);
        assert_eq!(division, BTreeMap::from([(1, 30), (2, 10), (3, 10)]));
    }

    #[test]
    fn nothing_to_share_is_no_trouble() {
        assert!(view(&[], &[]).division(1..=4).is_empty());
        assert!(view(&[1], &[]).division([]).is_empty());
    }

    /// The sources a and b (keys 5 and 6): 10 knows only a, 20 knows both.
    fn mixed(held: &[(i32, i32)]) -> View {
        let announced = [(5, 10), (5, 20), (6, 20)].map(|(key, pid)| Lock::Announced { key, pid });
        View::new(locks(&[10, 20], held).into_iter().chain(announced))
    }

    #[test]
    fn what_only_one_member_can_have_it_has_whatever_else_it_has() {
        assert_eq!(mixed(&[]).division([5]), mixed(&[]).division([5, 6]), "also for one that does not know of it");
        assert_eq!(mixed(&[(5, 10)]).division([5]), BTreeMap::from([(5, 10), (6, 20)]), "and nothing moves for that");
        assert_eq!(mixed(&[(5, 20)]).division([5]), BTreeMap::from([(5, 10), (6, 20)]).clone());
    }
}
