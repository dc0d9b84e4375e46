#![doc = include_str!("../README.md")]

mod budget;
pub mod clock;
mod contract;
pub mod http;
mod limits;
pub mod names;
pub mod outcome;
pub mod salesforce;
mod source;
#[cfg(feature = "testing")]
pub mod testing;
mod trace;
pub mod value;

pub use budget::{Ask, Budget, Level, OutOfBudget, Priority, Reservation, Slice, TimeLimit, with_priority};
pub use contract::{
    Call, CallReport, CallRow, Capabilities, Connector, Idempotency, LookupResult, Page, RetryRule, RowResult,
    UpstreamError,
};
pub use http::install_crypto_provider;
pub use source::{Source, VENDORS, Vendor, Vendors, budgets, connectors, read_sources};
pub use trace::with_traceparent;
pub use upwrite_settings::{Secret, Section};
