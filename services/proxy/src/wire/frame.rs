//! A type byte, a length, a body.

use bytes::{BufMut, Bytes, BytesMut};
use pgwire::messages::Message;

/// What PostgreSQL takes for messages that may be long (`PQ_LARGE_MESSAGE_LIMIT`).
const LONG_MAX_BYTES: usize = 0x3fff_ffff;
/// What it takes for all others (`PQ_SMALL_MESSAGE_LIMIT`).
const SHORT_MAX_BYTES: usize = 10_000;
/// Rows and COPY data longer than that are passed on piece by piece.
const WHOLE_MAX_BYTES: usize = 256 * 1024;
/// What is taken from a client that has not logged in yet (`PG_MAX_AUTH_TOKEN_LENGTH`).
const LOGIN_MAX_BYTES: usize = 65_535;

/// Who sends: decides which types there are and how long they may be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Peer {
    Client,
    Server,
}

/// One message, or a piece of a long row or of long COPY data.
#[derive(Debug, Clone)]
pub(crate) struct Frame {
    pub(crate) tag: u8,
    /// As on the wire.
    pub(crate) raw: Bytes,
    /// The first piece has the type byte and the length.
    pub(crate) first: bool,
    pub(crate) last: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum FrameError {
    #[error("invalid frontend message type {0}")]
    Type(u8),
    #[error("invalid message length")]
    Length,
}

impl Frame {
    /// The body of a whole message.
    pub(crate) fn body(&self) -> &[u8] {
        self.raw.get(5..).unwrap_or_default()
    }

    pub(crate) fn is_whole(&self) -> bool {
        self.first && self.last
    }
}

/// Appends a message to a buffer. `message` was made here, so it is never too long to encode.
pub(crate) fn encode(message: &impl Message, out: &mut BytesMut) {
    if let Err(error) = message.encode(out) {
        tracing::error!(%error, "a message of our own could not be encoded");
    }
}

/// Bytes as they come, messages as they are complete.
#[derive(Debug)]
pub(crate) struct FrameReader {
    peer: Peer,
    pub(crate) buffer: BytesMut,
    long_max_bytes: usize,
    /// The piece-wise message under way: type and bytes that are still to come.
    open: Option<(u8, usize)>,
}

impl FrameReader {
    pub(crate) fn new(peer: Peer) -> Self {
        let long_max_bytes = if peer == Peer::Client { LOGIN_MAX_BYTES } else { LONG_MAX_BYTES };
        Self { peer, buffer: BytesMut::new(), long_max_bytes, open: None }
    }

    /// The client has logged in: messages may be long now.
    pub(crate) fn trust(&mut self) {
        self.long_max_bytes = LONG_MAX_BYTES;
    }

    pub(crate) fn next(&mut self) -> Result<Option<Frame>, FrameError> {
        if let Some((tag, rest)) = self.open {
            if self.buffer.is_empty() {
                return Ok(None);
            }
            let count = rest.min(self.buffer.len());
            self.open = (count < rest).then_some((tag, rest - count));
            let raw = self.buffer.split_to(count).freeze();
            return Ok(Some(Frame { tag, raw, first: false, last: count == rest }));
        }
        let Some((header, _)) = self.buffer.split_first_chunk::<5>() else {
            // Garbage need not be five bytes long to be known as such.
            return match self.buffer.first() {
                Some(tag) => self.check_type(*tag).map(|()| None),
                None => Ok(None),
            };
        };
        let [tag, length @ ..] = *header;
        self.check_type(tag)?;
        let length = usize::try_from(u32::from_be_bytes(length)).map_err(|_| FrameError::Length)?;
        if length < 4 || length > self.length_max(tag) {
            return Err(FrameError::Length);
        }
        Ok(self.take(tag, length + 1))
    }

    fn take(&mut self, tag: u8, total: usize) -> Option<Frame> {
        if self.buffer.len() >= total {
            let raw = self.buffer.split_to(total).freeze();
            return Some(Frame { tag, raw, first: true, last: true });
        }
        if matches!(tag, b'D' | b'd') && total > WHOLE_MAX_BYTES && self.streams(tag) {
            let raw = self.buffer.split().freeze();
            self.open = Some((tag, total - raw.len()));
            return Some(Frame { tag, raw, first: true, last: false });
        }
        // Room is made as bytes arrive, not as a length announces them.
        self.buffer.reserve((total - self.buffer.len()).min(WHOLE_MAX_BYTES));
        None
    }

    /// `D` is a row from the server, but Describe from the client.
    fn streams(&self, tag: u8) -> bool {
        tag == b'd' || self.peer == Peer::Server
    }

    fn check_type(&self, tag: u8) -> Result<(), FrameError> {
        let known = match self.peer {
            Peer::Client => b"BCDEFHPQSXcdfp".contains(&tag),
            Peer::Server => tag.is_ascii_alphanumeric(),
        };
        if known { Ok(()) } else { Err(FrameError::Type(tag)) }
    }

    fn length_max(&self, tag: u8) -> usize {
        match (self.peer, tag) {
            (Peer::Client, b'C' | b'D' | b'E' | b'H' | b'S' | b'X' | b'c') => SHORT_MAX_BYTES,
            (Peer::Client | Peer::Server, _) => self.long_max_bytes,
        }
    }
}

/// A message of the given type around a body.
pub(crate) fn frame(tag: u8, body: &[u8]) -> Bytes {
    let length = u32::try_from(body.len() + 4).expect("bodies made here come from messages below 1 GiB");
    let mut raw = BytesMut::with_capacity(body.len() + 5);
    raw.put_u8(tag);
    raw.put_u32(length);
    raw.extend_from_slice(body);
    raw.freeze()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_come_whole_however_the_bytes_arrive() {
        let stream = [frame(b'Q', b"select 1\0"), frame(b'S', b"")].concat();
        let mut reader = FrameReader::new(Peer::Client);
        let mut seen = Vec::new();
        for byte in stream {
            reader.buffer.extend_from_slice(&[byte]);
            while let Some(frame) = reader.next().unwrap() {
                seen.push((frame.tag, frame.body().to_vec()));
            }
        }
        assert_eq!(seen, [(b'Q', b"select 1\0".to_vec()), (b'S', Vec::new())]);
    }

    #[test]
    fn long_rows_come_in_pieces() {
        let row = frame(b'D', &vec![7; 2 * WHOLE_MAX_BYTES]);
        let mut reader = FrameReader::new(Peer::Server);
        let mut joined = Vec::new();
        let mut ends = 0;
        for piece in row.chunks(100_000) {
            reader.buffer.extend_from_slice(piece);
            while let Some(frame) = reader.next().unwrap() {
                joined.extend_from_slice(&frame.raw);
                ends += u32::from(frame.last);
            }
        }
        assert_eq!((joined.len(), ends), (row.len(), 1));
    }

    #[test]
    fn garbage_is_refused_at_its_first_byte() {
        let mut reader = FrameReader::new(Peer::Client);
        reader.buffer.extend_from_slice(b"\x16");
        assert_eq!(reader.next().unwrap_err(), FrameError::Type(0x16));
        let mut reader = FrameReader::new(Peer::Client);
        reader.buffer.extend_from_slice(b"S\xff\xff\xff\xff");
        assert_eq!(reader.next().unwrap_err(), FrameError::Length);
        let mut reader = FrameReader::new(Peer::Client);
        reader.buffer.extend_from_slice(b"Q\0\0\0\x03");
        assert_eq!(reader.next().unwrap_err(), FrameError::Length);
    }
}
