//! Waiting for one thing while both sockets go on being read.

use std::collections::VecDeque;
use std::future::Future;
use std::sync::Arc;

use super::Session;
use super::end::End;
use crate::wire::{Frame, Incoming, Want};

/// What the client has sent ahead.
pub(super) struct Inbox {
    frames: VecDeque<Frame>,
    bytes: usize,
    max_bytes: usize,
}

impl Inbox {
    pub(super) fn new(max_bytes: usize) -> Self {
        Self { frames: VecDeque::new(), bytes: 0, max_bytes }
    }

    pub(super) fn take(&mut self) -> Option<Frame> {
        let frame = self.frames.pop_front()?;
        self.bytes -= frame.raw.len();
        Some(frame)
    }

    fn put(&mut self, frame: Frame) {
        self.bytes += frame.raw.len();
        self.frames.push_back(frame);
    }

    fn has_room(&self) -> bool {
        self.bytes < self.max_bytes
    }
}

impl Session {
    /// The next frame of the server; what the client sends meanwhile is kept.
    pub(super) async fn server_frame(&mut self) -> Result<Frame, End> {
        loop {
            let want = Want { client: self.inbox.has_room(), server: true };
            match self.link.next(want).await? {
                Incoming::Client(frame) => self.inbox.put(frame),
                Incoming::Server(frame) => return Ok(frame),
            }
        }
    }

    /// Passes on everything that was asked of the server so far. False if the server skips what comes next, up to the
    /// client's Sync: then nothing may be answered.
    pub(super) async fn drain(&mut self) -> Result<bool, End> {
        if !self.pending.is_empty() {
            self.requests().flush();
        }
        while !self.pending.is_empty() {
            let frame = self.server_frame().await?;
            self.accept(frame).await;
        }
        Ok(!self.skipping)
    }

    /// Waits for the log or a verdict. Ends early if the client goes away, the server is lost or the grace is over.
    pub(super) async fn wait<T>(&mut self, what: impl Future<Output = T>) -> Result<T, End> {
        tokio::pin!(what);
        let shared = Arc::clone(&self.shared);
        loop {
            let want = Want { client: self.inbox.has_room(), server: true };
            tokio::select! {
                biased;
                done = &mut what => return Ok(done),
                () = shared.grace_over.cancelled() => return Err(End::Shutdown),
                incoming = self.link.next(want) => match incoming? {
                    Incoming::Client(frame) => self.inbox.put(frame),
                    // Asked nothing, the server has only its own end to tell of; what that means for what is held is said
                    // when it has come.
                    Incoming::Server(frame) if frame.tag == b'E' && self.pending.is_empty() => {}
                    Incoming::Server(frame) => self.server_said(frame).await,
                },
            }
        }
    }
}
