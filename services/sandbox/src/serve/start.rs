//! Starting and stopping.

use std::net::SocketAddr;
use std::sync::Arc;

use axum::Router;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use super::connection::Connection;
use super::listener::{BreakableListener, address};
use super::{admin, http};
use crate::holding::Then;
use crate::options::Options;
use crate::sandbox::Sandbox;
use crate::vendor::Vendor;

/// Why a sandbox did not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The address is taken or not ours.
    #[error("cannot listen on {addr}: {source}")]
    Listen {
        /// The address asked for.
        addr: SocketAddr,
        /// What the system said.
        source: std::io::Error,
    },
    /// The state file cannot be read, or the data cannot be generated.
    #[error("cannot load or generate the records: {0}")]
    State(String),
}

/// A sandbox that serves. Dropping it stops it at once.
#[derive(Debug)]
pub struct Running<V> {
    /// `http://address:port`: the API host, in place of the vendor's.
    pub base_url: String,
    /// `http://address:port/admin`.
    pub admin_url: String,
    /// The address it listens on.
    pub addr: SocketAddr,
    sandbox: Arc<Sandbox>,
    vendor: Arc<V>,
    stop: CancellationToken,
    server: Option<JoinHandle<()>>,
}

impl Sandbox {
    /// Starts a sandbox of one vendor in this process. Faults, held requests and journals are per sandbox, so what
    /// is done to one vendor leaves another alone.
    pub async fn start<V: Vendor>(options: Options, vendor: V) -> Result<Running<V>, StartError> {
        let addr = options.listen;
        let failed = |source| StartError::Listen { addr, source };
        let tcp = TcpListener::bind(addr).await.map_err(failed)?;
        let addr = address(&tcp).map_err(failed)?;
        let vendor = Arc::new(vendor);
        let shared: Arc<dyn Vendor> = Arc::<V>::clone(&vendor);
        let sandbox = Arc::new(Sandbox::new(options, shared).map_err(StartError::State)?);
        let stop = CancellationToken::new();
        let app = Router::new()
            .nest("/admin", admin::router())
            .fallback(http::handle)
            .with_state(Arc::clone(&sandbox))
            .into_make_service_with_connect_info::<Connection>();
        let listener = BreakableListener { tcp, sandbox: Arc::clone(&sandbox), stop: stop.clone() };
        let stopped = stop.clone().cancelled_owned();
        let server = tokio::spawn(async move {
            if let Err(error) = axum::serve(listener, app).with_graceful_shutdown(stopped).await {
                tracing::error!(%error, "server ended");
            }
        });
        let base_url = format!("http://{addr}");
        let admin_url = format!("{base_url}/admin");
        Ok(Running { base_url, admin_url, addr, sandbox, vendor, stop, server: Some(server) })
    }
}

impl<V> Running<V> {
    /// The vendor's own settings.
    pub fn vendor(&self) -> &V {
        &self.vendor
    }

    /// The handle to journal, faults and records.
    pub fn sandbox(&self) -> &Arc<Sandbox> {
        &self.sandbox
    }

    fn end(&self) {
        self.stop.cancel();
        self.sandbox.release(None, Then::Drop);
    }

    /// Ends all connections, also those that are held, and writes the state file, if there is one.
    pub async fn stop(mut self) -> Result<(), String> {
        self.end();
        if let Some(server) = self.server.take() {
            // It ends as soon as the connections are gone, which the token made sure of.
            let _ = server.await;
        }
        self.sandbox.save()
    }
}

impl<V> std::ops::Deref for Running<V> {
    type Target = Sandbox;

    fn deref(&self) -> &Sandbox {
        &self.sandbox
    }
}

impl<V> Drop for Running<V> {
    fn drop(&mut self) {
        self.end();
    }
}
