//! Who the client is, and how the proxy becomes the same user on the server.
//!
//! SCRAM (RFC 5802, 7677) on both legs: the client proves to the proxy that it knows the password of the server's
//! verifier. The proof gives away the client key, with which the proxy logs in to the server as that user. The password
//! itself is never seen.

mod exchange;
mod keys;
mod login;
mod verifier;

pub(crate) use exchange::ClientExchange;
pub(crate) use keys::Secret;
pub(crate) use login::{Binding, authenticate};
pub(crate) use verifier::Verifier;
