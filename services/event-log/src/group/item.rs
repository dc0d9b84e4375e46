//! What a group shares, and under which key of an advisory lock each item stands.

use std::collections::BTreeMap;
use std::fmt::{Debug, Display};

/// A number (a partition), or a name (a source).
pub trait GroupItem: Clone + Ord + Debug + Display + Send + Sync + 'static {}

impl GroupItem for u16 {}
impl GroupItem for String {}

/// Two names of a group have the same key: one of them has to change.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("\"{first}\" and \"{second}\" have the same key in their group: rename one of them")]
pub struct KeyCollision {
    pub first: String,
    pub second: String,
}

/// The items that a member can have, by key. Key 0 is the membership itself.
#[derive(Debug, Clone)]
pub(crate) struct Items<I> {
    by_key: BTreeMap<i32, I>,
    /// Whether members may differ in what they can have: then each says so by locks that it shares.
    announced: bool,
}

impl Items<u16> {
    /// `0..count`: every member can have every one.
    pub(crate) fn numbered(count: u16) -> Self {
        Self { by_key: (0..count).map(|number| (i32::from(number) + 1, number)).collect(), announced: false }
    }
}

impl Items<String> {
    /// Names keep their keys whatever other names there are, so that members which know different ones (configurations
    /// before and after a change, during a rolling restart) mean the same by each.
    pub(crate) fn named(names: impl IntoIterator<Item = String>) -> Result<Self, KeyCollision> {
        let mut by_key = BTreeMap::new();
        for name in names {
            if let Some(first) = by_key.insert(key(&name), name.clone()).filter(|first| *first != name) {
                return Err(KeyCollision { first, second: name });
            }
        }
        Ok(Self { by_key, announced: true })
    }
}

impl<I: GroupItem> Items<I> {
    pub(crate) fn get(&self, key: i32) -> Option<&I> {
        self.by_key.get(&key)
    }

    pub(crate) fn key_of(&self, item: &I) -> Option<i32> {
        self.by_key.iter().find(|(_, other)| *other == item).map(|(key, _)| *key)
    }

    pub(crate) fn keys(&self) -> impl Iterator<Item = i32> {
        self.by_key.keys().copied()
    }

    pub(crate) fn len(&self) -> usize {
        self.by_key.len()
    }

    /// The keys that the member says it can have.
    pub(crate) fn announced(&self) -> Vec<i32> {
        if self.announced { self.keys().collect() } else { Vec::new() }
    }
}

/// The class of a group's advisory locks. The same in every version.
pub(crate) fn class(group: &str) -> i32 {
    bits31(["upwrite group ", group])
}

/// The class of the locks by which members say what they can have.
pub(crate) fn announcements(group: &str) -> i32 {
    bits31(["upwrite group items ", group])
}

/// The key of a name, never 0. Of 20 names two have the same key once in ten million configurations: too seldom for
/// more than an error that names them.
fn key(name: &str) -> i32 {
    bits31(["upwrite item ", name]).max(1)
}

/// FNV-1a, cut to the 31 bits that are the same as a signed and as an unsigned number.
fn bits31(parts: [&str; 2]) -> i32 {
    let mut hash: u64 = 0xcbf2_9ce4_8422_2325;
    for byte in parts.into_iter().flat_map(str::bytes) {
        hash = (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3);
    }
    i32::try_from((hash ^ (hash >> 33)) & 0x7fff_ffff).expect("31 bits fit a positive i32")
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use super::*;

    #[test]
    fn classes_and_keys_never_change() {
        assert_ne!(class("applier"), class("reconciler"));
        assert_eq!(class("applier"), 767_792_522);
        let names = ["salesforce", "airtable"].map(str::to_owned);
        let both = Items::named(names.clone()).unwrap();
        let one = Items::named(names[..1].to_vec()).unwrap();
        assert_eq!(both.key_of(&names[0]), one.key_of(&names[0]), "another name shifts nothing");
        assert_eq!(one.get(one.keys().next().unwrap()), Some(&names[0]));
    }

    #[test]
    fn numbers_have_the_keys_after_the_membership() {
        let items = Items::numbered(3);
        assert_eq!(items.keys().collect::<Vec<_>>(), [1, 2, 3]);
        assert_eq!((items.get(1), items.key_of(&2)), (Some(&0), Some(3)));
        assert!(items.announced().is_empty());
    }

    #[test]
    fn names_with_the_same_key_are_refused() {
        let mut names: HashMap<i32, String> = HashMap::new();
        let (first, second) = (0..)
            .find_map(|n| {
                let name = format!("source_{n}");
                names.insert(key(&name), name.clone()).map(|first| (first, name))
            })
            .unwrap();
        let refused = Items::named([first.clone(), "other".to_owned(), second.clone()]).unwrap_err();
        assert_eq!(refused, KeyCollision { first: first.clone(), second });
        assert_eq!(Items::named([first.clone(), first]).unwrap().len(), 1, "the same name twice is one item");
    }
}
