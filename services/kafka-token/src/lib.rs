#![doc = include_str!("../README.md")]

use std::ffi::{CStr, CString};
use std::ptr;

use rdkafka::ClientContext;
use rdkafka::bindings::{rd_kafka_oauthbearer_set_token, rd_kafka_resp_err_t};
use rdkafka::client::{Client, OAuthToken};

/// librdkafka's reasons are one line.
const MAX_REASON_BYTES: usize = 512;

/// From now on the client logs in with the token, until that expires.
///
/// # Errors
/// librdkafka's reason: the client does not log in by OAUTHBEARER, or the token has expired or cannot be sent. It does not
/// show the token.
pub fn set_token<C: ClientContext>(client: &Client<C>, token: &OAuthToken) -> Result<(), String> {
    let null = |_| "a null character in the token".to_owned();
    let value = CString::new(token.token.as_str()).map_err(null)?;
    let principal = CString::new(token.principal_name.as_str()).map_err(null)?;
    if token.lifetime_ms.checked_mul(1000).is_none() {
        return Err("the token's end is too far away".to_owned());
    }
    let mut reason = [0u8; MAX_REASON_BYTES];
    #[allow(unsafe_code, reason = "rdkafka has no safe function for it")]
    // SAFETY: the client lives as long as it is borrowed, and may be used from any thread. Both strings end with a null
    // and outlive the call, which copies them. There are no extensions: of a null pointer and a length of 0 nothing is
    // read. Its microseconds do not overflow. The reason is written with its null within the length that is given.
    let code = unsafe {
        rd_kafka_oauthbearer_set_token(
            client.native_ptr(),
            value.as_ptr(),
            token.lifetime_ms,
            principal.as_ptr(),
            ptr::null_mut(),
            0,
            reason.as_mut_ptr().cast(),
            reason.len(),
        )
    };
    if code == rd_kafka_resp_err_t::RD_KAFKA_RESP_ERR_NO_ERROR {
        return Ok(());
    }
    Err(CStr::from_bytes_until_nul(&reason).map_or_else(|_| format!("{code:?}"), |text| text.to_string_lossy().into()))
}

#[cfg(test)]
mod tests {
    use rdkafka::ClientConfig;
    use rdkafka::admin::AdminClient;
    use rdkafka::client::DefaultClientContext;

    use super::*;

    fn client(mechanism: &str) -> AdminClient<DefaultClientContext> {
        let mut config = ClientConfig::new();
        config.set("security.protocol", "sasl_plaintext").set("sasl.mechanism", mechanism);
        config.set("sasl.username", "u").set("sasl.password", "p").create().unwrap()
    }

    fn token(value: &str, lifetime_ms: i64) -> OAuthToken {
        OAuthToken { token: value.to_owned(), principal_name: "p".to_owned(), lifetime_ms }
    }

    /// In milliseconds.
    const FAR: i64 = i64::MAX / 1000;

    #[test]
    fn what_librdkafka_refuses_is_told() {
        let (bearer, plain) = (client("OAUTHBEARER"), client("PLAIN"));
        assert_eq!(set_token(bearer.inner(), &token("a.b.c", FAR)), Ok(()));
        let refused = |client: &AdminClient<_>, token| set_token(client.inner(), &token).unwrap_err();
        assert!(refused(&plain, token("a.b.c", FAR)).contains("OAUTHBEARER is not the"));
        assert!(refused(&bearer, token("a.b.c", 1000)).contains("unexpired"));
        assert!(refused(&bearer, token("a.b.c", FAR + 1)).contains("too far"));
        assert!(refused(&bearer, token("a\0b", FAR)).contains("null"));
    }
}
