//! One client's session: one connection of its own to PostgreSQL, and what the proxy does in between.
//!
//! Most messages are passed on as they are. Statements that may write a synced table go another way (`captured`):
//! a dry run in one flight, the log, a hold, an answer. Nothing of the proxy's own ever overtakes a reply that is still
//! on its way, because it is sent only after all earlier replies have passed through here.

mod answer;
mod block;
mod captured;
mod end;
mod failed;
mod flight;
mod held;
mod names;
mod own;
mod pending;
mod relay;
mod replies;
mod simple;
mod traced;
mod waiting;

use std::sync::Arc;

use sqlx::PgPool;
use tokio_util::sync::CancellationToken;

use self::block::Block;
use self::end::End;
use self::names::Names;
pub(crate) use self::own::OwnStatements;
use self::own::{Requests, Step};
use self::pending::Pending;
use self::waiting::Inbox;
use crate::cancel::CancelSlot;
use crate::catalog::CatalogCache;
use crate::classify::Classifier;
use crate::config::LimitsConfig;
use crate::hold::Gate;
use crate::wire::{Link, Want};

/// What all sessions of a process share.
pub(crate) struct Shared {
    pub(crate) control: PgPool,
    /// The database of the control connection: the only one with synced tables.
    pub(crate) database: String,
    pub(crate) catalog: CatalogCache,
    pub(crate) classifier: Classifier,
    pub(crate) gate: Gate,
    pub(crate) limits: LimitsConfig,
    /// Sessions end as soon as they are idle.
    pub(crate) shutdown: CancellationToken,
    /// Sessions end now.
    pub(crate) grace_over: CancellationToken,
}

/// A session that has logged in.
pub(crate) struct Session {
    link: Link,
    shared: Arc<Shared>,
    pending: Pending,
    names: Names,
    block: Block,
    own: OwnStatements,
    cancel: CancelSlot,
    inbox: Inbox,
    /// Messages of the client are dropped up to its next Sync.
    skipping: bool,
    /// Its database has synced tables.
    captures: bool,
    /// The server has said why it ends the connection.
    server_spoke: bool,
    /// The rest of a long message is for this step.
    rest_is_own: Option<Step>,
    /// A mutation may be upstream, and its client is about to be told: the server's end must not look like a rollback.
    answering: bool,
}

impl Session {
    pub(crate) fn new(link: Link, shared: Arc<Shared>, cancel: CancelSlot, own: OwnStatements, database: &str) -> Self {
        let captures = shared.database == database;
        let inbox = Inbox::new(shared.limits.read_ahead_bytes);
        Self {
            link,
            shared,
            pending: Pending::default(),
            names: Names::default(),
            block: Block::new(),
            own,
            cancel,
            inbox,
            skipping: false,
            captures,
            server_spoke: false,
            rest_is_own: None,
            answering: false,
        }
    }

    /// Until either side ends it.
    pub(crate) async fn run(mut self) {
        let end = loop {
            if let Err(end) = self.turn().await {
                break end;
            }
        };
        self.finish(end).await;
    }

    async fn turn(&mut self) -> Result<(), End> {
        if let Some(frame) = self.inbox.take() {
            return self.client_frame(frame).await;
        }
        let idle = self.pending.is_empty() && !self.block.open;
        let shared = Arc::clone(&self.shared);
        tokio::select! {
            incoming = self.link.next(Want { client: true, server: true }) => self.incoming(incoming?).await,
            () = shared.shutdown.cancelled(), if idle => Err(End::Shutdown),
            () = shared.grace_over.cancelled() => Err(End::Shutdown),
        }
    }

    fn requests(&mut self) -> Requests<'_> {
        Requests { server: &mut self.link.server, pending: &mut self.pending, own: &self.own }
    }
}
