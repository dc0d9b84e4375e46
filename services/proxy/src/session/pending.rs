//! Which replies are still to come from the server, and to whom each belongs. Pure.
//!
//! Requests of the client and of the proxy share one connection; replies come in the order of requests. After an error the
//! server skips everything up to the next Sync.

use std::collections::VecDeque;
use std::sync::Arc;

use super::step::Step;
use crate::classify::Statement;
use crate::wire::Frame;

/// What a request is answered with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Reply {
    Parse,
    Bind,
    Close,
    Describe,
    Execute,
    Sync,
    /// Simple query or function call: everything up to ReadyForQuery.
    Query,
    /// No reply: the client has ended its COPY data here.
    CopyEnd,
}

#[derive(Debug, Clone)]
pub(super) enum Owner {
    Client {
        /// What its CommandCompletes are of.
        statements: Arc<[Statement]>,
        completed: usize,
    },
    Own(Step),
}

#[derive(Debug, Clone)]
pub(super) struct Expected {
    pub(super) reply: Reply,
    pub(super) owner: Owner,
    /// For a Parse of the client: what the name stood for before, should it fail.
    pub(super) undo: Option<super::names::Undo>,
}

impl Expected {
    pub(super) fn client(reply: Reply) -> Self {
        Self::statements(reply, Arc::default())
    }

    pub(super) fn statements(reply: Reply, statements: Arc<[Statement]>) -> Self {
        Self { reply, owner: Owner::Client { statements, completed: 0 }, undo: None }
    }

    pub(super) fn own(reply: Reply, step: Step) -> Self {
        Self { reply, owner: Owner::Own(step), undo: None }
    }

    fn is_own(&self) -> bool {
        matches!(self.owner, Owner::Own(_))
    }
}

/// Where a frame from the server goes.
#[derive(Debug)]
pub(super) enum Route {
    /// To the client.
    Client,
    /// To the client: the end of this statement.
    Completed(Option<(Arc<[Statement]>, usize)>),
    Own {
        step: Step,
    },
    /// The request of `own` (or of the client) failed. `dropped` will not be answered; `skipping`: the server skips what
    /// comes up to a Sync that has not been sent yet.
    Failed {
        own: Option<Step>,
        dropped: Vec<Expected>,
        skipping: bool,
    },
    /// ReadyForQuery.
    Ready {
        own: Option<Step>,
    },
    /// Belongs to no request.
    Unasked,
}

#[derive(Debug, Default)]
pub(super) struct Pending {
    queue: VecDeque<Expected>,
    /// The server reads COPY data now.
    copying: bool,
    /// The rest of a long message is for this step; `None`: for the client.
    rest: Option<Step>,
}

impl Pending {
    pub(super) fn push(&mut self, expected: Expected) {
        self.queue.push_back(expected);
    }

    pub(super) fn is_empty(&self) -> bool {
        self.queue.iter().all(|expected| expected.reply == Reply::CopyEnd)
    }

    pub(super) fn has_own(&self) -> bool {
        self.queue.iter().any(Expected::is_own)
    }

    /// Only the preparation of a statement is on its way: nothing that could change the transaction's state.
    pub(super) fn only_prepares(&self) -> bool {
        let prepares = |reply| matches!(reply, Reply::Parse | Reply::Bind | Reply::Describe | Reply::Close);
        self.queue.iter().all(|expected| expected.is_own() || prepares(expected.reply))
    }

    pub(super) fn has_ready(&self) -> bool {
        self.queue.iter().any(|expected| matches!(expected.reply, Reply::Sync | Reply::Query))
    }

    /// Nothing of the client's own is to come.
    pub(super) fn only_own(&self) -> bool {
        self.queue.iter().all(|expected| expected.is_own() || expected.reply == Reply::CopyEnd)
    }

    /// Whether the next reply is for the proxy.
    pub(super) fn own_is_next(&self) -> bool {
        self.queue.front().is_some_and(Expected::is_own)
    }

    /// A Sync of the client was relayed. While the server reads COPY data it swallows it.
    pub(super) fn push_sync(&mut self) {
        if !self.copying {
            self.push(Expected::client(Reply::Sync));
        }
    }

    /// CopyDone or CopyFail of the client was relayed.
    pub(super) fn copy_ended(&mut self) {
        if self.copying {
            self.copying = false;
        } else if !self.queue.is_empty() {
            self.push(Expected::client(Reply::CopyEnd));
        }
    }

    /// Takes a frame of the server. A piece of a long message goes where its first one went.
    pub(super) fn route(&mut self, frame: &Frame) -> Route {
        if !frame.first {
            return self.rest.map_or(Route::Client, |step| Route::Own { step });
        }
        let route = self.accept(frame.tag);
        self.rest = match &route {
            Route::Own { step } if !frame.last => Some(*step),
            _ => None,
        };
        route
    }

    /// Takes a message by its type byte.
    fn accept(&mut self, tag: u8) -> Route {
        while self.queue.front().is_some_and(|expected| expected.reply == Reply::CopyEnd) {
            self.queue.pop_front();
        }
        if matches!(tag, b'N' | b'A' | b'S') {
            return Route::Unasked;
        }
        match tag {
            b'E' => return self.failed(),
            b'Z' => return self.ready(),
            b'G' => self.copy_in(),
            _ => {}
        }
        let Some(front) = self.queue.front_mut() else {
            return Route::Unasked;
        };
        let ended = match front.reply {
            Reply::Parse => tag == b'1',
            Reply::Bind => tag == b'2',
            Reply::Close => tag == b'3',
            Reply::Describe => matches!(tag, b'T' | b'n'),
            Reply::Execute => matches!(tag, b'C' | b'I' | b's'),
            Reply::Sync | Reply::Query | Reply::CopyEnd => false,
        };
        if tag == b'C' {
            self.copying = false;
        }
        let route = match &mut front.owner {
            Owner::Own(step) => Route::Own { step: *step },
            Owner::Client { statements, completed } if tag == b'C' => {
                let which = *completed;
                *completed += 1;
                Route::Completed((which < statements.len()).then(|| (statements.clone(), which)))
            }
            Owner::Client { .. } => Route::Client,
        };
        if ended {
            self.queue.pop_front();
        }
        route
    }

    /// CopyInResponse: the Syncs that were sent before the end of the data are swallowed.
    fn copy_in(&mut self) {
        self.copying = true;
        let mut kept = VecDeque::with_capacity(self.queue.len());
        let mut queue = std::mem::take(&mut self.queue).into_iter();
        kept.extend(queue.next());
        for expected in queue {
            match expected.reply {
                Reply::CopyEnd if self.copying => self.copying = false,
                Reply::Sync if self.copying => {}
                _ => kept.push_back(expected),
            }
        }
        self.queue = kept;
    }

    fn failed(&mut self) -> Route {
        self.copying = false;
        let Some(front) = self.queue.front() else {
            return Route::Unasked;
        };
        let own = match front.owner {
            Owner::Own(step) => Some(step),
            Owner::Client { .. } => None,
        };
        if matches!(front.reply, Reply::Sync | Reply::Query) {
            // ReadyForQuery still follows.
            return Route::Failed { own, dropped: Vec::new(), skipping: false };
        }
        let sync = self.queue.iter().position(|expected| expected.reply == Reply::Sync);
        let dropped = self.queue.drain(..sync.unwrap_or(self.queue.len())).collect();
        Route::Failed { own, dropped, skipping: self.queue.front().is_none_or(Expected::is_own) }
    }

    fn ready(&mut self) -> Route {
        self.copying = false;
        match self.queue.front() {
            Some(front) if matches!(front.reply, Reply::Sync | Reply::Query) => {
                let own = match front.owner {
                    Owner::Own(step) => Some(step),
                    Owner::Client { .. } => None,
                };
                self.queue.pop_front();
                Route::Ready { own }
            }
            _ => Route::Ready { own: None },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pending(replies: &[Reply]) -> Pending {
        let mut pending = Pending::default();
        replies.iter().for_each(|reply| pending.push(Expected::client(*reply)));
        pending
    }

    #[test]
    fn replies_end_their_requests() {
        let mut pending = pending(&[Reply::Parse, Reply::Bind, Reply::Describe, Reply::Execute, Reply::Sync]);
        for tag in *b"12TDDCZ" {
            assert!(!pending.is_empty());
            assert!(!matches!(pending.accept(tag), Route::Unasked), "{tag}");
        }
        assert!(pending.is_empty());
    }

    #[test]
    fn an_error_drops_all_up_to_the_sync() {
        let mut pending = pending(&[Reply::Parse, Reply::Bind, Reply::Execute, Reply::Sync, Reply::Query]);
        let Route::Failed { own: None, dropped, skipping: false } = pending.accept(b'E') else {
            panic!("failed");
        };
        assert_eq!(dropped.len(), 3);
        assert!(matches!(pending.accept(b'Z'), Route::Ready { own: None }));
        assert!(matches!(pending.accept(b'E'), Route::Failed { .. }));
        assert!(!pending.is_empty());
        pending.accept(b'Z');
        assert!(pending.is_empty());
    }

    #[test]
    fn without_a_sync_the_server_skips() {
        let mut pending = pending(&[Reply::Bind]);
        pending.push(Expected::own(Reply::Execute, Step::Flush));
        assert!(matches!(pending.accept(b'E'), Route::Failed { skipping: true, .. }));
        assert!(pending.is_empty());
    }

    #[test]
    fn a_sync_during_copy_in_is_swallowed() {
        // As tokio-postgres does: Bind, Execute, Sync, then the data, then Sync again.
        let mut pending = pending(&[Reply::Bind, Reply::Execute]);
        pending.push_sync();
        pending.accept(b'2');
        pending.accept(b'G');
        pending.copy_ended();
        pending.push_sync();
        pending.accept(b'C');
        assert!(matches!(pending.accept(b'Z'), Route::Ready { .. }));
        assert!(pending.is_empty());
    }

    #[test]
    fn a_sync_behind_early_copy_data_is_answered() {
        // As asyncpg may: data and its end before CopyInResponse has come.
        let mut pending = pending(&[Reply::Execute]);
        pending.copy_ended();
        pending.push_sync();
        pending.accept(b'G');
        pending.accept(b'C');
        assert!(!pending.is_empty());
        pending.accept(b'Z');
        assert!(pending.is_empty());
    }

    #[test]
    fn pieces_of_a_long_message_go_where_its_first_one_went() {
        let piece = |first, last| Frame { tag: b'D', raw: bytes::Bytes::new(), first, last };
        let mut pending = Pending::default();
        pending.push(Expected::own(Reply::Execute, Step::DryRun));
        pending.push(Expected::client(Reply::Execute));
        assert!(matches!(pending.route(&piece(true, false)), Route::Own { step: Step::DryRun }));
        assert!(matches!(pending.route(&piece(false, true)), Route::Own { step: Step::DryRun }));
        pending.accept(b'C');
        assert!(matches!(pending.route(&piece(true, false)), Route::Client));
        assert!(matches!(pending.route(&piece(false, true)), Route::Client));
    }
}
