//! One end of a session: what has arrived from it, what is to go to it.

use std::io;

use bytes::BytesMut;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, ReadHalf, WriteHalf};

use super::{Frame, FrameError, FrameReader, Peer, Socket};

/// Above that, nothing more is read from the other end.
const OUT_HIGH_BYTES: usize = 256 * 1024;
const READ_BYTES: usize = 16 * 1024;

#[derive(Debug)]
pub(crate) struct Side {
    reader: ReadHalf<Socket>,
    writer: WriteHalf<Socket>,
    pub(super) frames: FrameReader,
    pub(crate) out: BytesMut,
    /// TLS keeps what was written until it is flushed.
    unflushed: bool,
    pub(super) ended: bool,
}

impl Side {
    /// `early`: what was read from the socket already.
    pub(crate) fn new(socket: Socket, peer: Peer, early: BytesMut) -> Self {
        let (reader, writer) = tokio::io::split(socket);
        let mut frames = FrameReader::new(peer);
        frames.buffer = early;
        Self { reader, writer, frames, out: BytesMut::new(), unflushed: false, ended: false }
    }

    /// The client has logged in.
    pub(crate) fn trust(&mut self) {
        self.frames.trust();
    }

    pub(crate) fn send(&mut self, bytes: &[u8]) {
        self.out.extend_from_slice(bytes);
    }

    /// The peer is gone: what was to go to it is dropped.
    pub(super) fn abandon(&mut self) {
        self.out.clear();
        self.unflushed = false;
    }

    pub(crate) fn is_full(&self) -> bool {
        self.out.len() >= OUT_HIGH_BYTES
    }

    /// Reads what there is; cancelling loses nothing. False at the end.
    pub(crate) async fn read(&mut self) -> io::Result<bool> {
        self.frames.buffer.reserve(READ_BYTES);
        let count = self.reader.read_buf(&mut self.frames.buffer).await?;
        Ok(count > 0)
    }

    pub(crate) fn has_output(&self) -> bool {
        !self.out.is_empty() || self.unflushed
    }

    /// Writes some of what is to go; cancelling loses nothing.
    pub(crate) async fn write(&mut self) -> io::Result<()> {
        write(&mut self.writer, &mut self.out, &mut self.unflushed).await
    }

    /// Reads and writes at once, each if asked for. Cancelling loses nothing. `Ok(false)`: the end was read.
    pub(crate) async fn progress(&mut self, read: bool) -> io::Result<bool> {
        let writes = self.has_output();
        self.frames.buffer.reserve(if read { READ_BYTES } else { 0 });
        let Self { reader, writer, frames, out, unflushed, .. } = self;
        tokio::select! {
            biased;
            written = write(writer, out, unflushed), if writes => written.map(|()| true),
            count = reader.read_buf(&mut frames.buffer), if read => count.map(|count| count > 0),
            else => std::future::pending().await,
        }
    }

    /// The next message, waiting for it; for the time before the session. `None` at the end.
    pub(crate) async fn next(&mut self) -> io::Result<Option<Frame>> {
        while self.has_output() {
            self.write().await?;
        }
        loop {
            if let Some(frame) = self.frames.next().map_err(invalid)? {
                return Ok(Some(frame));
            }
            if !self.read().await? {
                return Ok(None);
            }
        }
    }

    /// Writes everything that is to go, and says that nothing follows. For the end of a session.
    pub(crate) async fn finish(&mut self) -> io::Result<()> {
        while self.has_output() {
            self.write().await?;
        }
        self.writer.shutdown().await
    }
}

async fn write(writer: &mut WriteHalf<Socket>, out: &mut BytesMut, unflushed: &mut bool) -> io::Result<()> {
    if out.is_empty() {
        writer.flush().await?;
        *unflushed = false;
        return Ok(());
    }
    let count = writer.write_buf(out).await?;
    *unflushed = true;
    if count == 0 { Err(io::ErrorKind::WriteZero.into()) } else { Ok(()) }
}

fn invalid(error: FrameError) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, error)
}
