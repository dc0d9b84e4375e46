//! Private PostgreSQL clusters: a data directory, a port and a socket of their own.

mod account;
mod cluster;
mod server;
mod template;
mod url;

pub use account::{check_bindir, installed_bindir};
pub use cluster::{Cluster, Options};
