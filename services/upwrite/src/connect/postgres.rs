//! Configuration → how Postgres is reached, in each role.

use std::time::Duration;

use anyhow::Context as _;
use sqlx::postgres::{PgConnectOptions, PgPoolOptions, PgSslMode};
use sqlx::{Connection as _, PgPool};
use upwrite_proxy::ServerTls;

use crate::config::Postgres;

/// How long a stage waits for a connection before it takes Postgres as away.
const ACQUIRE_TIMEOUT: Duration = Duration::from_secs(3);

/// A connection that was idle for longer is asked whether it lives before it is used.
const ASKED_AFTER: Duration = Duration::from_millis(500);

fn options(postgres: &Postgres, user: &str, password: &str) -> PgConnectOptions {
    let ssl_mode = match postgres.tls {
        ServerTls::Disable => PgSslMode::Disable,
        ServerTls::Require => PgSslMode::Require,
        ServerTls::VerifyFull => PgSslMode::VerifyFull,
    };
    let options = PgConnectOptions::new_without_pgpass()
        .host(&postgres.host)
        .port(postgres.port)
        .database(&postgres.database)
        .username(user)
        .password(password)
        .ssl_mode(ssl_mode);
    match &postgres.root_certificates {
        Some(path) => options.ssl_root_cert(path),
        None => options,
    }
}

/// As `upwrite_service`; connects when first used, so that Postgres may be away at start.
pub(crate) fn service_pool(postgres: &Postgres, name: &str, connections: u32) -> PgPool {
    let options = options(postgres, "upwrite_service", postgres.service_password.expose())
        .application_name(name)
        // Few statements, short and often: planned once.
        .options([("plan_cache_mode", "force_generic_plan"), ("jit", "off")]);
    PgPoolOptions::new()
        .max_connections(connections)
        .acquire_timeout(ACQUIRE_TIMEOUT)
        // A connection that was at work just now need not be asked whether it lives: held clients wait for the answer.
        .test_before_acquire(false)
        .before_acquire(|connection, idle| {
            Box::pin(async move {
                if idle.idle_for > ASKED_AFTER {
                    connection.ping().await?;
                }
                Ok(true)
            })
        })
        .connect_lazy_with(options)
}

/// As `upwrite_reconciler`.
pub(crate) fn reconciler_options(postgres: &Postgres) -> PgConnectOptions {
    options(postgres, "upwrite_reconciler", postgres.reconciler_password.expose())
}

/// As the superuser of `setup`.
pub(crate) fn superuser_options(postgres: &Postgres) -> anyhow::Result<PgConnectOptions> {
    let password = postgres
        .setup_password
        .as_ref()
        .context("postgres.setup_password is missing: `upwrite setup` logs in as a superuser")?;
    Ok(options(postgres, &postgres.setup_user, password.expose()).application_name("upwrite setup"))
}
