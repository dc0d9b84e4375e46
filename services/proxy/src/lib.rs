//! The wire proxy: SQL to MutationRequested, verdict to client.

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

mod capture;
mod catalog;
mod classify;
mod error;
mod hold;
mod measure;
mod returning;
#[cfg(test)]
mod testing;
mod verdict;

pub use capture::{Apply, CaptureError, Captured, DryRun, Image, OnRollback, OnTimeout, Plan, Session, Settings, plan};
pub use catalog::{Catalog, CatalogCache, Effect, Names, Reach, SyncedColumn, SyncedTable, Target};
pub use classify::{Capture, Classifier, Kind, PlainDml, SessionCommand, Statement, TransactionCommand};
pub use config::{AuthMode, Config, LimitsConfig, ServerConfig, ServerTls, TlsConfig};
pub use error::PgError;
pub use hold::{Gate, Held, Limits, Submit, Turn};
pub use proxy::{Activity, Proxy, ProxyError, run};
pub use returning::{Again, FieldShape, Placeholders, Returning};
pub use tls::TlsError;
pub use verdict::{Success, Verdict};
