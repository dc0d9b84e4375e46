//! One accepted connection: opening, login, session.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use pgwire::messages::response::{ReadyForQuery, TransactionStatus};
use pgwire::messages::startup::{Authentication, BackendKeyData, NegotiateProtocolVersion, SecretKey};
use rand::Rng as _;
use sqlx::PgPool;
use tokio::net::TcpStream;

use crate::auth::{Binding, Verifier, authenticate};
use crate::backend::{self, Backend, away};
use crate::config::AuthMode;
use crate::error::PgError;
use crate::measure::{self, Present};
use crate::proxy::Doors;
use crate::session::{OwnStatements, Session, Shared};
use crate::startup::{LoginError, Opened, Opening, Startup, open};
use crate::wire::{Link, Peer, Side, encode};

/// The settings of a session that clients may change, with their defaults, so that SHOW knows them.
const SETTINGS: [(&str, &str); 5] = [
    ("upwrite.apply", "statement"),
    ("upwrite.ack", "reconciled"),
    ("upwrite.hold_timeout", "25s"),
    ("upwrite.on_timeout", "revoke"),
    ("upwrite.on_rollback", "warn"),
];
/// For last words to a client that may not be reading.
const FAREWELL: Duration = Duration::from_secs(2);

pub(crate) async fn serve(stream: TcpStream, peer: SocketAddr, doors: &Arc<Doors>) {
    let permit = doors.connections.clone().try_acquire_owned().ok();
    let refusal = match &permit {
        Some(_) => None,
        None => match doors.refusals.clone().try_acquire_owned() {
            Ok(refusal) => Some(refusal),
            Err(_) => return,
        },
    };
    let full = permit.is_none();
    let login = tokio::time::timeout(doors.config.limits.login_timeout, login(stream, doors, full));
    match login.await {
        Err(_) => tracing::debug!(%peer, "login took too long"),
        Ok(None) => {}
        Ok(Some(session)) => {
            let _present = Present::connection();
            session.run().await;
        }
    }
    drop((permit, refusal));
}

async fn login(stream: TcpStream, doors: &Arc<Doors>, full: bool) -> Option<Box<Session>> {
    let opened = match open(stream, &doors.acceptor).await {
        Ok(Opening::Nothing) => return None,
        Ok(Opening::Cancel { pid, key }) => {
            doors.cancel_keys.cancel(pid, &key).await;
            return None;
        }
        Ok(Opening::Session(opened)) => opened,
        Err((socket, error)) => {
            if let Some(socket) = socket {
                farewell(Side::new(socket, Peer::Client, BytesMut::new()), error).await;
            }
            return None;
        }
    };
    let Opened { socket, early, startup } = opened;
    let encrypted = socket.is_tls();
    let mut client = Side::new(socket, Peer::Client, early);
    match establish(&mut client, &startup, doors, encrypted, full).await {
        Ok(established) => {
            measure::login(true);
            Some(Box::new(begin(client, &startup, doors, established)))
        }
        Err(error) => {
            measure::login(false);
            farewell(client, error).await;
            None
        }
    }
}

/// A login that succeeded, of which the client has not been told yet.
type Established = (Arc<Shared>, Backend, OwnStatements);

async fn establish(
    client: &mut Side,
    startup: &Startup,
    doors: &Doors,
    encrypted: bool,
    full: bool,
) -> Result<Established, LoginError> {
    if full {
        return Err(PgError::fatal("53300", "sorry, too many clients already").into());
    }
    check(startup, doors, encrypted)?;
    if startup.must_negotiate() {
        let newest = (3 << 16) | startup.minor_spoken().cast_signed();
        encode(&NegotiateProtocolVersion::new(newest, startup.options.clone()), &mut client.out);
    }
    let shared = doors.shared.get().cloned().ok_or_else(away)?;
    let known = lookup(startup, doors).await?;
    let verifier = known.verifier.as_deref().and_then(Verifier::parse);
    if known.verifier.is_some() && verifier.is_none() {
        tracing::warn!(
            user = startup.user,
            "the user's password is not stored as SCRAM-SHA-256: no login through the proxy"
        );
    }
    let verifier = verifier.unwrap_or_else(|| Verifier::mock(&doors.mock_secret, &startup.user));
    let binding = Binding { encrypted, end_point: doors.acceptor.end_point.as_deref().filter(|_| encrypted) };
    let secret = authenticate(client, doors.config.auth, &startup.user, verifier, &binding).await?;
    let settings = settings(startup, &known.configured, shared.database == startup.database);
    let backend = backend::login(&doors.connector, startup, &settings, &secret).await?;
    let own = OwnStatements::new();
    if shared.database == startup.database {
        register(&doors.control, backend.pid, &own).await?;
    }
    Ok((shared, backend, own))
}

/// The hash of the session's secret goes to the database by another connection. Now, not at the first capture: a snapshot
/// that is taken before does not show it.
async fn register(control: &PgPool, pid: u32, own: &OwnStatements) -> Result<(), LoginError> {
    let registered = sqlx::query("/* proxy.register */ SELECT upwrite.register($1, $2)")
        .bind(pid.cast_signed())
        .bind(own.secret_hash().as_slice())
        .execute(control)
        .await;
    registered.map(|_| ()).map_err(|error| {
        tracing::warn!(%error, "a session could not be registered for capture");
        away().into()
    })
}

fn check(startup: &Startup, doors: &Doors, encrypted: bool) -> Result<(), PgError> {
    if doors.config.tls.required && !encrypted {
        return Err(PgError::fatal("28000", "connections without encryption are not accepted")
            .with_hint("Connect with sslmode=require or stronger."));
    }
    let replication = startup.parameter("replication").map(<[u8]>::to_ascii_lowercase);
    let off = |value: &Vec<u8>| matches!(value.as_slice(), b"false" | b"off" | b"no" | b"0" | b"f" | b"n");
    if replication.is_some_and(|value| !off(&value)) {
        return Err(PgError::fatal("0A000", "replication connections do not go through Upwrite")
            .with_hint("Connect to PostgreSQL directly."));
    }
    if startup.user.starts_with("upwrite_") {
        return Err(PgError::fatal("28000", format!("role \"{}\" is Upwrite's own", startup.user))
            .with_hint("Log in as an application user."));
    }
    Ok(())
}

/// What the control connection knows of a user.
struct Known {
    verifier: Option<String>,
    /// `upwrite.*` settings that ALTER ROLE or ALTER DATABASE has set.
    configured: Vec<String>,
}

async fn lookup(startup: &Startup, doors: &Doors) -> Result<Known, LoginError> {
    if doors.config.auth == AuthMode::Password {
        return Ok(Known { verifier: None, configured: Vec::new() });
    }
    let found: Result<(Option<String>, Vec<String>), _> = sqlx::query_as(
        "/* proxy.lookup */ SELECT upwrite.auth($1), \
         array(SELECT lower(split_part(setting, '=', 1)) \
         FROM pg_catalog.pg_db_role_setting s, unnest(s.setconfig) AS setting \
         WHERE s.setrole IN (0, (SELECT oid FROM pg_catalog.pg_roles WHERE rolname = $1)) \
         AND s.setdatabase IN (0, (SELECT oid FROM pg_catalog.pg_database WHERE datname = $2)) \
         AND setting ILIKE 'upwrite.%')",
    )
    .bind(&startup.user)
    .bind(&startup.database)
    .fetch_one(&doors.control)
    .await;
    match found {
        Ok((verifier, configured)) => Ok(Known { verifier, configured }),
        Err(error) => {
            tracing::warn!(%error, "a login could not be looked up");
            Err(away().into())
        }
    }
}

/// The defaults that nobody has set otherwise.
fn settings(startup: &Startup, configured: &[String], captures: bool) -> Vec<(&'static str, &'static str)> {
    let options = String::from_utf8_lossy(startup.parameter("options").unwrap_or_default()).to_ascii_lowercase();
    let free = |(name, _): &(&str, &str)| {
        startup.parameter(name).is_none() && !options.contains(name) && !configured.iter().any(|other| other == name)
    };
    SETTINGS.into_iter().filter(free).filter(|_| captures).collect()
}

/// Says to the client that it may begin.
fn begin(mut client: Side, startup: &Startup, doors: &Doors, established: Established) -> Session {
    let (shared, backend, own) = established;
    client.trust();
    encode(&Authentication::Ok, &mut client.out);
    for frame in &backend.greeting {
        client.send(&frame.raw);
    }
    let mut secret = vec![0; if startup.minor_spoken() >= 2 { 32 } else { 4 }];
    rand::rng().fill(secret.as_mut_slice());
    let secret = Bytes::from(secret);
    let key = BackendKeyData::new(backend.pid.cast_signed(), SecretKey::Bytes(secret.clone()));
    encode(&key, &mut client.out);
    encode(&ReadyForQuery::new(TransactionStatus::Idle), &mut client.out);
    let slot = doors.cancel_keys.register(backend.pid, secret, backend.key);
    Session::new(Link { client, server: backend.side }, shared, slot, own, &startup.database)
}

async fn farewell(mut client: Side, error: LoginError) {
    match error {
        LoginError::Refused(error) => client.send(&error.frame()),
        LoginError::Forward(frame) => client.send(&frame),
        LoginError::Gone => return,
    }
    let _ = tokio::time::timeout(FAREWELL, client.finish()).await;
}
