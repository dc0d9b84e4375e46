//! The listener, and the life of the proxy as a whole.

use std::net::SocketAddr;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use rand::Rng as _;
use sqlx::PgPool;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, broadcast};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use upwrite_event_log::{EventLog, Notice};

use crate::cancel::CancelKeys;
use crate::catalog::CatalogCache;
use crate::classify::Classifier;
use crate::config::Config;
use crate::hold::Gate;
use crate::session::Shared;
use crate::tls::{Acceptor, Connector, TlsError};

/// Connections beyond the limit that are told so at a time; more are closed without a word.
const REFUSALS: usize = 64;
/// Between attempts to reach Postgres at start, and after a failed accept.
const PAUSE: Duration = Duration::from_millis(500);

#[derive(Debug, thiserror::Error)]
pub enum ProxyError {
    #[error("cannot listen on {address}: {reason}")]
    Listen { address: SocketAddr, reason: std::io::Error },
    #[error("TLS: {0}")]
    Tls(#[from] TlsError),
}

/// A proxy that listens; [`Proxy::serve`] answers.
pub struct Proxy {
    listener: TcpListener,
    address: SocketAddr,
    doors: Arc<Doors>,
    log: Arc<dyn EventLog>,
    opened: CancellationToken,
    notices: Vec<broadcast::Receiver<Notice>>,
}

/// What every new connection needs.
pub(crate) struct Doors {
    pub(crate) config: Config,
    pub(crate) control: PgPool,
    pub(crate) acceptor: Acceptor,
    pub(crate) connector: Connector,
    pub(crate) cancel_keys: CancelKeys,
    /// Of this process only; see [`crate::auth::Verifier::mock`].
    pub(crate) mock_secret: [u8; 32],
    pub(crate) connections: Arc<Semaphore>,
    pub(crate) refusals: Arc<Semaphore>,
    /// Not set before Postgres could be asked for the first time.
    pub(crate) shared: OnceLock<Arc<Shared>>,
}

/// Listens and serves until `shutdown`, then drains.
pub async fn run(
    config: Config,
    control: PgPool,
    log: Arc<dyn EventLog>,
    shutdown: CancellationToken,
) -> Result<(), ProxyError> {
    Proxy::bind(config, control, log).await?.serve(shutdown).await;
    Ok(())
}

/// What the proxy is about, for people. A cheap handle.
#[derive(Clone)]
pub struct Activity(Arc<Doors>);

impl Activity {
    /// Clients connected.
    pub fn clients(&self) -> usize {
        self.0.config.limits.connections.saturating_sub(self.0.connections.available_permits())
    }

    /// Clients that are held until their mutation has its verdict.
    pub fn held(&self) -> usize {
        self.0.shared.get().map_or(0, |shared| shared.gate.held())
    }
}

impl Proxy {
    /// Opens the port. `control` logs in as `upwrite_service` to the database that has the synced tables.
    pub async fn bind(config: Config, control: PgPool, log: Arc<dyn EventLog>) -> Result<Self, ProxyError> {
        let acceptor = Acceptor::new(&config.tls)?;
        let connector = Connector::new(&config.server)?;
        let unusable = |reason| ProxyError::Listen { address: config.listen, reason };
        let listener = TcpListener::bind(config.listen).await.map_err(unusable)?;
        let address = listener.local_addr().map_err(unusable)?;
        let doors = Doors {
            acceptor,
            cancel_keys: CancelKeys::new(connector.clone()),
            connector,
            control,
            mock_secret: rand::rng().random(),
            connections: Arc::new(Semaphore::new(config.limits.connections)),
            refusals: Arc::new(Semaphore::new(REFUSALS)),
            shared: OnceLock::new(),
            config,
        };
        Ok(Self {
            listener,
            address,
            doors: Arc::new(doors),
            log,
            opened: CancellationToken::new(),
            notices: Vec::new(),
        })
    }

    /// Where clients connect.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Cancelled once sessions can begin: before that clients are told 57P03, since Postgres could not be asked yet.
    pub fn opened(&self) -> CancellationToken {
        self.opened.clone()
    }

    pub fn activity(&self) -> Activity {
        Activity(self.doors.clone())
    }

    /// Hears a notifier of this process ([`upwrite_event_log::Notifier::subscribe`]): verdicts come sooner than by way of
    /// Postgres.
    pub fn hear(&mut self, notices: broadcast::Receiver<Notice>) {
        self.notices.push(notices);
    }

    /// Serves until `shutdown`; then idle sessions end at once, others when they are idle or when the grace is over.
    pub async fn serve(self, shutdown: CancellationToken) {
        let grace_over = CancellationToken::new();
        let sessions = TaskTracker::new();
        let gate = Gate::start(self.log.clone(), self.doors.control.clone(), grace_over.clone());
        for notices in self.notices {
            gate.hear(notices, grace_over.clone());
        }
        let opening = tokio::spawn(open(self.doors.clone(), gate, self.opened, shutdown.clone(), grace_over.clone()));
        tracing::info!(address = %self.address, "the proxy listens");
        loop {
            tokio::select! {
                () = shutdown.cancelled() => break,
                accepted = self.listener.accept() => match accepted {
                    Ok((stream, peer)) => {
                        sessions.spawn(connection(stream, peer, self.doors.clone()));
                    }
                    Err(error) => {
                        tracing::warn!(%error, "a connection could not be accepted");
                        tokio::time::sleep(PAUSE).await;
                    }
                },
            }
        }
        drop(self.listener);
        sessions.close();
        if tokio::time::timeout(self.doors.config.grace, sessions.wait()).await.is_err() {
            tracing::warn!(sessions = sessions.len(), "the grace is over; the sessions that are left are ended");
        }
        grace_over.cancel();
        sessions.wait().await;
        opening.abort();
        tracing::info!("the proxy has drained");
    }
}

async fn connection(stream: TcpStream, peer: SocketAddr, doors: Arc<Doors>) {
    if let Err(error) = stream.set_nodelay(true) {
        tracing::debug!(%error, "a connection ended at once");
        return;
    }
    crate::connection::serve(stream, peer, &doors).await;
}

/// Reads what sessions need from Postgres, for as long as that takes; then keeps it fresh.
async fn open(
    doors: Arc<Doors>,
    gate: Gate,
    opened: CancellationToken,
    shutdown: CancellationToken,
    grace_over: CancellationToken,
) {
    let (database, catalog) = loop {
        match first(&doors.control).await {
            Ok(found) => break found,
            Err(error) => tracing::warn!(%error, "Postgres cannot be asked for the synced tables yet; trying again"),
        }
        tokio::select! {
            () = shutdown.cancelled() => return,
            () = tokio::time::sleep(PAUSE) => {}
        }
    };
    let limits = doors.config.limits.clone();
    let shared = Shared {
        control: doors.control.clone(),
        database,
        catalog: catalog.clone(),
        classifier: Classifier::new(limits.classified_statements),
        gate,
        limits,
        shutdown,
        grace_over: grace_over.clone(),
    };
    let _ = doors.shared.set(Arc::new(shared));
    opened.cancel();
    catalog.keep_fresh(doors.config.catalog_refresh, grace_over).await;
}

async fn first(control: &PgPool) -> Result<(String, CatalogCache), sqlx::Error> {
    let database =
        sqlx::query_scalar("/* proxy.database */ select current_database()::text").fetch_one(control).await?;
    Ok((database, CatalogCache::load(control.clone()).await?))
}
