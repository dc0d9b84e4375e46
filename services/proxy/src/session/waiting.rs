//! Waiting for one thing while both sockets go on being read.

use std::future::Future;
use std::sync::Arc;

use super::end::End;
use super::life::Session;
use crate::wire::{Frame, Incoming, Interest};

impl Session {
    /// The next frame of the server; what the client sends meanwhile is kept.
    pub(super) async fn server_frame(&mut self) -> Result<Frame, End> {
        loop {
            let want = Interest { client: self.client.inbox.has_room(), server: true };
            match self.next(want).await? {
                Incoming::Client(frame) => self.client.inbox.put(frame),
                Incoming::Server(frame) => return Ok(frame),
            }
        }
    }

    /// Relays all replies that are still to come. False if the server skips what follows, up to the client's Sync: then
    /// nothing may be answered.
    pub(super) async fn drain(&mut self) -> Result<bool, End> {
        if !self.server.pending.is_empty() {
            self.server.requests().flush();
        }
        while !self.server.pending.is_empty() {
            let frame = self.server_frame().await?;
            self.accept(frame).await;
        }
        Ok(!self.state.is_skipping())
    }

    /// Waits for the log or a verdict. Ends early if the client goes away, the server is lost or the grace is over.
    pub(super) async fn wait<T>(&mut self, what: impl Future<Output = T>) -> Result<T, End> {
        tokio::pin!(what);
        let environment = Arc::clone(&self.environment);
        loop {
            let want = Interest { client: self.client.inbox.has_room(), server: true };
            tokio::select! {
                biased;
                done = &mut what => return Ok(done),
                () = environment.grace_over.cancelled() => return Err(End::Shutdown),
                incoming = self.next(want) => match incoming? {
                    Incoming::Client(frame) => self.client.inbox.put(frame),
                    // With no reply to come, this is why the server ends the connection. What that means for a held
                    // client is said when the connection has ended.
                    Incoming::Server(frame) if frame.tag == b'E' && self.server.pending.is_empty() => {}
                    Incoming::Server(frame) => self.server_message(frame).await,
                },
            }
        }
    }
}
