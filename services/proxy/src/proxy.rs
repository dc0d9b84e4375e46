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

use crate::admission::Admission;
use crate::cancel::CancelKeys;
use crate::catalog::CatalogCache;
use crate::classify::Classifier;
use crate::config::Config;
use crate::hold::Submitter;
use crate::session::Environment;
use crate::tls::{Acceptor, Connector, TlsError};

/// Connections beyond the limit that get an error at a time; more are closed without one.
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
    admission: Arc<Admission>,
    log: Arc<dyn EventLog>,
    opened: CancellationToken,
    notices: Vec<broadcast::Receiver<Notice>>,
}

/// What the proxy is doing. A cheap handle.
#[derive(Clone)]
pub struct Activity(Arc<Admission>);

impl Activity {
    /// Clients connected.
    pub fn clients(&self) -> usize {
        self.0.config.limits.connections.saturating_sub(self.0.connections.available_permits())
    }

    /// Clients that are held until their mutation has its verdict.
    pub fn held(&self) -> usize {
        self.0.environment.get().map_or(0, |environment| environment.submitter.held())
    }

    /// Statements that wait for a record which another mutation has claimed.
    pub fn waiting(&self) -> usize {
        self.0.environment.get().map_or(0, |environment| environment.submitter.waiting())
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
        let admission = Admission {
            acceptor,
            cancel_keys: CancelKeys::new(connector.clone()),
            connector,
            control,
            mock_secret: rand::rng().random(),
            connections: Arc::new(Semaphore::new(config.limits.connections)),
            refusals: Arc::new(Semaphore::new(REFUSALS)),
            environment: OnceLock::new(),
            config,
        };
        Ok(Self {
            listener,
            address,
            admission: Arc::new(admission),
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
        Activity(self.admission.clone())
    }

    /// Hears a notifier of this process ([`upwrite_event_log::Notifier::subscribe`]): verdicts come faster than by way of
    /// Postgres.
    pub fn hear(&mut self, notices: broadcast::Receiver<Notice>) {
        self.notices.push(notices);
    }

    /// Serves until `shutdown`; then idle sessions end at once, others when they are idle or when the grace is over.
    pub async fn serve(self, shutdown: CancellationToken) {
        let grace_over = CancellationToken::new();
        let sessions = TaskTracker::new();
        let submitter = Submitter::start(self.log.clone(), self.admission.control.clone(), grace_over.clone());
        for notices in self.notices {
            submitter.hear(notices, grace_over.clone());
        }
        let opening =
            tokio::spawn(open(self.admission.clone(), submitter, self.opened, shutdown.clone(), grace_over.clone()));
        tracing::info!(address = %self.address, "the proxy listens");
        loop {
            tokio::select! {
                () = shutdown.cancelled() => break,
                accepted = self.listener.accept() => match accepted {
                    Ok((stream, peer)) => {
                        sessions.spawn(connection(stream, peer, self.admission.clone()));
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
        if tokio::time::timeout(self.admission.config.grace, sessions.wait()).await.is_err() {
            tracing::warn!(sessions = sessions.len(), "the grace is over; the sessions that are left are ended");
        }
        grace_over.cancel();
        sessions.wait().await;
        opening.abort();
        tracing::info!("the proxy has drained");
    }
}

async fn connection(stream: TcpStream, peer: SocketAddr, admission: Arc<Admission>) {
    if let Err(error) = stream.set_nodelay(true) {
        tracing::debug!(%error, "a connection ended at once");
        return;
    }
    crate::connection::serve(stream, peer, &admission).await;
}

/// Reads what sessions need from Postgres, for as long as that takes; then keeps it fresh.
async fn open(
    admission: Arc<Admission>,
    submitter: Submitter,
    opened: CancellationToken,
    shutdown: CancellationToken,
    grace_over: CancellationToken,
) {
    let (database, catalog) = loop {
        match first(&admission.control).await {
            Ok(found) => break found,
            Err(error) => tracing::warn!(%error, "Postgres cannot be asked for the synced tables yet; trying again"),
        }
        tokio::select! {
            () = shutdown.cancelled() => return,
            () = tokio::time::sleep(PAUSE) => {}
        }
    };
    let limits = admission.config.limits.clone();
    let environment = Environment {
        control: admission.control.clone(),
        database,
        catalog: catalog.clone(),
        classifier: Classifier::new(limits.classified_statements),
        submitter,
        limits,
        shutdown,
        grace_over: grace_over.clone(),
    };
    let _ = admission.environment.set(Arc::new(environment));
    opened.cancel();
    catalog.keep_fresh(admission.config.catalog_refresh, grace_over).await;
}

async fn first(control: &PgPool) -> Result<(String, CatalogCache), sqlx::Error> {
    let database =
        sqlx::query_scalar("/* proxy.database */ select current_database()::text").fetch_one(control).await?;
    Ok((database, CatalogCache::load(control.clone()).await?))
}
