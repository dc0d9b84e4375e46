#![doc = include_str!("../README.md")]

mod budget;
mod connector;
pub mod salesforce;
mod trace;

pub use budget::{Ask, Budget, Level, Priority, Slice};
pub use connector::{
    Call, CallReport, CallRow, Capabilities, Connector, Found, Idempotency, Page, RetryRule, RowResult, UpstreamError,
};
pub use trace::with_traceparent;
