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

use crate::admission::Admission;
use crate::auth::{Binding, Verifier, authenticate};
use crate::backend::{self, Backend, away};
use crate::config::AuthMode;
use crate::error::PgError;
use crate::measure::{self, Presence};
use crate::session::{Environment, OwnStatements, ServerLeg, Session};
use crate::startup::{LoginError, Opening, SessionRequest, Startup, open};
use crate::wire::{Peer, Side, encode};

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

pub(crate) async fn serve(stream: TcpStream, peer: SocketAddr, admission: &Arc<Admission>) {
    let permit = admission.connections.clone().try_acquire_owned().ok();
    let refusal = match &permit {
        Some(_) => None,
        None => match admission.refusals.clone().try_acquire_owned() {
            Ok(refusal) => Some(refusal),
            Err(_) => return,
        },
    };
    let full = permit.is_none();
    let login = tokio::time::timeout(admission.config.limits.login_timeout, login(stream, admission, full));
    match login.await {
        Err(_) => tracing::debug!(%peer, "login took too long"),
        Ok(None) => {}
        Ok(Some(session)) => {
            let _present = Presence::connection();
            session.run().await;
        }
    }
    drop((permit, refusal));
}

async fn login(stream: TcpStream, admission: &Arc<Admission>, full: bool) -> Option<Box<Session>> {
    let opened = match open(stream, &admission.acceptor).await {
        Ok(Opening::Nothing) => return None,
        Ok(Opening::Cancel { pid, key }) => {
            admission.cancel_keys.cancel(pid, &key).await;
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
    let SessionRequest { socket, early, startup } = opened;
    let encrypted = socket.is_tls();
    let mut client = Side::new(socket, Peer::Client, early);
    match establish(&mut client, &startup, admission, encrypted, full).await {
        Ok(login) => {
            measure::login(true);
            Some(Box::new(begin(client, startup, admission, login)))
        }
        Err(error) => {
            measure::login(false);
            farewell(client, error).await;
            None
        }
    }
}

/// A login that succeeded; the client does not know yet.
struct Login {
    environment: Arc<Environment>,
    backend: Backend,
    own: OwnStatements,
}

async fn establish(
    client: &mut Side,
    startup: &Startup,
    admission: &Admission,
    encrypted: bool,
    full: bool,
) -> Result<Login, LoginError> {
    if full {
        return Err(PgError::fatal("53300", "sorry, too many clients already").into());
    }
    check(startup, admission, encrypted)?;
    if startup.must_negotiate() {
        let newest = (3 << 16) | startup.minor_spoken().cast_signed();
        encode(&NegotiateProtocolVersion::new(newest, startup.options.clone()), &mut client.out);
    }
    let environment = admission.environment.get().cloned().ok_or_else(away)?;
    let user = lookup(startup, admission).await?;
    let verifier = user.verifier.as_deref().and_then(Verifier::parse);
    if user.verifier.is_some() && verifier.is_none() {
        tracing::warn!(
            user = startup.user,
            "the user's password is not stored as SCRAM-SHA-256: no login through the proxy"
        );
    }
    let verifier = verifier.unwrap_or_else(|| Verifier::mock(&admission.mock_secret, &startup.user));
    let binding = Binding { encrypted, end_point: admission.acceptor.end_point.as_deref().filter(|_| encrypted) };
    let secret = authenticate(client, admission.config.auth, &startup.user, verifier, &binding).await?;
    let settings = settings(startup, &user.configured, environment.database == startup.database);
    let backend = backend::login(&admission.connector, startup, &settings, &secret).await?;
    let own = OwnStatements::new();
    if environment.database == startup.database {
        register(&admission.control, backend.pid, &own).await?;
    }
    Ok(Login { environment, backend, own })
}

/// The hash of the session's secret goes to the database by another connection. At login, not at the first dry run: a
/// snapshot that is taken before would not show it.
async fn register(control: &PgPool, pid: u32, own: &OwnStatements) -> Result<(), LoginError> {
    let registered = sqlx::query("/* proxy.register */ select upwrite.register($1, $2)")
        .bind(pid.cast_signed())
        .bind(own.secret_hash().as_slice())
        .execute(control)
        .await;
    registered.map(|_| ()).map_err(|error| {
        tracing::warn!(%error, "a session could not be registered for capture");
        away().into()
    })
}

fn check(startup: &Startup, admission: &Admission, encrypted: bool) -> Result<(), PgError> {
    if admission.config.tls.required && !encrypted {
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

/// What the control connection says of a user.
struct UserRecord {
    verifier: Option<String>,
    /// `upwrite.*` settings that ALTER ROLE or ALTER DATABASE has set.
    configured: Vec<String>,
}

async fn lookup(startup: &Startup, admission: &Admission) -> Result<UserRecord, LoginError> {
    if admission.config.auth == AuthMode::Password {
        return Ok(UserRecord { verifier: None, configured: Vec::new() });
    }
    let found: Result<(Option<String>, Vec<String>), _> = sqlx::query_as(
        "/* proxy.lookup */ select upwrite.auth($1), \
         array(select lower(split_part(setting, '=', 1)) \
         from pg_catalog.pg_db_role_setting s, unnest(s.setconfig) as setting \
         where s.setrole in (0, (select oid from pg_catalog.pg_roles where rolname = $1)) \
         and s.setdatabase in (0, (select oid from pg_catalog.pg_database where datname = $2)) \
         and setting ilike 'upwrite.%')",
    )
    .bind(&startup.user)
    .bind(&startup.database)
    .fetch_one(&admission.control)
    .await;
    match found {
        Ok((verifier, configured)) => Ok(UserRecord { verifier, configured }),
        Err(error) => {
            tracing::warn!(%error, "a login could not be looked up");
            Err(away().into())
        }
    }
}

/// The defaults of settings that are not set otherwise.
fn settings(startup: &Startup, configured: &[String], has_synced_tables: bool) -> Vec<(&'static str, &'static str)> {
    let options = String::from_utf8_lossy(startup.parameter("options").unwrap_or_default()).to_ascii_lowercase();
    let free = |(name, _): &(&str, &str)| {
        startup.parameter(name).is_none() && !options.contains(name) && !configured.iter().any(|other| other == name)
    };
    SETTINGS.into_iter().filter(free).filter(|_| has_synced_tables).collect()
}

/// Says to the client that it may begin.
fn begin(mut client: Side, startup: Startup, admission: &Admission, login: Login) -> Session {
    let Login { environment, backend, own } = login;
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
    let slot = admission.cancel_keys.register(backend.pid, secret, backend.key);
    let server = Box::new(ServerLeg::new(backend.side, own, slot));
    Session::new(client, startup, server, environment)
}

async fn farewell(mut client: Side, error: LoginError) {
    match error {
        LoginError::Refused(error) => client.send(&error.frame()),
        LoginError::Forward(frame) => client.send(&frame),
        LoginError::Gone => return,
    }
    let _ = tokio::time::timeout(FAREWELL, client.finish()).await;
}
