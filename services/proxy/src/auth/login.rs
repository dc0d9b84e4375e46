//! The client's side of the login, on its socket.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use pgwire::messages::startup::Authentication;
use rand::Rng as _;

use super::exchange::ServerExchange;
use super::{Secret, Verifier};
use crate::config::AuthMode;
use crate::error::PgError;
use crate::startup::LoginError;
use crate::wire::{Body, Frame, Side, encode};

const PLUS: &str = "SCRAM-SHA-256-PLUS";
const PLAIN: &str = "SCRAM-SHA-256";

/// What of the connection's encryption the login may bind to.
pub(crate) struct Binding<'a> {
    pub(crate) encrypted: bool,
    /// Hash of the proxy's certificate, if the connection is encrypted and there is one.
    pub(crate) end_point: Option<&'a [u8]>,
}

/// Returns what the proxy needs to log in as the user. `verifier`: see [`Verifier::mock`] for unknown users.
pub(crate) async fn authenticate(
    client: &mut Side,
    mode: AuthMode,
    user: &str,
    verifier: Verifier,
    binding: &Binding<'_>,
) -> Result<Secret, LoginError> {
    match mode {
        AuthMode::Scram => scram(client, user, verifier, binding).await,
        AuthMode::Password => password(client, binding).await,
    }
}

async fn password(client: &mut Side, binding: &Binding<'_>) -> Result<Secret, LoginError> {
    if !binding.encrypted {
        let error = PgError::fatal("28000", "a password is not accepted over an unencrypted connection");
        return Err(error.with_hint("Connect with sslmode=require or stronger.").into());
    }
    encode(&Authentication::CleartextPassword, &mut client.out);
    let answer = response(client).await?;
    let mut body = Body(answer.body());
    Ok(Secret::Password(body.cstring()?.to_vec()))
}

async fn scram(client: &mut Side, user: &str, verifier: Verifier, binding: &Binding<'_>) -> Result<Secret, LoginError> {
    let mut mechanisms = vec![PLAIN.to_owned()];
    if binding.end_point.is_some() {
        mechanisms.insert(0, PLUS.to_owned());
    }
    encode(&Authentication::SASL(mechanisms), &mut client.out);

    let initial = response(client).await?;
    let mut body = Body(initial.body());
    let mechanism = body.cstring()?;
    let message = body.value()?.ok_or(crate::wire::Malformed)?;
    let end_point = match (mechanism, binding.end_point) {
        (name, Some(end_point)) if name == PLUS.as_bytes() => Some(end_point),
        (name, _) if name == PLAIN.as_bytes() => None,
        _ => {
            return Err(PgError::fatal("08P01", "client selected an invalid SASL authentication mechanism").into());
        }
    };
    let nonce = STANDARD.encode(rand::rng().random::<[u8; 18]>());
    let offered = binding.end_point.is_some();
    let exchange = ServerExchange::start(verifier, message, end_point, offered, &nonce)
        .ok_or_else(|| PgError::fatal("08P01", "malformed SCRAM message"))?;
    let first = Bytes::copy_from_slice(exchange.server_first().as_bytes());
    encode(&Authentication::SASLContinue(first), &mut client.out);

    let last = response(client).await?;
    let (done, keys) = exchange.finish(last.body()).ok_or_else(|| failed(user))?;
    encode(&Authentication::SASLFinal(Bytes::from(done)), &mut client.out);
    Ok(Secret::Keys(keys))
}

/// The same words, whatever was wrong.
fn failed(user: &str) -> PgError {
    PgError::fatal("28P01", format!("password authentication failed for user \"{user}\""))
}

async fn response(client: &mut Side) -> Result<Frame, LoginError> {
    match client.next().await? {
        Some(frame) if frame.tag == b'p' => Ok(frame),
        Some(frame) if frame.tag == b'X' => Err(LoginError::Gone),
        Some(frame) => {
            let message = format!("expected SASL response, got message type {}", frame.tag);
            Err(PgError::fatal("08P01", message).into())
        }
        None => Err(LoginError::Gone),
    }
}
