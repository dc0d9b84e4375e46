//! The server's verifier of a user's password: `SCRAM-SHA-256$<iterations>:<salt>$<StoredKey>:<ServerKey>`.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::keys::{Key, hmac};

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Verifier {
    pub(super) iterations: u32,
    pub(super) salt: Vec<u8>,
    pub(super) stored: Key,
    pub(super) server: Key,
}

impl Verifier {
    /// `None` for md5 and anything else.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let (parameters, keys) = text.strip_prefix("SCRAM-SHA-256$")?.split_once('$')?;
        let (iterations, salt) = parameters.split_once(':')?;
        let (stored, server) = keys.split_once(':')?;
        Some(Self {
            iterations: iterations.parse().ok().filter(|count| *count > 0)?,
            salt: STANDARD.decode(salt).ok()?,
            stored: STANDARD.decode(stored).ok()?.try_into().ok()?,
            server: STANDARD.decode(server).ok()?.try_into().ok()?,
        })
    }

    /// For users that do not exist or have no SCRAM password: the same salt each time, and no password that fits.
    /// `secret` is this process's own.
    pub(crate) fn mock(secret: &[u8; 32], user: &str) -> Self {
        let derive = |purpose: &str| hmac(secret, format!("{purpose}:{user}").as_bytes());
        Self {
            iterations: 4096,
            salt: derive("salt")[..16].to_vec(),
            stored: derive("stored"),
            server: derive("server"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_scram_is_a_verifier() {
        let key = STANDARD.encode([7; 32]);
        let text = format!("SCRAM-SHA-256$4096:{}$ {key}:{key}", STANDARD.encode([1; 16]));
        assert_eq!(Verifier::parse(&text), None);
        let verifier = Verifier::parse(&text.replace(' ', "")).unwrap();
        assert_eq!((verifier.iterations, verifier.salt.len(), verifier.server), (4096, 16, [7; 32]));
        assert_eq!(Verifier::parse("md5a6343a68d964ca596d9752250d54bb8a"), None);
    }

    #[test]
    fn a_mock_is_stable_per_user() {
        assert_eq!(Verifier::mock(&[1; 32], "ann"), Verifier::mock(&[1; 32], "ann"));
        assert_ne!(Verifier::mock(&[1; 32], "ann").salt, Verifier::mock(&[1; 32], "bob").salt);
    }
}
