//! How Ledger is spoken to.

mod body;
mod config;
mod describe;
mod ledger;
mod problem;
mod value;

pub use config::{Config, LedgerVendor};
pub use ledger::Ledger;
