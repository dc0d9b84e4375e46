//! The result of a captured statement.

use std::collections::VecDeque;

use bytes::Bytes;

use super::flight_result::FlightResult;
use crate::wire::{Frame, frame};

/// The result of a captured statement, handed out as the client asks for it.
#[derive(Debug)]
pub(super) struct ResultSet {
    pub(super) rows: VecDeque<Bytes>,
    pub(super) tag: String,
    /// RowDescription or NoData.
    pub(super) description: Frame,
    /// An Execute has been served from it, or its rows went to the client as they came.
    pub(super) begun: bool,
}

impl ResultSet {
    pub(super) fn new(run: FlightResult) -> Self {
        let description = run.description.unwrap_or_else(no_data);
        Self { rows: run.rows.into(), tag: run.tag.unwrap_or_default(), description, begun: run.streamed }
    }

    /// Of a result that has not been served yet: whether the client has its rows already.
    pub(super) fn streamed(&self) -> bool {
        self.begun
    }

    pub(super) fn has_rows(&self) -> bool {
        self.description.tag == b'T'
    }
}

fn no_data() -> Frame {
    Frame { tag: b'n', raw: Bytes::from_static(b"n\0\0\0\x04"), first: true, last: true }
}

/// A CommandComplete with exactly this tag.
pub(super) fn complete(tag: &str) -> Bytes {
    frame(b'C', format!("{tag}\0").as_bytes())
}
