#![doc = include_str!("../README.md")]
#![cfg_attr(
    not(feature = "testing"),
    allow(unreachable_pub, reason = "inner parts are `pub` for `internals`, which the crate's own tests see")
)]

mod config;
mod proxy;

mod admission;
mod connection;

mod startup;
mod tls;

mod auth;
mod backend;

mod cancel;
mod session;
mod wire;

mod catalog;
mod classify;
mod planning;
mod returning;

mod hold;
mod verdict;

mod error;
mod measure;
#[cfg(test)]
mod testing;

pub use config::{AuthMode, Config, LimitsConfig, ServerConfig, ServerTls, TlsConfig};
pub use proxy::{Activity, Proxy, ProxyError};
pub use tls::TlsError;

/// Inner parts, for the crate's own tests in `tests/it`. No other crate enables the feature.
#[cfg(feature = "testing")]
pub mod internals {
    pub use crate::catalog::*;
    pub use crate::classify::*;
    pub use crate::error::*;
    pub use crate::hold::*;
    pub use crate::planning::*;
    pub use crate::returning::*;
    pub use crate::verdict::*;
}
