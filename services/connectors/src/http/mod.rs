//! HTTP as every connector speaks it: one attempt for each request, bounded in time and in size, which knows whether no
//! byte was written. The rate budget and its pauses are dealt with here, once for each request.

mod error;
mod message;
mod origin;
mod tls;
mod transport;

pub use error::SendError;
pub use message::{Body, Request, Response};
pub use origin::{check_base_url, is_loopback};
pub use reqwest::{Method, Url};
pub use tls::install_crypto_provider;
pub use transport::{PauseRule, Transport, TransportOptions, usual_pause};
