//! CancelRequest: finding the session, and what to cancel in it.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use subtle::ConstantTimeEq as _;
use tokio::io::AsyncWriteExt as _;
use tokio_util::sync::CancellationToken;

use crate::tls::Connector;

/// `CancelRequest` of protocol 3.
const CANCEL_REQUEST: u32 = 80_877_102;

/// What a CancelRequest would hit now.
#[derive(Debug, Clone, Default)]
enum Aim {
    /// Whatever the server is doing.
    #[default]
    Server,
    /// A wait of the proxy's own.
    Wait(CancellationToken),
    /// Nothing: upstream has answered, only the client does not know yet.
    Nothing,
}

/// One server connection's entry in [`CancelKeys`]; gone when dropped.
pub(crate) struct CancelSlot {
    keys: CancelKeys,
    pid: u32,
    entry: Arc<Entry>,
}

struct Entry {
    /// What the client was given.
    secret: Bytes,
    /// What the server gave.
    server_key: Bytes,
    aim: Mutex<Aim>,
}

/// All sessions of this process. The pids are the server's own, so that `pg_cancel_backend` works with them, too.
#[derive(Clone)]
pub(crate) struct CancelKeys {
    entries: Arc<Mutex<HashMap<u32, Arc<Entry>>>>,
    connector: Connector,
}

impl CancelKeys {
    pub(crate) fn new(connector: Connector) -> Self {
        Self { entries: Arc::default(), connector }
    }

    pub(crate) fn register(&self, pid: u32, secret: Bytes, server_key: Bytes) -> CancelSlot {
        let entry = Arc::new(Entry { secret, server_key, aim: Mutex::default() });
        lock(&self.entries).insert(pid, entry.clone());
        CancelSlot { keys: self.clone(), pid, entry }
    }

    /// A wrong key is ignored, as PostgreSQL does, and without an answer.
    pub(crate) async fn cancel(&self, pid: u32, secret: &[u8]) {
        let entry = lock(&self.entries).get(&pid).cloned();
        let Some(entry) = entry.filter(|entry| entry.secret.ct_eq(secret).into()) else {
            return;
        };
        let aim = lock(&entry.aim).clone();
        match aim {
            Aim::Nothing => {}
            Aim::Wait(token) => token.cancel(),
            Aim::Server => {
                if let Err(error) = self.forward(pid, &entry.server_key).await {
                    tracing::warn!(%error, "a cancel request did not reach PostgreSQL");
                }
            }
        }
    }

    async fn forward(&self, pid: u32, key: &[u8]) -> std::io::Result<()> {
        let mut socket = self.connector.connect().await?;
        let length = u32::try_from(12 + key.len()).unwrap_or(u32::MAX);
        let mut packet = [length, CANCEL_REQUEST, pid].map(u32::to_be_bytes).concat();
        packet.extend_from_slice(key);
        socket.write_all(&packet).await?;
        socket.shutdown().await
    }
}

impl CancelSlot {
    /// A wait of the proxy's own begins: CancelRequest ends it by this token.
    pub(crate) fn aim_at_wait(&self, token: &CancellationToken) {
        *lock(&self.entry.aim) = Aim::Wait(token.clone());
    }

    pub(crate) fn aim_at_server(&self) {
        *lock(&self.entry.aim) = Aim::Server;
    }

    pub(crate) fn aim_at_nothing(&self) {
        *lock(&self.entry.aim) = Aim::Nothing;
    }

    pub(crate) fn pid(&self) -> u32 {
        self.pid
    }
}

impl Drop for CancelSlot {
    fn drop(&mut self) {
        let mut entries = lock(&self.keys.entries);
        // The server may have given the pid to a newer session already.
        if entries.get(&self.pid).is_some_and(|entry| Arc::ptr_eq(entry, &self.entry)) {
            entries.remove(&self.pid);
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
