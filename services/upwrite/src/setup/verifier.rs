//! SCRAM-SHA-256 verifiers, so that setup never sends a password: statements end up in server logs.
//! (RFC 5803, RFC 7677; the text form is PostgreSQL's, `pg_authid.rolpassword`.)

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, Mac as _};
use sha2::{Digest as _, Sha256};

/// PostgreSQL's own default.
const ITERATIONS: u32 = 4096;

/// A fresh verifier of `password`.
pub(super) fn verifier(password: &str, salt: [u8; 16]) -> String {
    let (stored, server) = keys(password, &salt, ITERATIONS);
    format!(
        "SCRAM-SHA-256${ITERATIONS}:{}${}:{}",
        STANDARD.encode(salt),
        STANDARD.encode(stored),
        STANDARD.encode(server)
    )
}

/// Whether `verifier` is one of `password`. Anything that is no verifier is not.
pub(super) fn matches(verifier: &str, password: &str) -> bool {
    let parse = || {
        let (iterations, rest) = verifier.strip_prefix("SCRAM-SHA-256$")?.split_once(':')?;
        let (salt, rest) = rest.split_once('$')?;
        let (stored, server) = rest.split_once(':')?;
        let decode = |text: &str| STANDARD.decode(text).ok();
        Some((iterations.parse::<u32>().ok()?, decode(salt)?, decode(stored)?, decode(server)?))
    };
    parse().is_some_and(|(iterations, salt, stored, server)| {
        let (wanted_stored, wanted_server) = keys(password, &salt, iterations);
        stored == wanted_stored && server == wanted_server
    })
}

/// StoredKey and ServerKey.
fn keys(password: &str, salt: &[u8], iterations: u32) -> ([u8; 32], [u8; 32]) {
    // As PostgreSQL: what SASLprep refuses is taken as it is.
    let prepared = stringprep::saslprep(password).unwrap_or(password.into());
    let mut salted = [0; 32];
    pbkdf2::pbkdf2_hmac::<Sha256>(prepared.as_bytes(), salt, iterations.max(1), &mut salted);
    let stored = Sha256::digest(mac(&salted, b"Client Key"));
    (stored.into(), mac(&salted, b"Server Key"))
}

fn mac(key: &[u8], message: &[u8]) -> [u8; 32] {
    let mut mac = Hmac::<Sha256>::new_from_slice(key).expect("HMAC takes keys of any length");
    mac.update(message);
    mac.finalize().into_bytes().into()
}

#[cfg(test)]
mod tests {
    use super::{matches, verifier};

    /// What PostgreSQL 15 stored for `CREATE ROLE … PASSWORD 'pencil'` once.
    #[test]
    fn is_what_postgres_stores() {
        let stored = "SCRAM-SHA-256$4096:8XcV7FTtuTVk5EHujKAoCg==$4h2v6VQsWVNMj7zqiafbIknkcAdMoCZ6PxCEIkjWVGk=:Gvq68Sa8XIFBR3Dcm0CpZCTp6zPHZJ62Fa4PhdJQk00=";
        assert!(matches(stored, "pencil"));
        assert!(!matches(stored, "Pencil"));
    }

    #[test]
    fn matches_itself_and_nothing_else() {
        let made = verifier("geheim-é", [7; 16]);
        assert!(matches(&made, "geheim-é"));
        assert!(!matches(&made, "geheim-e"));
        assert!(!matches("md5f00", "geheim-é"));
        assert!(!matches("SCRAM-SHA-256$0:$:", "geheim-é"));
    }
}
