#![doc = include_str!("../README.md")]

mod budget;
mod connector;
pub mod salesforce;

pub use budget::{Budget, Priority};
pub use connector::{
    Call, CallReport, CallRow, Capabilities, Connector, Found, Idempotency, Page, RetryRule, RowResult, UpstreamError,
};
