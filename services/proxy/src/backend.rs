//! Logging in to PostgreSQL as the client's user.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::{BufMut as _, Bytes, BytesMut};
use pgwire::messages::startup::{Password, SASLInitialResponse, SASLResponse};
use rand::Rng as _;

use crate::auth::{ClientExchange, Secret};
use crate::error::PgError;
use crate::startup::{LoginError, Startup};
use crate::tls::Connector;
use crate::wire::{Body, Frame, Peer, Side, encode};

/// Protocol 3.0.
const VERSION: u32 = 3 << 16;

/// A connection to PostgreSQL that waits for its first query.
pub(crate) struct Backend {
    pub(crate) side: Side,
    /// ParameterStatus and notices, in their order.
    pub(crate) greeting: Vec<Frame>,
    pub(crate) pid: u32,
    /// For CancelRequest.
    pub(crate) key: Bytes,
}

/// Connects and logs in. `settings` go with the client's own startup parameters.
pub(crate) async fn login(
    connector: &Connector,
    startup: &Startup,
    settings: &[(&str, &str)],
    secret: &Secret,
) -> Result<Backend, LoginError> {
    let socket = connector.connect().await.map_err(|error| {
        tracing::warn!(%error, "PostgreSQL cannot be reached");
        away()
    })?;
    let mut side = Side::new(socket, Peer::Server, BytesMut::new());
    side.send(&startup_message(startup, settings));
    authenticate(&mut side, secret).await?;
    greeted(side).await
}

/// 57P03, as a server says it that is starting up.
pub(crate) fn away() -> PgError {
    PgError::fatal("57P03", "the database system is not available").with_hint("Try again later.")
}

fn startup_message(startup: &Startup, settings: &[(&str, &str)]) -> BytesMut {
    let mut body = BytesMut::new();
    body.put_u32(VERSION);
    let mut put = |name: &[u8], value: &[u8]| {
        for text in [name, value] {
            body.extend_from_slice(text);
            body.put_u8(0);
        }
    };
    put(b"user", startup.user.as_bytes());
    put(b"database", startup.database.as_bytes());
    startup.parameters.iter().for_each(|(name, value)| put(name, value));
    settings.iter().for_each(|(name, value)| put(name.as_bytes(), value.as_bytes()));
    body.put_u8(0);
    let mut message = BytesMut::with_capacity(body.len() + 4);
    message.put_u32(u32::try_from(body.len() + 4).expect("a startup packet of 10,000 bytes and a few settings"));
    message.extend_from_slice(&body);
    message
}

async fn authenticate(side: &mut Side, secret: &Secret) -> Result<(), LoginError> {
    let mut asked = false;
    loop {
        let frame = next(side).await?;
        let mut body = Body(frame.body());
        match (frame.tag, secret) {
            (b'E', _) => return Err(LoginError::Forward(frame.raw)),
            (b'R', _) => match (body.u32()?, secret) {
                (0, Secret::Keys(_)) => return Ok(()),
                (0, Secret::Password(_)) if asked => return Ok(()),
                // Nobody has checked the password.
                (0, Secret::Password(_)) => return Err(refused("it did not ask for the password")),
                (3, Secret::Password(password)) => {
                    asked = true;
                    let password = String::from_utf8_lossy(password).into_owned();
                    encode(&Password::new(password), &mut side.out);
                }
                (10, _) => {
                    scram(side, secret).await?;
                    asked = true;
                }
                (code, _) => return Err(refused(&format!("it asks for authentication method {code}"))),
            },
            (b'N' | b'v', _) => {}
            (tag, _) => return Err(refused(&format!("it sent message type {tag} during authentication"))),
        }
    }
}

async fn scram(side: &mut Side, secret: &Secret) -> Result<(), LoginError> {
    let exchange = ClientExchange::new(STANDARD.encode(rand::rng().random::<[u8; 18]>()));
    let first = Bytes::from(exchange.client_first());
    encode(&SASLInitialResponse::new("SCRAM-SHA-256".to_owned(), Some(first)), &mut side.out);
    let challenge = sasl(side, 11).await?;
    let (answer, proof) =
        exchange.answer(&challenge, secret).ok_or_else(|| refused("its SCRAM challenge cannot be answered"))?;
    encode(&SASLResponse::new(Bytes::from(answer)), &mut side.out);
    let done = sasl(side, 12).await?;
    // A server that cannot prove that it knows the user is not the server.
    if proof.holds(&done) { Ok(()) } else { Err(refused("it could not prove who it is")) }
}

async fn sasl(side: &mut Side, code: u32) -> Result<Bytes, LoginError> {
    let frame = next(side).await?;
    if frame.tag == b'E' {
        return Err(LoginError::Forward(frame.raw));
    }
    let mut body = Body(frame.body());
    if frame.tag != b'R' || body.u32()? != code {
        return Err(refused("its SCRAM exchange is not one"));
    }
    Ok(frame.raw.slice_ref(body.0))
}

async fn greeted(mut side: Side) -> Result<Backend, LoginError> {
    let mut greeting = Vec::new();
    let (mut pid, mut key) = (0, Bytes::new());
    loop {
        let frame = next(&mut side).await?;
        match frame.tag {
            b'E' => return Err(LoginError::Forward(frame.raw)),
            b'K' => {
                let mut body = Body(frame.body());
                pid = body.u32()?;
                key = frame.raw.slice_ref(body.0);
            }
            b'Z' => return Ok(Backend { side, greeting, pid, key }),
            _ => greeting.push(frame),
        }
    }
}

async fn next(side: &mut Side) -> Result<Frame, LoginError> {
    match side.next().await {
        Ok(Some(frame)) => Ok(frame),
        Ok(None) => Err(away().into()),
        Err(error) => {
            tracing::warn!(%error, "PostgreSQL was lost during login");
            Err(away().into())
        }
    }
}

fn refused(why: &str) -> LoginError {
    tracing::error!("cannot log in to PostgreSQL on behalf of a client: {why}");
    PgError::fatal("28000", "the proxy could not log in to the server on your behalf").into()
}
