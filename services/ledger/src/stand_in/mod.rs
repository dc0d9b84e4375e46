//! Ledger's API behind the sandbox's `Vendor`.

mod books;
mod fields;
mod problem;
mod vendor;

pub use vendor::{Ledger, LedgerOptions};
