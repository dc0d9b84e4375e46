//! The client's side of SCRAM-SHA-256, for raw connections.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, Mac as _};
use sha2::{Digest as _, Sha256};

use crate::raw::{Raw, message};

pub(crate) async fn login(raw: &mut Raw, password: &str) {
    let bare = "n=,r=rawclient";
    let (tag, body) = raw.message().await;
    assert_eq!((tag, body[3]), (b'R', 10), "SASL is asked for");
    let first = format!("n,,{bare}");
    let mut initial = b"SCRAM-SHA-256\0".to_vec();
    initial.extend((first.len() as u32).to_be_bytes());
    initial.extend(first.bytes());
    raw.send(&message(b'p', &initial)).await;

    let (_, body) = raw.message().await;
    let challenge = String::from_utf8(body[4..].to_vec()).unwrap();
    let part = |name: &str| challenge.split(',').find_map(|part| part.strip_prefix(name)).unwrap().to_owned();
    let without_proof = format!("c=biws,r={}", part("r="));
    let transcript = format!("{bare},{challenge},{without_proof}");
    let mut salted = [0; 32];
    let password = stringprep::saslprep(password).unwrap();
    let salt = STANDARD.decode(part("s=")).unwrap();
    pbkdf2::pbkdf2_hmac::<Sha256>(password.as_bytes(), &salt, part("i=").parse().unwrap(), &mut salted);
    let client = hmac(&salted, b"Client Key");
    let signature = hmac(&Sha256::digest(client), transcript.as_bytes());
    let proof: Vec<u8> = client.iter().zip(signature).map(|(left, right)| left ^ right).collect();
    let last = format!("{without_proof},p={}", STANDARD.encode(proof));
    raw.send(&message(b'p', last.as_bytes())).await;
    assert_eq!(raw.message().await.1[3], 12, "SASL has ended");
    assert_eq!(raw.message().await.1[3], 0, "the client is in");
}

fn hmac(key: &[u8], text: &[u8]) -> [u8; 32] {
    let mut mac = Hmac::<Sha256>::new_from_slice(key).unwrap();
    mac.update(text);
    mac.finalize().into_bytes().into()
}
