//! Encryption first, then the startup message.

use bytes::{Bytes, BytesMut};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use super::error::LoginError;
use super::packet::{Packet, Startup, take};
use crate::error::PgError;
use crate::tls::Acceptor;
use crate::wire::Socket;

/// First byte of a TLS handshake record: the client starts TLS without asking.
const TLS_HANDSHAKE: u8 = 0x16;

/// What a connection turned out to be for.
pub(crate) enum Opening {
    Session(SessionRequest),
    Cancel {
        pid: u32,
        key: Bytes,
    },
    /// Closed before it said anything, as port scanners and health checks do.
    Nothing,
}

pub(crate) struct SessionRequest {
    pub(crate) socket: Socket,
    /// What came behind the startup message.
    pub(crate) early: BytesMut,
    pub(crate) startup: Startup,
}

/// Reads up to the startup message. On an error the socket is still open for the error.
pub(crate) async fn open(stream: TcpStream, acceptor: &Acceptor) -> Result<Opening, (Option<Socket>, LoginError)> {
    let mut first = [0];
    match stream.peek(&mut first).await {
        Ok(0) => return Ok(Opening::Nothing),
        Ok(_) if first[0] == TLS_HANDSHAKE => {
            let socket = encrypt(stream, acceptor, true).await.map_err(|error| (None, error))?;
            return packets(socket, acceptor).await;
        }
        Ok(_) => {}
        Err(error) => return Err((None, error.into())),
    }
    packets(Socket::Plain(stream), acceptor).await
}

async fn packets(mut socket: Socket, acceptor: &Acceptor) -> Result<Opening, (Option<Socket>, LoginError)> {
    let mut buffer = BytesMut::new();
    let mut gss_refused = false;
    loop {
        let packet = match next(&mut socket, &mut buffer).await {
            Ok(Some(packet)) => packet,
            Ok(None) => return Ok(Opening::Nothing),
            Err(error) => return Err((Some(socket), error)),
        };
        // Whatever stands behind a request for encryption was not encrypted, and must never be read as if it had been
        // (CVE-2021-23214).
        let asks = matches!(packet, Packet::Ssl | Packet::Gss);
        if asks && !buffer.is_empty() {
            let error = PgError::fatal("08P01", "received unencrypted data after a request for encryption");
            return Err((Some(socket), error.into()));
        }
        match (packet, socket) {
            (Packet::Ssl, Socket::Plain(mut stream)) => {
                stream.write_all(b"S").await.map_err(|error| (None, error.into()))?;
                socket = encrypt(stream, acceptor, false).await.map_err(|error| (None, error))?;
            }
            (Packet::Gss, Socket::Plain(mut stream)) if !gss_refused => {
                gss_refused = true;
                stream.write_all(b"N").await.map_err(|error| (None, error.into()))?;
                socket = Socket::Plain(stream);
            }
            (Packet::Ssl | Packet::Gss, socket) => {
                let error = PgError::fatal("08P01", "encryption was asked for a second time");
                return Err((Some(socket), error.into()));
            }
            (Packet::Cancel { pid, key }, _) => return Ok(Opening::Cancel { pid, key }),
            (Packet::Startup(startup), socket) => {
                return Ok(Opening::Session(SessionRequest { socket, early: buffer, startup }));
            }
        }
    }
}

async fn encrypt(stream: TcpStream, acceptor: &Acceptor, direct: bool) -> Result<Socket, LoginError> {
    Ok(Socket::Tls(Box::new(acceptor.accept(stream, direct).await?)))
}

async fn next(socket: &mut Socket, buffer: &mut BytesMut) -> Result<Option<Packet>, LoginError> {
    loop {
        if let Some(packet) = take(buffer)? {
            return Ok(Some(packet));
        }
        buffer.reserve(1024);
        if socket.read_buf(buffer).await? == 0 {
            return Ok(None);
        }
    }
}
