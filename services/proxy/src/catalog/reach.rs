//! Which relations can lead to a synced one: the transitive closure.

use std::collections::{BTreeMap, BTreeSet, HashMap};

/// The relations from which a chain of `edges` (a change of the first may change the second) leads into `sources`,
/// those included.
pub(super) fn leading(sources: BTreeSet<u32>, edges: &[(u32, u32)]) -> BTreeSet<u32> {
    let mut backwards: HashMap<u32, Vec<u32>> = HashMap::new();
    for (from, to) in edges {
        backwards.entry(*to).or_default().push(*from);
    }
    let mut found = sources;
    let mut unvisited: Vec<u32> = found.iter().copied().collect();
    while let Some(relation) = unvisited.pop() {
        for from in backwards.get(&relation).into_iter().flatten() {
            if found.insert(*from) {
                unvisited.push(*from);
            }
        }
    }
    found
}

/// By name, then by schema.
pub(super) fn by_name<T>(items: impl IntoIterator<Item = (String, String, T)>) -> super::NameMap<T> {
    let mut names: super::NameMap<T> = BTreeMap::new();
    for (schema, name, item) in items {
        names.entry(name).or_default().insert(schema, item);
    }
    names
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_closure_follows_chains_and_ends_in_cycles() {
        // 1 -> 2 -> 3 (synced), 3 -> 1; 4 -> 5; 6 -> 4
        let edges = [(1, 2), (2, 3), (3, 1), (4, 5), (6, 4)];
        assert_eq!(leading(BTreeSet::from([3]), &edges), BTreeSet::from([1, 2, 3]));
        assert_eq!(leading(BTreeSet::from([5]), &edges), BTreeSet::from([4, 5, 6]));
        assert_eq!(leading(BTreeSet::new(), &edges), BTreeSet::new());
    }
}
