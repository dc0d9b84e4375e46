//! The session's connection to its client.

use std::collections::VecDeque;

use crate::startup::Startup;
use crate::wire::{Frame, Side};

/// The client's socket, what it has sent ahead, and what it asked for when it connected.
pub(super) struct ClientLeg {
    pub(super) side: Side,
    pub(super) inbox: Inbox,
    /// User, database and the settings that the client began with.
    pub(super) startup: Startup,
}

impl ClientLeg {
    pub(super) fn send(&mut self, bytes: &[u8]) {
        self.side.send(bytes);
    }
}

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

    pub(super) fn put(&mut self, frame: Frame) {
        self.bytes += frame.raw.len();
        self.frames.push_back(frame);
    }

    pub(super) fn has_room(&self) -> bool {
        self.bytes < self.max_bytes
    }
}
