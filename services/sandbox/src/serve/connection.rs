//! One TCP connection that can be ended from the inside, and that keeps when bytes came and went.

use std::io;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};
use std::time::Instant;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio_util::sync::{CancellationToken, WaitForCancellationFutureOwned};

use crate::sandbox::Sandbox;

/// What a request handler may do to the connection it came by.
#[derive(Clone, Debug)]
pub(super) struct Connection {
    ended: CancellationToken,
    reset: Arc<AtomicBool>,
    phase: Arc<Mutex<Phase>>,
}

/// Where the connection is in the exchange of one request.
#[derive(Clone, Copy, Debug)]
enum Phase {
    Idle,
    /// The first byte of a request came then.
    Receiving(Instant),
    /// The answer to this request is on its way; its first byte came then.
    Answering(u64, Instant),
}

impl Connection {
    pub(super) fn new(server: &CancellationToken) -> Self {
        Self {
            ended: server.child_token(),
            reset: Arc::new(AtomicBool::new(false)),
            phase: Arc::new(Mutex::new(Phase::Idle)),
        }
    }

    /// Ends the connection without another byte.
    pub(super) fn close(&self) {
        self.ended.cancel();
    }

    /// Ends the connection with a TCP reset.
    pub(super) fn reset(&self) {
        self.reset.store(true, Ordering::SeqCst);
        self.ended.cancel();
    }

    /// When the first byte of the request now being handled came.
    pub(super) fn first_byte(&self) -> Instant {
        match self.phase() {
            Phase::Receiving(at) | Phase::Answering(_, at) => at,
            Phase::Idle => Instant::now(),
        }
    }

    /// From now on, bytes written belong to the answer of this request.
    pub(super) fn answering(&self, request: u64) {
        let at = self.first_byte();
        self.set(Phase::Answering(request, at));
    }

    fn phase(&self) -> Phase {
        *self.phase.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn set(&self, phase: Phase) {
        *self.phase.lock().unwrap_or_else(PoisonError::into_inner) = phase;
    }
}

/// The stream itself.
pub(super) struct Stream {
    tcp: TcpStream,
    connection: Connection,
    ended: Pin<Box<WaitForCancellationFutureOwned>>,
    sandbox: Arc<Sandbox>,
}

impl Stream {
    pub(super) fn new(tcp: TcpStream, connection: Connection, sandbox: Arc<Sandbox>) -> Self {
        let ended = Box::pin(connection.ended.clone().cancelled_owned());
        Self { tcp, connection, ended, sandbox }
    }

    /// An error once the connection is to end; the error makes the server drop the stream.
    fn alive(&mut self, cx: &mut Context<'_>) -> io::Result<()> {
        if !self.connection.ended.is_cancelled() && self.ended.as_mut().poll(cx).is_pending() {
            return Ok(());
        }
        if self.connection.reset.load(Ordering::SeqCst) {
            // Dropping the socket now discards what is unsent and sends RST.
            self.tcp.set_zero_linger()?;
        }
        Err(io::ErrorKind::ConnectionAborted.into())
    }

    fn wrote(&self) {
        if let Phase::Answering(request, first_byte) = self.connection.phase()
            && let Some(entry) = self.sandbox.request_log().entry(request)
        {
            entry.answered_us = Some(micros(first_byte));
        }
    }
}

/// Microseconds since then.
pub(super) fn micros(since: Instant) -> u64 {
    u64::try_from(since.elapsed().as_micros()).unwrap_or(u64::MAX)
}

impl AsyncRead for Stream {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let me = self.get_mut();
        me.alive(cx)?;
        let before = buf.filled().len();
        let polled = Pin::new(&mut me.tcp).poll_read(cx, buf);
        if buf.filled().len() > before && !matches!(me.connection.phase(), Phase::Receiving(_)) {
            me.connection.set(Phase::Receiving(Instant::now()));
        }
        polled
    }
}

impl AsyncWrite for Stream {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        let me = self.get_mut();
        me.alive(cx)?;
        let polled = Pin::new(&mut me.tcp).poll_write(cx, buf);
        if matches!(polled, Poll::Ready(Ok(_))) {
            me.wrote();
        }
        polled
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let me = self.get_mut();
        me.alive(cx)?;
        let polled = Pin::new(&mut me.tcp).poll_write_vectored(cx, bufs);
        if matches!(polled, Poll::Ready(Ok(_))) {
            me.wrote();
        }
        polled
    }

    fn is_write_vectored(&self) -> bool {
        self.tcp.is_write_vectored()
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let me = self.get_mut();
        me.alive(cx)?;
        Pin::new(&mut me.tcp).poll_flush(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let me = self.get_mut();
        me.alive(cx)?;
        Pin::new(&mut me.tcp).poll_shutdown(cx)
    }
}
