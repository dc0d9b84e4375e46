//! The client's transaction, as far as the proxy must know it. Pure.

use upwrite_events::{MutationId, Partition};

use crate::classify::TransactionCommand;

/// A mutation of a transaction that is still open.
pub(super) type SentMutation = (MutationId, Partition);

#[derive(Debug)]
enum Item {
    Savepoint(String),
    Mutation(SentMutation),
}

/// Savepoints beyond that are not remembered.
const ITEMS_MAX: usize = 100_000;

#[derive(Debug)]
pub(super) struct Block {
    /// As the last ReadyForQuery said: `I`, `T` or `E`.
    pub(super) status: u8,
    /// The next statement runs inside a block, if all that was sent so far succeeds.
    pub(super) open: bool,
    /// Statements that were executed in the implicit transaction since the last Sync.
    pub(super) executed: usize,
    /// A transaction command was sent since the last Sync: what an earlier ReadyForQuery says is out of date.
    foreseen: bool,
    items: Vec<Item>,
    /// Outside blocks: mutations that were applied since the client last read ReadyForQuery.
    pipeline: Pipeline,
}

/// What a pipeline has done upstream so far. A later failure must not look as if it had undone that.
#[derive(Debug, Default)]
pub(super) struct Pipeline {
    pub(super) applied: usize,
    /// The first of them, with their keys.
    pub(super) named: Vec<(MutationId, Vec<String>)>,
}

/// Mutations and keys that an error names.
const NAMED: usize = 20;

impl Block {
    pub(super) fn new() -> Self {
        Self {
            status: b'I',
            open: false,
            executed: 0,
            foreseen: false,
            items: Vec::new(),
            pipeline: Pipeline::default(),
        }
    }

    /// A transaction command is on its way.
    pub(super) fn foresee(&mut self, command: &TransactionCommand) {
        match command {
            TransactionCommand::Begin => self.open = true,
            TransactionCommand::Commit { chain } | TransactionCommand::Rollback { chain } => self.open = *chain,
            TransactionCommand::Prepare => self.open = false,
            _ => return,
        }
        self.executed = 0;
        self.foreseen = true;
    }

    /// A Sync, or a query that ends like one, is on its way.
    pub(super) fn synced(&mut self) {
        self.executed = 0;
        self.foreseen = false;
    }

    /// ReadyForQuery. `latest`: no further one is expected. Returns the mutations that a rolled back transaction left upstream.
    pub(super) fn ready(&mut self, status: u8, latest: bool) -> Vec<SentMutation> {
        self.status = status;
        self.pipeline = Pipeline::default();
        if latest && !self.foreseen {
            self.open = status != b'I';
        }
        if status == b'I' { self.take_all() } else { Vec::new() }
    }

    /// A mutation was applied outside a block.
    pub(super) fn applied_alone(&mut self, mutation: MutationId, keys: &[String]) {
        self.pipeline.applied += 1;
        if self.pipeline.named.len() < NAMED {
            self.pipeline.named.push((mutation, keys.iter().take(NAMED).cloned().collect()));
        }
    }

    /// What the error of a failure now has to name; `None`: nothing.
    pub(super) fn stands_before_failure(&self) -> Option<&Pipeline> {
        (self.pipeline.applied > 0 && !self.open).then_some(&self.pipeline)
    }

    pub(super) fn sent(&mut self, mutation: SentMutation) {
        self.items.push(Item::Mutation(mutation));
    }

    /// The mutation was not applied.
    pub(super) fn withdrawn(&mut self, mutation: MutationId) {
        self.items.retain(|item| !matches!(item, Item::Mutation((id, _)) if *id == mutation));
    }

    /// A transaction command succeeded with this tag. Returns the mutations that it rolled back although they were sent.
    pub(super) fn completed(&mut self, command: &TransactionCommand, tag: &str) -> Vec<SentMutation> {
        match command {
            TransactionCommand::Commit { .. } | TransactionCommand::Prepare if tag != "ROLLBACK" => {
                self.items.clear();
                Vec::new()
            }
            TransactionCommand::Commit { .. } | TransactionCommand::Rollback { .. } | TransactionCommand::Prepare => {
                self.take_all()
            }
            TransactionCommand::Savepoint(name) => {
                if self.items.len() < ITEMS_MAX {
                    self.items.push(Item::Savepoint(name.clone()));
                }
                Vec::new()
            }
            TransactionCommand::Release(name) => {
                if let Some(from) = self.savepoint(name) {
                    let later = self.items.split_off(from);
                    self.items.extend(later.into_iter().filter(|item| matches!(item, Item::Mutation(_))));
                }
                Vec::new()
            }
            TransactionCommand::RollbackTo(name) => match self.savepoint(name) {
                Some(from) => mutations(self.items.split_off(from + 1)),
                None => Vec::new(),
            },
            TransactionCommand::Begin | TransactionCommand::Prepared => Vec::new(),
        }
    }

    /// The transaction is over: all its mutations.
    pub(super) fn take_all(&mut self) -> Vec<SentMutation> {
        mutations(std::mem::take(&mut self.items))
    }

    fn savepoint(&self, name: &str) -> Option<usize> {
        self.items.iter().rposition(|item| matches!(item, Item::Savepoint(own) if own == name))
    }
}

fn mutations(items: Vec<Item>) -> Vec<SentMutation> {
    items
        .into_iter()
        .filter_map(|item| match item {
            Item::Mutation(sent) => Some(sent),
            Item::Savepoint(_) => None,
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use upwrite_events::Stream;
    use uuid::Uuid;

    use super::*;

    fn sent(number: u128) -> SentMutation {
        (MutationId(Uuid::from_u128(number)), Partition { stream: Stream::Mutations, number: 0 })
    }

    #[test]
    fn rollback_to_leaves_what_came_before_the_savepoint() {
        let mut block = Block::new();
        block.sent(sent(1));
        block.completed(&TransactionCommand::Savepoint("a".into()), "SAVEPOINT");
        block.sent(sent(2));
        assert_eq!(block.completed(&TransactionCommand::RollbackTo("a".into()), "ROLLBACK"), [sent(2)]);
        assert_eq!(block.completed(&TransactionCommand::Rollback { chain: false }, "ROLLBACK"), [sent(1)]);
    }

    #[test]
    fn a_released_savepoint_keeps_its_mutations_in_the_transaction() {
        let mut block = Block::new();
        block.completed(&TransactionCommand::Savepoint("a".into()), "SAVEPOINT");
        block.sent(sent(1));
        block.completed(&TransactionCommand::Release("a".into()), "RELEASE");
        assert_eq!(block.completed(&TransactionCommand::Commit { chain: false }, "ROLLBACK"), [sent(1)]);
    }

    #[test]
    fn a_late_ready_does_not_close_a_block_that_was_begun_since() {
        let mut block = Block::new();
        block.synced();
        block.foresee(&TransactionCommand::Begin);
        block.ready(b'I', true);
        assert!(block.open);
        block.synced();
        block.ready(b'T', true);
        assert!(block.open);
        block.foresee(&TransactionCommand::Commit { chain: false });
        block.synced();
        block.ready(b'T', false);
        assert!(!block.open);
    }

    #[test]
    fn a_commit_leaves_nothing_behind() {
        let mut block = Block::new();
        block.sent(sent(1));
        block.completed(&TransactionCommand::Commit { chain: false }, "COMMIT");
        assert_eq!(block.ready(b'I', true), []);
        block.sent(sent(2));
        assert_eq!(block.ready(b'I', true), [sent(2)]);
    }
}
