//! Both ends of a session. Whatever is waited for, each end is read as far as the other can take it, and written: two
//! peers that both write before they read must not stand still in between.

use std::io;

use super::{Frame, FrameError, Side};

/// From whom messages are wanted now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Interest {
    pub(crate) client: bool,
    pub(crate) server: bool,
}

/// One message.
#[derive(Debug)]
pub(crate) enum Incoming {
    Client(Frame),
    Server(Frame),
}

/// Why there will be no more messages.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Disconnect {
    #[error("the client went away")]
    Client,
    #[error("the client sent something else than messages: {0}")]
    ClientInvalid(FrameError),
    #[error("the server ended the connection")]
    Server,
}

/// Both ends for as long as one message is waited for.
#[derive(Debug)]
pub(crate) struct Link<'a> {
    pub(crate) client: &'a mut Side,
    pub(crate) server: &'a mut Side,
}

impl Link<'_> {
    /// The next message. Cancelling loses nothing.
    pub(crate) async fn next(&mut self, want: Interest) -> Result<Incoming, Disconnect> {
        loop {
            if want.server {
                match self.server.frames.next() {
                    Ok(Some(frame)) => return Ok(Incoming::Server(frame)),
                    Ok(None) if self.server.ended => return Err(Disconnect::Server),
                    Ok(None) => {}
                    Err(_) => return Err(Disconnect::Server),
                }
            }
            if want.client {
                match self.client.frames.next() {
                    Ok(Some(frame)) => return Ok(Incoming::Client(frame)),
                    Ok(None) if self.client.ended => return Err(Disconnect::Client),
                    Ok(None) => {}
                    Err(error) => return Err(Disconnect::ClientInvalid(error)),
                }
            }
            let read_server = want.server && !self.server.ended && !self.client.is_full();
            let read_client = want.client && !self.client.ended && !self.server.is_full();
            let Self { client, server } = self;
            tokio::select! {
                progress = server.progress(read_server) => end_of(progress, &mut server.ended),
                progress = client.progress(read_client) => end_of(progress, &mut client.ended),
            }
            if self.client.ended {
                self.client.abandon();
            }
            if self.server.ended {
                self.server.abandon();
            }
        }
    }
}

/// A reset is an end, too.
fn end_of(progress: io::Result<bool>, ended: &mut bool) {
    *ended |= !matches!(progress, Ok(true));
}
