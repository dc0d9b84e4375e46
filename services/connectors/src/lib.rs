//! How each upstream is spoken to. The applier decides *when and whether*; a connector knows *how*.

mod connector;
mod budget;

pub use budget::{Budget, Priority};
pub use connector::{
    Call, CallReport, CallRow, Capabilities, Connector, Found, Idempotency, Page, RetryRule, RowResult, UpstreamError,
};
