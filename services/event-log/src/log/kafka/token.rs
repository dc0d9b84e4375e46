//! The token with which this process logs in (OAUTHBEARER), from a file that another program renews.

use std::fs::File;
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use rdkafka::client::OAuthToken;
use serde::Deserialize;

/// A file that is larger holds something else. Brokers take far less.
const MAX_BYTES: u64 = 64 * 1024;

/// The end of the year 9999. Counting in microseconds, librdkafka cannot hold all that a token may say.
const MAX_LIFETIME_MS: i64 = 253_402_300_799_000;

/// What is wrong with the file. Says nothing of what is in it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TokenError {
    #[error("token file {path} cannot be read: {reason}")]
    Unreadable { path: PathBuf, reason: String },
    #[error("token file {path} does not hold a JSON Web Token: {reason}")]
    Malformed { path: PathBuf, reason: &'static str },
    #[error("the token in {path} has expired; whoever renews that file has not done so")]
    Expired { path: PathBuf },
}

/// The claims that a client needs to know. Signature and audience are the brokers' business.
#[derive(Deserialize)]
struct Claims {
    exp: Option<f64>,
    sub: Option<String>,
}

/// The token that is in the file now.
///
/// # Errors
/// Each names the file, and never what is in it.
pub(crate) fn read(path: &Path, now: SystemTime) -> Result<OAuthToken, TokenError> {
    let malformed = |reason| TokenError::Malformed { path: path.to_owned(), reason };
    let text = content(path).map_err(|error| match error.kind() {
        io::ErrorKind::InvalidData => malformed("it is not text"),
        _ => TokenError::Unreadable { path: path.to_owned(), reason: error.to_string() },
    })?;
    let token = text.trim();
    if text.len() as u64 > MAX_BYTES {
        return Err(malformed("it is too large"));
    }
    let claims = claims(token).map_err(malformed)?;
    let expires = claims.exp.ok_or_else(|| malformed("it does not say when it expires (`exp`)"))?;
    let expires = Duration::try_from_secs_f64(expires).map_err(|_| malformed("`exp` is not a time"))?;
    let lifetime_ms = i64::try_from(expires.as_millis()).unwrap_or(MAX_LIFETIME_MS).min(MAX_LIFETIME_MS);
    if now.duration_since(SystemTime::UNIX_EPOCH).is_ok_and(|now| now >= expires) {
        return Err(TokenError::Expired { path: path.to_owned() });
    }
    // It is not sent: the brokers take the name from the token, by a claim that they choose.
    let principal_name = claims.sub.filter(|sub| !sub.contains('\0')).unwrap_or_else(|| "upwrite".to_owned());
    Ok(OAuthToken { token: token.to_owned(), principal_name, lifetime_ms })
}

fn content(path: &Path) -> io::Result<String> {
    let mut text = String::new();
    File::open(path)?.take(MAX_BYTES + 1).read_to_string(&mut text)?;
    Ok(text)
}

fn claims(token: &str) -> Result<Claims, &'static str> {
    let mut parts = token.split('.');
    let (Some(_), Some(claims), Some(_), None) = (parts.next(), parts.next(), parts.next(), parts.next()) else {
        return Err("it does not have three parts");
    };
    // What librdkafka and brokers take, and no line break.
    if !token.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-' | b'_')) {
        return Err("it has characters that a token does not have");
    }
    let claims = URL_SAFE_NO_PAD.decode(claims).map_err(|_| "its claims are not base64url")?;
    serde_json::from_slice(&claims).map_err(|_| "its claims are not those of a token")
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: SystemTime = SystemTime::UNIX_EPOCH;

    fn token(claims: &str) -> String {
        format!("{}.{}.c2lnbmF0dXJl", URL_SAFE_NO_PAD.encode(r#"{"alg":"none"}"#), URL_SAFE_NO_PAD.encode(claims))
    }

    fn read_text(text: &[u8]) -> Result<OAuthToken, TokenError> {
        let path = std::env::temp_dir().join(format!("upwrite-token-{}", uuid::Uuid::new_v4()));
        std::fs::write(&path, text).unwrap();
        let read = read(&path, NOW + Duration::from_secs(1000));
        std::fs::remove_file(&path).unwrap();
        if let Err(error) = &read {
            assert!(error.to_string().contains(path.to_str().unwrap()), "{error}");
        }
        read
    }

    #[test]
    fn lifetime_and_principal_are_the_tokens() {
        let text = token(r#"{"sub":"upwrite-1","exp":1001.5,"aud":"kafka"}"#);
        let read = read_text(format!("{text}\n").as_bytes()).unwrap();
        assert_eq!((read.token, read.principal_name.as_str(), read.lifetime_ms), (text, "upwrite-1", 1_001_500));
        // The brokers may take the name from another claim.
        assert_eq!(read_text(token(r#"{"exp":2000}"#).as_bytes()).unwrap().lifetime_ms, 2_000_000);
        assert_eq!(read_text(token(r#"{"exp":1e17}"#).as_bytes()).unwrap().lifetime_ms, MAX_LIFETIME_MS);
    }

    #[test]
    fn what_is_wrong_is_said_without_the_token() {
        let secret = "c3VwZXJzZWNyZXQ";
        for (text, expected) in [
            (secret.to_owned(), "three parts"),
            (format!("a.{secret}!.c"), "characters"),
            (format!("a.{secret}.c"), "claims"),
            (token(r#"{"sub":"a"}"#), "`exp`"),
            (token(r#"{"exp":-1}"#), "not a time"),
            (token(r#"{"exp":1e300}"#), "not a time"),
            (token(r#"{"exp":"soon"}"#), "claims"),
            (token(r#"{"exp":1000}"#), "has expired"),
            ("a".repeat(70_000), "too large"),
            (String::new(), "three parts"),
        ] {
            let error = read_text(text.as_bytes()).err().unwrap().to_string();
            assert!(error.contains(expected) && !error.contains(secret), "{expected}: {error}");
        }
        assert!(read_text(&[0xff, 0xfe]).err().unwrap().to_string().contains("not text"));
        let missing = Path::new("/nowhere/token");
        let error = read(missing, NOW).err().unwrap().to_string();
        assert!(error.contains("/nowhere/token cannot be read"), "{error}");
    }
}
