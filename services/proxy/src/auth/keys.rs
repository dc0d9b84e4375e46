//! SCRAM's key arithmetic.

use hmac::{Hmac, Mac as _};
use sha2::{Digest as _, Sha256};

pub(super) type Key = [u8; 32];

/// What proves to the server that the proxy may log in as the user.
pub(crate) enum Secret {
    Keys(Keys),
    /// In clear text, with `auth = password`.
    Password(Vec<u8>),
}

/// Enough for both sides of an exchange, and all that a proof gives away.
pub(crate) struct Keys {
    pub(super) client: Key,
    pub(super) stored: Key,
    pub(super) server: Key,
}

impl Keys {
    /// As RFC 5802 derives them from a password.
    pub(super) fn derive(password: &[u8], salt: &[u8], iterations: u32) -> Self {
        // A password that is not UTF-8, or that SASLprep refuses, is used as it is: so does PostgreSQL.
        let prepared = std::str::from_utf8(password).ok().and_then(|text| stringprep::saslprep(text).ok());
        let password = prepared.as_ref().map_or(password, |text| text.as_bytes());
        let mut salted = Key::default();
        pbkdf2::pbkdf2_hmac::<Sha256>(password, salt, iterations, &mut salted);
        let client = hmac(&salted, b"Client Key");
        Self { client, stored: hash(&client), server: hmac(&salted, b"Server Key") }
    }
}

pub(super) fn hmac(key: &[u8], message: &[u8]) -> Key {
    let mut mac = Hmac::<Sha256>::new_from_slice(key).expect("HMAC takes keys of any length");
    mac.update(message);
    mac.finalize().into_bytes().into()
}

pub(super) fn hash(key: &Key) -> Key {
    Sha256::digest(key).into()
}

pub(super) fn xor(left: &Key, right: &Key) -> Key {
    std::array::from_fn(|index| left[index] ^ right[index])
}
