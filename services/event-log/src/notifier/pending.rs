//! Items that wait to be sent, packed into payloads. No I/O.

use std::collections::BTreeMap;

/// The item that stands for more items than could be named: a listener that hears it looks at everything it waits for.
pub const OVERFLOW: &str = "*";

/// Items that wait; beyond it they become one [`OVERFLOW`].
const MAX_WAITING: usize = 65_536;
/// Postgres takes payloads below 8000 bytes.
pub(super) const MAX_PAYLOAD_BYTES: usize = 7_900;
/// Payloads in one transaction.
const MAX_PAYLOADS: usize = 64;

/// (channel, what the item is about) → item: a later item about the same thing takes the place of the earlier.
#[derive(Debug, Default)]
pub(super) struct PendingItems(BTreeMap<(String, String), String>);

impl PendingItems {
    pub(super) fn add(&mut self, key: (String, String), item: String) {
        if self.0.len() >= MAX_WAITING && !self.0.contains_key(&key) {
            let channel = key.0;
            tracing::warn!(channel, "too many notifications wait; they become one");
            self.0.retain(|(of, _), _| *of != channel);
            self.0.insert((channel, OVERFLOW.to_owned()), OVERFLOW.to_owned());
            return;
        }
        self.0.insert(key, item);
    }

    /// Takes what fits one transaction: payloads by channel.
    pub(super) fn take(&mut self) -> Vec<Packed> {
        let mut packed: Vec<Packed> = Vec::new();
        while let Some(entry) = self.0.first_entry() {
            let channel = &entry.key().0;
            let fits = |last: &Packed| {
                last.channel == *channel && last.payload.len() + 1 + entry.get().len() <= MAX_PAYLOAD_BYTES
            };
            if !packed.last().is_some_and(fits) {
                if packed.len() == MAX_PAYLOADS {
                    break;
                }
                packed.push(Packed { channel: channel.clone(), payload: String::new(), taken: Vec::new() });
            }
            let ((_, about), item) = entry.remove_entry();
            let last = packed.last_mut().expect("pushed above if there was none");
            if !last.payload.is_empty() {
                last.payload.push(' ');
            }
            last.payload.push_str(&item);
            last.taken.push((about, item));
        }
        packed
    }

    /// What could not be sent waits again, unless something newer about the same already does.
    pub(super) fn put_back(&mut self, packed: Vec<Packed>) {
        for Packed { channel, taken, .. } in packed {
            for (about, item) in taken {
                let key = (channel.clone(), about);
                if !self.0.contains_key(&key) {
                    self.add(key, item);
                }
            }
        }
    }
}

pub(super) struct Packed {
    pub(super) channel: String,
    pub(super) payload: String,
    taken: Vec<(String, String)>,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn add(waiting: &mut PendingItems, channel: &str, about: &str, item: &str) {
        waiting.add((channel.to_owned(), about.to_owned()), item.to_owned());
    }

    fn payloads(packed: &[Packed]) -> Vec<(&str, &str)> {
        packed.iter().map(|packed| (packed.channel.as_str(), packed.payload.as_str())).collect()
    }

    #[test]
    fn the_latest_about_one_thing_is_sent_once() {
        let mut waiting = PendingItems::default();
        for end in ["p:1", "p:2", "p:3"] {
            add(&mut waiting, "log", "p", end);
        }
        add(&mut waiting, "verdict", "m", "m");
        add(&mut waiting, "verdict", "m", "m");
        assert_eq!(payloads(&waiting.take()), [("log", "p:3"), ("verdict", "m")]);
        assert!(waiting.take().is_empty());
    }

    #[test]
    fn what_could_not_be_sent_waits_unless_there_is_something_newer() {
        let mut waiting = PendingItems::default();
        add(&mut waiting, "log", "p", "p:1");
        add(&mut waiting, "log", "q", "q:1");
        let packed = waiting.take();
        add(&mut waiting, "log", "p", "p:2");
        waiting.put_back(packed);
        assert_eq!(payloads(&waiting.take()), [("log", "p:2 q:1")]);
    }

    #[test]
    fn too_many_become_one_that_stands_for_all() {
        let mut waiting = PendingItems::default();
        add(&mut waiting, "log", "p", "p:1");
        for number in 0..=MAX_WAITING {
            let item = number.to_string();
            add(&mut waiting, "verdict", &item, &item);
        }
        assert!(waiting.0.len() <= MAX_WAITING);
        let packed = waiting.take();
        assert_eq!(payloads(&packed)[0], ("log", "p:1"));
        assert!(packed[1].payload.split(' ').any(|item| item == OVERFLOW));
    }

    #[test]
    fn a_transaction_is_bounded() {
        let mut waiting = PendingItems::default();
        for number in 0..60_000 {
            let item = format!("{number:036}");
            add(&mut waiting, "verdict", &item, &item);
        }
        let mut sent = 0;
        loop {
            let packed = waiting.take();
            if packed.is_empty() {
                break;
            }
            assert!(packed.len() <= MAX_PAYLOADS);
            assert!(packed.iter().all(|packed| packed.payload.len() <= MAX_PAYLOAD_BYTES));
            sent += packed.iter().map(|packed| packed.taken.len()).sum::<usize>();
        }
        assert_eq!(sent, 60_000);
    }
}
