//! Stands between clients and a broker, and can keep back what either side says.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio_util::sync::CancellationToken;

#[derive(Default)]
struct Lost {
    requests: AtomicBool,
    answers: AtomicBool,
}

pub(crate) struct Relay {
    port: u16,
    lost: Arc<Lost>,
    /// Of the connections there are.
    cut: std::sync::Mutex<CancellationToken>,
}

impl Relay {
    /// Listens at a free port; [`Relay::to`] says for whom.
    pub(crate) async fn start() -> (Arc<Self>, TcpListener) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        (Arc::new(Self { port, lost: Arc::default(), cut: std::sync::Mutex::default() }), listener)
    }

    pub(crate) fn to(self: &Arc<Self>, listener: TcpListener, broker: u16) {
        let relay = Arc::clone(self);
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                let Ok(server) = TcpStream::connect(("127.0.0.1", broker)).await else { continue };
                client.set_nodelay(true).unwrap();
                server.set_nodelay(true).unwrap();
                let cut = relay.cut.lock().unwrap().clone();
                let ((from_client, to_client), (from_server, to_server)) = (client.into_split(), server.into_split());
                let (lost, end) = (Arc::clone(&relay.lost), cut.clone());
                tokio::spawn(pump(from_client, to_server, end, move || lost.requests.load(Ordering::SeqCst)));
                let lost = Arc::clone(&relay.lost);
                tokio::spawn(pump(from_server, to_client, cut, move || lost.answers.load(Ordering::SeqCst)));
            }
        });
    }

    pub(crate) fn port(&self) -> u16 {
        self.port
    }

    /// From now on nothing of what the broker says arrives.
    pub(crate) fn lose_answers(&self) {
        self.lost.answers.store(true, Ordering::SeqCst);
    }

    /// From now on nothing of what clients say arrives.
    pub(crate) fn lose_requests(&self) {
        self.lost.requests.store(true, Ordering::SeqCst);
    }

    /// The connections there were end; new ones lose nothing.
    pub(crate) fn heal(&self) {
        self.lost.requests.store(false, Ordering::SeqCst);
        self.lost.answers.store(false, Ordering::SeqCst);
        std::mem::take(&mut *self.cut.lock().unwrap()).cancel();
    }
}

async fn pump(mut from: OwnedReadHalf, mut to: OwnedWriteHalf, cut: CancellationToken, lost: impl Fn() -> bool) {
    let mut buffer = vec![0; 64 * 1024];
    loop {
        let read = tokio::select! {
            read = from.read(&mut buffer) => read,
            () = cut.cancelled() => return,
        };
        let Ok(count @ 1..) = read else { return };
        if !lost() && to.write_all(&buffer[..count]).await.is_err() {
            return;
        }
    }
}
