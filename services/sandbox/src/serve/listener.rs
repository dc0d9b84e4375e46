//! Accepts connections and wraps them.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::connect_info::Connected;
use axum::serve::{IncomingStream, Listener};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use super::connection::{Connection, Stream};
use crate::sandbox::Sandbox;

pub(super) struct BreakableListener {
    pub(super) tcp: TcpListener,
    pub(super) sandbox: Arc<Sandbox>,
    pub(super) stop: CancellationToken,
}

impl Listener for BreakableListener {
    type Io = Stream;
    type Addr = Connection;

    async fn accept(&mut self) -> (Stream, Connection) {
        loop {
            match self.tcp.accept().await {
                Ok((tcp, _)) => {
                    // Small answers must not wait for each other; failing to set it only costs time.
                    let _ = tcp.set_nodelay(true);
                    let connection = Connection::new(&self.stop);
                    return (Stream::new(tcp, connection.clone(), Arc::clone(&self.sandbox)), connection);
                }
                Err(error) => {
                    // Out of descriptors, most likely: the pause lets some close.
                    tracing::warn!(%error, "accept failed");
                    tokio::time::sleep(Duration::from_millis(50)).await;
                }
            }
        }
    }

    fn local_addr(&self) -> io::Result<Connection> {
        Ok(Connection::new(&self.stop))
    }
}

impl Connected<IncomingStream<'_, BreakableListener>> for Connection {
    fn connect_info(stream: IncomingStream<'_, BreakableListener>) -> Self {
        stream.remote_addr().clone()
    }
}

/// The address that a bound listener got.
pub(super) fn address(tcp: &TcpListener) -> io::Result<SocketAddr> {
    tcp.local_addr()
}
