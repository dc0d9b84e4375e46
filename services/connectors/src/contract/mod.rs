//! What the applier and the syncer may ask of an upstream, and what they get.

mod call;
mod capabilities;
mod connector;
mod lookup;

pub use call::{Call, CallReport, CallRow, RetryRule, RowResult, UpstreamError};
pub use capabilities::{Capabilities, Idempotency};
pub use connector::Connector;
pub use lookup::{LookupResult, Page};
