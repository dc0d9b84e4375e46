//! The listener: TLS, the token, reflection, health.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use sqlx::PgPool;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use tonic::service::interceptor::InterceptedService;
use tonic::transport::server::TcpIncoming;
use tonic::transport::{Identity, ServerTlsConfig};
use upwrite_event_log::EventLog;

use crate::config::{Config, ControlError};
use crate::operations::{OneAtATime, Operations};
use crate::proto::DESCRIPTORS;
use crate::service::Service;
use crate::token::Guard;
use crate::v1::control_server::ControlServer;
use crate::watch::Watches;

/// Bytes of one request.
const REQUEST_MAX_BYTES: usize = 64 * 1024;
/// A caller who went away without a word is noticed after these two.
const KEEPALIVE: Duration = Duration::from_secs(20);
const KEEPALIVE_PATIENCE: Duration = Duration::from_secs(10);
const STREAMS_PER_CONNECTION: u32 = 64;
/// How long calls that run may take to end after shutdown.
const GRACE: Duration = Duration::from_secs(5);

/// Listens from the moment it is made; answers once it serves.
#[derive(Debug)]
pub struct Server {
    config: Config,
    listener: TcpListener,
}

impl Server {
    /// # Errors
    /// `TokenRequired` for an address that others can reach, `Listen` if the address cannot be had.
    pub async fn bind(config: Config) -> Result<Self, ControlError> {
        if config.token.is_none() && !config.listen.ip().is_loopback() {
            return Err(ControlError::TokenRequired(config.listen));
        }
        if config.tls.is_none() && !config.listen.ip().is_loopback() {
            tracing::warn!(listen = %config.listen, "the control API's token travels unencrypted: configure TLS");
        }
        let failed = |source| ControlError::Listen { address: config.listen, source };
        let listener = TcpListener::bind(config.listen).await.map_err(failed)?;
        Ok(Self { config, listener })
    }

    /// Where it listens; the port is a real one even if 0 was asked for.
    pub fn local_addr(&self) -> std::io::Result<SocketAddr> {
        self.listener.local_addr()
    }

    /// Answers until shutdown; streams are then ended with UNAVAILABLE. `pool` logs in as `upwrite_service`.
    ///
    /// # Errors
    /// `Tls` if the certificate or key is not usable, `Ended` if the listener fails.
    pub async fn serve(
        self,
        pool: PgPool,
        log: Arc<dyn EventLog>,
        operations: Arc<dyn Operations>,
        shutdown: CancellationToken,
    ) -> Result<(), ControlError> {
        let mut builder = tonic::transport::Server::builder()
            .http2_keepalive_interval(Some(KEEPALIVE))
            .http2_keepalive_timeout(Some(KEEPALIVE_PATIENCE))
            .max_concurrent_streams(STREAMS_PER_CONNECTION);
        if let Some(tls) = &self.config.tls {
            let identity = Identity::from_pem(&tls.certificate, &tls.key);
            builder = builder.tls_config(ServerTlsConfig::new().identity(identity)).map_err(ControlError::Tls)?;
        }
        let service = Service {
            watches: Watches::new(pool.clone(), shutdown.clone()),
            operations: OneAtATime::new(operations, shutdown.clone()),
            pool,
            log,
            version: self.config.version.clone(),
        };
        let guard = Guard(self.config.token.clone());
        let control = ControlServer::new(service).max_decoding_message_size(REQUEST_MAX_BYTES);
        let reflection = tonic_reflection::server::Builder::configure()
            .register_encoded_file_descriptor_set(DESCRIPTORS)
            .build_v1()
            .expect("the descriptors were made by the build of this very crate");
        // Probes have no token, and health says nothing else.
        let (reporter, health) = tonic_health::server::health_reporter();
        reporter.set_serving::<ControlServer<Service>>().await;
        let router = builder
            .add_service(InterceptedService::new(control, guard.clone()))
            .add_service(InterceptedService::new(reflection, guard))
            .add_service(health);
        let incoming = TcpIncoming::from(self.listener).with_nodelay(Some(true));
        let served = router.serve_with_incoming_shutdown(incoming, shutdown.clone().cancelled_owned());
        tokio::select! {
            ended = served => ended.map_err(ControlError::Ended),
            // A connection that stays open must not keep the process.
            () = async { shutdown.cancelled().await; tokio::time::sleep(GRACE).await } => Ok(()),
        }
    }
}

/// Binds and serves.
///
/// # Errors
/// As [`Server::bind`] and [`Server::serve`].
pub async fn serve(
    config: Config,
    pool: PgPool,
    log: Arc<dyn EventLog>,
    operations: Arc<dyn Operations>,
    shutdown: CancellationToken,
) -> Result<(), ControlError> {
    let server = Server::bind(config).await?;
    tracing::info!(listen = %server.config.listen, tls = server.config.tls.is_some(), "control API");
    server.serve(pool, log, operations, shutdown).await
}
