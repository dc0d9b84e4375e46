//! A client that sends exactly the bytes of the test, over a plain socket.

use std::net::SocketAddr;
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

const PATIENCE: Duration = Duration::from_secs(10);

pub(crate) struct Raw {
    pub(crate) stream: TcpStream,
}

impl Raw {
    pub(crate) async fn connect(address: SocketAddr) -> Self {
        Self { stream: TcpStream::connect(address).await.unwrap() }
    }

    pub(crate) async fn send(&mut self, bytes: &[u8]) {
        self.stream.write_all(bytes).await.unwrap();
    }

    /// Everything up to the end of the connection.
    pub(crate) async fn rest(&mut self) -> Vec<u8> {
        let mut all = Vec::new();
        let read = tokio::time::timeout(PATIENCE, self.stream.read_to_end(&mut all)).await;
        // A reset is an end, too.
        let _ = read.expect("the proxy closes the connection");
        all
    }

    pub(crate) async fn message(&mut self) -> (u8, Vec<u8>) {
        let read = async {
            let tag = self.stream.read_u8().await.unwrap();
            let length = self.stream.read_u32().await.unwrap();
            let mut body = vec![0; length as usize - 4];
            self.stream.read_exact(&mut body).await.unwrap();
            (tag, body)
        };
        tokio::time::timeout(PATIENCE, read).await.expect("a message in time")
    }

    /// Type bytes of all messages up to and with ReadyForQuery, and its status. ParameterStatus apart.
    pub(crate) async fn tags(&mut self) -> String {
        let mut tags = String::new();
        loop {
            let (tag, body) = self.message().await;
            if tag != b'S' {
                tags.push(char::from(tag));
            }
            if tag == b'Z' {
                tags.push(char::from(body[0]));
                return tags;
            }
        }
    }
}

pub(crate) fn startup(minor: u16, parameters: &[(&str, &str)]) -> Vec<u8> {
    let mut body = vec![0, 3];
    body.extend(minor.to_be_bytes());
    for (name, value) in parameters {
        body.extend(name.bytes().chain([0]).chain(value.bytes()).chain([0]));
    }
    body.push(0);
    let mut packet = (body.len() as u32 + 4).to_be_bytes().to_vec();
    packet.extend(body);
    packet
}

pub(crate) fn message(tag: u8, body: &[u8]) -> Vec<u8> {
    let mut message = vec![tag];
    message.extend((body.len() as u32 + 4).to_be_bytes());
    message.extend(body);
    message
}

/// The SQLSTATE in an ErrorResponse's body.
pub(crate) fn sqlstate(body: &[u8]) -> String {
    let field = body.split(|byte| *byte == 0).find(|field| field.first() == Some(&b'C'));
    String::from_utf8(field.expect("an SQLSTATE")[1..].to_vec()).unwrap()
}
