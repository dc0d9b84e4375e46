//! A session from its login to its end.

use std::sync::Arc;
use std::time::Duration;

use super::block::Block;
use super::client_leg::{ClientLeg, Inbox};
use super::end::{End, last_words};
use super::environment::Environment;
use super::names::Names;
use super::server_leg::ServerLeg;
use super::state::SessionState;
use crate::startup::Startup;
use crate::wire::{Disconnect, Incoming, Interest, Link, Side};

/// For the last words to a peer that may not be reading.
const FAREWELL: Duration = Duration::from_secs(2);

/// A session that has logged in.
pub(crate) struct Session {
    pub(super) client: ClientLeg,
    pub(super) server: Box<ServerLeg>,
    pub(super) environment: Arc<Environment>,
    pub(super) state: SessionState,
    pub(super) names: Names,
    pub(super) block: Block,
    /// Its database has synced tables.
    pub(super) has_synced_tables: bool,
}

impl Session {
    pub(crate) fn new(client: Side, startup: Startup, server: Box<ServerLeg>, environment: Arc<Environment>) -> Self {
        let has_synced_tables = environment.database == startup.database;
        let inbox = Inbox::new(environment.limits.read_ahead_bytes);
        Self {
            client: ClientLeg { side: client, inbox, startup },
            server,
            environment,
            state: SessionState::default(),
            names: Names::default(),
            block: Block::new(),
            has_synced_tables,
        }
    }

    /// Runs until either side ends it.
    pub(crate) async fn run(mut self) {
        let end = loop {
            if let Err(end) = self.turn().await {
                break end;
            }
        };
        self.finish(end).await;
    }

    async fn turn(&mut self) -> Result<(), End> {
        if let Some(frame) = self.client.inbox.take() {
            return self.client_frame(frame).await;
        }
        let idle = self.server.pending.is_empty() && !self.block.open;
        let environment = Arc::clone(&self.environment);
        tokio::select! {
            incoming = self.next(Interest { client: true, server: true }) => self.incoming(incoming?).await,
            () = environment.shutdown.cancelled(), if idle => Err(End::Shutdown),
            () = environment.grace_over.cancelled() => Err(End::Shutdown),
        }
    }

    /// The next message of those that are wanted. Cancelling loses nothing.
    pub(super) async fn next(&mut self, want: Interest) -> Result<Incoming, Disconnect> {
        Link { client: &mut self.client.side, server: &mut self.server.side }.next(want).await
    }

    async fn finish(mut self, end: End) {
        let pid = self.server.cancel.pid();
        tracing::debug!(?end, pid, user = self.client.startup.user, "session ended");
        if let Some(error) = last_words(&end, self.state.server_has_spoken()) {
            self.client.send(&error.frame());
        }
        // Terminate: so the server does not have to notice the closed connection.
        self.server.send(b"X\0\0\0\x04");
        let both = async {
            let _ = tokio::join!(self.client.side.finish(), self.server.side.finish());
        };
        let _ = tokio::time::timeout(FAREWELL, both).await;
        let outlived = self.block.take_all();
        if !outlived.is_empty() {
            self.environment.submitter.outlived_rollback(&outlived, "connection ended").await;
        }
        if self.has_synced_tables {
            let forgotten = sqlx::query("/* proxy.forget */ select upwrite.forget($1)")
                .bind(pid.cast_signed())
                .execute(&self.environment.control)
                .await;
            if let Err(error) = forgotten {
                tracing::debug!(%error, "a session's secret stays until the next clearing");
            }
        }
    }
}
