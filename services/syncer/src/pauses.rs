//! How long what failed is left alone. Pure.

use std::collections::BTreeMap;
use std::time::Duration;

use tokio::time::Instant;
use upwrite_events::TableName;

use crate::Config;

/// Doubles with each failure in a row.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Pause {
    next: Duration,
    max: Duration,
}

impl Pause {
    pub(crate) fn new(config: &Config) -> Self {
        Self { next: config.min_pause, max: config.max_pause }
    }

    pub(crate) fn next(&mut self) -> Duration {
        let length = self.next;
        self.next = (length * 2).min(self.max);
        length
    }
}

/// The pauses of a source's tables.
#[derive(Debug)]
pub(crate) struct Pauses {
    fresh: Pause,
    paused: BTreeMap<TableName, (Instant, Pause)>,
}

impl Pauses {
    pub(crate) fn new(config: &Config) -> Self {
        Self { fresh: Pause::new(config), paused: BTreeMap::new() }
    }

    pub(crate) fn is_over(&self, table: &TableName, now: Instant) -> bool {
        self.paused.get(table).is_none_or(|(until, _)| *until <= now)
    }

    /// The table failed.
    pub(crate) fn begin(&mut self, table: TableName, now: Instant) {
        let (until, pause) = self.paused.entry(table).or_insert((now, self.fresh));
        *until = now + pause.next();
    }

    /// The table did not fail.
    pub(crate) fn end(&mut self, table: &TableName) {
        self.paused.remove(table);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_double_up_to_the_limit_and_concern_no_other_table() {
        let config =
            Config { min_pause: Duration::from_secs(1), max_pause: Duration::from_secs(3), ..Config::default() };
        let (failing, other) = (TableName::new("crm", "a"), TableName::new("crm", "b"));
        let mut pauses = Pauses::new(&config);
        let mut now = Instant::now();
        for seconds in [1, 2, 3, 3] {
            pauses.begin(failing.clone(), now);
            assert!(!pauses.is_over(&failing, now + Duration::from_millis(seconds * 1_000 - 1)));
            assert!(pauses.is_over(&other, now));
            now += Duration::from_secs(seconds);
            assert!(pauses.is_over(&failing, now));
        }
        pauses.end(&failing);
        pauses.begin(failing.clone(), now);
        assert!(pauses.is_over(&failing, now + Duration::from_secs(1)), "from the start again");
    }
}
