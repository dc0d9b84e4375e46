//! The two sides of a SCRAM-SHA-256 exchange, without I/O. `None` means: refuse, whatever the reason.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use subtle::ConstantTimeEq as _;

use super::keys::{Key, Keys, Secret, hash, hmac, xor};
use super::verifier::Verifier;

/// More than any server asks; a limit on the work that a server could make the proxy do.
const ITERATIONS_MAX: u32 = 1_000_000;

/// The proxy as server.
pub(super) struct ServerExchange {
    verifier: Verifier,
    /// What `c=` must repeat: the client's GS2 header and, with -PLUS, the certificate's hash.
    binding: Vec<u8>,
    nonce: String,
    first: String,
    client_first: String,
}

impl ServerExchange {
    /// From the client's first message. `end_point`: the hash to bind to if the client chose -PLUS. `plus_offered`: a
    /// client that says it supports binding but was not offered it has an attacker in the middle.
    pub(super) fn start(
        verifier: Verifier,
        message: &[u8],
        end_point: Option<&[u8]>,
        plus_offered: bool,
        server_nonce: &str,
    ) -> Option<Self> {
        let message = std::str::from_utf8(message).ok()?;
        let (flag, rest) = message.split_once(',')?;
        let (authzid, bare) = rest.split_once(',')?;
        let fits = match (flag, end_point) {
            ("p=tls-server-end-point", Some(_)) | ("n", None) => true,
            ("y", None) => !plus_offered,
            _ => false,
        };
        if !fits || !authzid.is_empty() {
            return None;
        }
        let mut attributes = bare.split(',');
        // The name in the exchange is ignored: the startup message has it.
        attributes.next()?.strip_prefix("n=")?;
        let client_nonce = attributes.next()?.strip_prefix("r=").filter(|nonce| !nonce.is_empty())?;
        let mut binding = format!("{flag},,").into_bytes();
        binding.extend_from_slice(end_point.unwrap_or_default());
        let nonce = format!("{client_nonce}{server_nonce}");
        let first = format!("r={nonce},s={},i={}", STANDARD.encode(&verifier.salt), verifier.iterations);
        Some(Self { verifier, binding, nonce, first, client_first: bare.to_owned() })
    }

    pub(super) fn server_first(&self) -> &str {
        &self.first
    }

    /// From the client's final message to the server's final message and the keys.
    pub(super) fn finish(self, message: &[u8]) -> Option<(String, Keys)> {
        let message = std::str::from_utf8(message).ok()?;
        let (without_proof, proof) = message.rsplit_once(",p=")?;
        let mut attributes = without_proof.split(',');
        let binding = STANDARD.decode(attributes.next()?.strip_prefix("c=")?).ok()?;
        let nonce = attributes.next()?.strip_prefix("r=")?;
        if binding != self.binding || nonce != self.nonce {
            return None;
        }
        let proof: Key = STANDARD.decode(proof).ok()?.try_into().ok()?;
        let transcript = format!("{},{},{without_proof}", self.client_first, self.first);
        let client = xor(&proof, &hmac(&self.verifier.stored, transcript.as_bytes()));
        if !bool::from(hash(&client).ct_eq(&self.verifier.stored)) {
            return None;
        }
        let signature = hmac(&self.verifier.server, transcript.as_bytes());
        let keys = Keys { client, stored: self.verifier.stored, server: self.verifier.server };
        Some((format!("v={}", STANDARD.encode(signature)), keys))
    }
}

/// The proxy as client.
pub(crate) struct ClientExchange {
    nonce: String,
}

/// Awaits the server's proof that it knows the user, too.
pub(crate) struct ServerProof {
    expected: String,
}

impl ClientExchange {
    pub(crate) fn new(nonce: String) -> Self {
        Self { nonce }
    }

    pub(crate) fn client_first(&self) -> String {
        format!("n,,{}", self.bare())
    }

    fn bare(&self) -> String {
        format!("n=,r={}", self.nonce)
    }

    pub(crate) fn answer(self, server_first: &[u8], secret: &Secret) -> Option<(String, ServerProof)> {
        let server_first = std::str::from_utf8(server_first).ok()?;
        let mut attributes = server_first.split(',');
        let nonce = attributes.next()?.strip_prefix("r=")?;
        let salt = STANDARD.decode(attributes.next()?.strip_prefix("s=")?).ok()?;
        let iterations: u32 = attributes.next()?.strip_prefix("i=")?.parse().ok()?;
        if !nonce.starts_with(&self.nonce) || !(1..=ITERATIONS_MAX).contains(&iterations) {
            return None;
        }
        let derived;
        let keys = match secret {
            Secret::Keys(keys) => keys,
            Secret::Password(password) => {
                derived = Keys::derive(password, &salt, iterations);
                &derived
            }
        };
        let without_proof = format!("c=biws,r={nonce}");
        let transcript = format!("{},{server_first},{without_proof}", self.bare());
        let proof = xor(&keys.client, &hmac(&keys.stored, transcript.as_bytes()));
        let expected = format!("v={}", STANDARD.encode(hmac(&keys.server, transcript.as_bytes())));
        Some((format!("{without_proof},p={}", STANDARD.encode(proof)), ServerProof { expected }))
    }
}

impl ServerProof {
    pub(crate) fn holds(&self, server_final: &[u8]) -> bool {
        self.expected.as_bytes().ct_eq(server_final).into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn verifier(password: &str) -> Verifier {
        let keys = Keys::derive(password.as_bytes(), b"salt", 4096);
        Verifier { iterations: 4096, salt: b"salt".to_vec(), stored: keys.stored, server: keys.server }
    }

    fn login(password: &str) -> Option<Keys> {
        let client = ClientExchange::new("abc".to_owned());
        let first = client.client_first();
        let server = ServerExchange::start(verifier("secret"), first.as_bytes(), None, false, "xyz")?;
        let secret = Secret::Password(password.as_bytes().to_vec());
        let (answer, proof) = client.answer(server.server_first().as_bytes(), &secret)?;
        let (done, keys) = server.finish(answer.as_bytes())?;
        proof.holds(done.as_bytes()).then_some(keys)
    }

    #[test]
    fn both_sides_agree_on_the_right_password_only() {
        assert!(login("secret").is_some());
        assert!(login("Secret").is_none());
    }

    #[test]
    fn keys_from_one_exchange_serve_for_another() {
        let keys = login("secret").unwrap();
        let client = ClientExchange::new("def".to_owned());
        let first = client.client_first();
        let server = ServerExchange::start(verifier("secret"), first.as_bytes(), None, false, "uvw").unwrap();
        let (answer, proof) = client.answer(server.server_first().as_bytes(), &Secret::Keys(keys)).unwrap();
        let (done, _) = server.finish(answer.as_bytes()).unwrap();
        assert!(proof.holds(done.as_bytes()));
    }

    #[test]
    fn a_downgrade_is_noticed() {
        let start = |message: &[u8], end_point, offered| {
            ServerExchange::start(verifier("secret"), message, end_point, offered, "xyz").is_some()
        };
        assert!(!start(b"y,,n=,r=abc", None, true));
        assert!(start(b"y,,n=,r=abc", None, false));
        assert!(!start(b"n,,n=,r=abc", Some(b"hash"), true));
        assert!(start(b"p=tls-server-end-point,,n=,r=abc", Some(b"hash"), true));
        assert!(!start(b"p=tls-unique,,n=,r=abc", Some(b"hash"), true));
        assert!(!start(b"n,,m=x,n=,r=abc", None, false));
    }
}
