//! A host that answers every request with the same nonsense, but for logins.

use std::sync::{Arc, Mutex};

use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::AbortHandle;

use super::Subject;

/// Status and body of the next answers.
type Says = Arc<Mutex<(u16, String)>>;

/// Listens until it is dropped.
pub(super) struct NonsenseHost {
    pub(super) base_url: String,
    says: Says,
    accepting: AbortHandle,
}

impl NonsenseHost {
    pub(super) async fn start(subject: &dyn Subject) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let base_url = format!("http://{}", listener.local_addr().unwrap());
        let login = subject.login(&base_url);
        let says = Says::default();
        let said = Arc::clone(&says);
        let accepting = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(serve(stream, login.clone(), Arc::clone(&said)));
            }
        });
        Self { base_url, says, accepting: accepting.abort_handle() }
    }

    pub(super) fn say(&self, status: u16, body: &str) {
        *self.says.lock().unwrap() = (status, body.to_owned());
    }
}

impl Drop for NonsenseHost {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

/// Answers each request of a connection.
async fn serve(stream: TcpStream, login: Option<(String, String)>, says: Says) -> std::io::Result<()> {
    let mut stream = BufReader::new(stream);
    loop {
        let mut line = String::new();
        if stream.read_line(&mut line).await? == 0 {
            return Ok(());
        }
        let path = line.split_whitespace().nth(1).unwrap_or_default().to_owned();
        let mut length = 0;
        loop {
            let mut header = String::new();
            if stream.read_line(&mut header).await? == 0 || header.trim().is_empty() {
                break;
            }
            let (name, value) = header.split_once(':').unwrap_or_default();
            if name.eq_ignore_ascii_case("content-length") {
                length = value.trim().parse().unwrap_or(0);
            }
        }
        stream.read_exact(&mut vec![0; length]).await?;
        let login = login.as_ref().filter(|(login, _)| *login == path);
        let (status, body) = match login {
            Some((_, answer)) => (200, answer.clone()),
            None => says.lock().unwrap().clone(),
        };
        let length = if status == 204 { String::new() } else { format!("content-length: {}\r\n", body.len()) };
        let body = if status == 204 { "" } else { body.as_str() };
        let answer = format!("HTTP/1.1 {status} Nonsense\r\ncontent-type: application/json\r\n{length}\r\n{body}");
        stream.write_all(answer.as_bytes()).await?;
    }
}

/// The address of a host that is not there.
pub(super) fn unreachable() -> String {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    format!("http://{}", listener.local_addr().unwrap())
}
