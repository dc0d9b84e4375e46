//! Who should have how much. Pure.

use std::collections::{BTreeMap, BTreeSet};

/// What the locks of a group say, as one query saw them.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct View {
    /// Backend process ids of the members' sessions.
    members: BTreeSet<i32>,
    /// Who holds what, by item.
    holders: BTreeMap<u16, i32>,
}

impl View {
    /// From `(key, backend pid)` pairs: key 0 is membership, key 1 + n is item n.
    pub(crate) fn new(locks: impl IntoIterator<Item = (i64, i32)>) -> Self {
        let mut view = Self::default();
        for (key, pid) in locks {
            if key == 0 {
                view.members.insert(pid);
            } else if let Ok(item) = u16::try_from(key - 1) {
                view.holders.insert(item, pid);
            }
        }
        view
    }

    pub(crate) fn members(&self) -> usize {
        self.members.len()
    }

    pub(crate) fn holder(&self, item: u16) -> Option<i32> {
        self.holders.get(&item).copied()
    }

    /// How many of `items` belong to the member with this pid: equal parts, and one more each until nothing is left over
    /// for those who have most, so that nothing moves without need. Every member comes to the same division, and the
    /// parts add up to all items.
    pub(crate) fn quota(&self, me: i32, items: u16) -> usize {
        let members = self.members.len().max(1);
        let held = |pid: i32| self.holders.values().filter(|holder| **holder == pid).count();
        let mine = (std::cmp::Reverse(held(me)), me);
        let rank = self.members.iter().filter(|pid| (std::cmp::Reverse(held(**pid)), **pid) < mine).count();
        usize::from(items) / members + usize::from(rank < usize::from(items) % members)
    }

    /// Up to `wanted` items that nobody holds. Members begin at different places, so that they seldom want the same.
    pub(crate) fn free(&self, me: i32, items: u16, wanted: usize) -> Vec<u16> {
        let free: Vec<u16> = (0..items).filter(|item| !self.holders.contains_key(item)).collect();
        if free.is_empty() {
            return free;
        }
        let begin = self.rank(me) * free.len() / self.members.len().max(1);
        let mut wanted: Vec<u16> = free.iter().cycle().skip(begin).take(wanted.min(free.len())).copied().collect();
        wanted.sort_unstable();
        wanted
    }

    fn rank(&self, me: i32) -> usize {
        self.members.range(..me).count()
    }
}

/// The class of a group's advisory locks: FNV-1a, cut to the 31 bits that are the same as a signed and as an unsigned
/// number. The same in every version.
pub(crate) fn class(group: &str) -> i32 {
    let mut hash: u64 = 0xcbf2_9ce4_8422_2325;
    for byte in "upwrite group ".bytes().chain(group.bytes()) {
        hash = (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3);
    }
    i32::try_from((hash ^ (hash >> 33)) & 0x7fff_ffff).expect("31 bits fit a positive i32")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn view(members: &[i32], held: &[(u16, i32)]) -> View {
        let held = held.iter().map(|(item, pid)| (i64::from(*item) + 1, *pid));
        View::new(members.iter().map(|pid| (0, *pid)).chain(held))
    }

    #[test]
    fn parts_are_equal_but_for_one_and_add_up() {
        for items in 0..20u16 {
            for count in 1..8 {
                let members: Vec<i32> = (0..count).map(|n| 100 + 7 * n).collect();
                let view = view(&members, &[]);
                let parts: Vec<usize> = members.iter().map(|pid| view.quota(*pid, items)).collect();
                assert_eq!(parts.iter().sum::<usize>(), usize::from(items), "{parts:?}");
                assert!(parts.iter().max().unwrap() - parts.iter().min().unwrap() <= 1, "{parts:?}");
            }
        }
    }

    #[test]
    fn who_has_the_odd_one_keeps_it() {
        let view = view(&[10, 20, 30], &[(0, 30), (1, 30), (2, 20), (3, 20), (4, 10)]);
        assert_eq!([10, 20, 30].map(|pid| view.quota(pid, 5)), [1, 2, 2]);
    }

    #[test]
    fn members_want_different_free_items() {
        let view = view(&[10, 20], &[(1, 10)]);
        assert_eq!(view.free(10, 5, 2), [0, 2]);
        assert_eq!(view.free(20, 5, 2), [3, 4]);
        assert_eq!(view.free(20, 5, 9), [0, 2, 3, 4], "all there are, each once");
        assert_eq!((view.holder(1), view.holder(2)), (Some(10), None));
    }

    #[test]
    fn nothing_to_share_is_no_trouble() {
        assert_eq!(view(&[], &[]).quota(1, 4), 4);
        assert!(view(&[1], &[]).free(1, 0, 3).is_empty());
    }

    #[test]
    fn the_class_never_changes() {
        assert_ne!(class("applier"), class("reconciler"));
        assert_eq!(class("applier"), APPLIER);
    }

    const APPLIER: i32 = 767_792_522;
}
