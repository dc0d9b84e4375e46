//! The vocabulary of Upwrite: what the stages tell each other. No I/O, no runtime.
//!
//! A mutation's life is a sequence of past-tense facts ([`Event`]), all in one partition of the log. Its state is a
//! pure fold over them ([`PartitionFold`]), the same in every stage that reads the log.

mod ids;
mod limits;
mod row;
mod table;
mod failure;
mod event;
mod lifecycle;
mod codec;

pub use ids::{MutationId, OwnerId, Partition, Position, Stream, TableName};
pub use limits::*;
pub use row::{AppliedRow, Interval, ObservedRow, Op, Row, RowChange};
pub use table::{ColumnSpec, TableSpec};
pub use failure::{ErrorClass, Failure, Outcome};
pub use event::*;
pub use lifecycle::{Folded, Illegal, Lifecycle, PartitionFold, Phase, RowState, Verdict};
pub use codec::{DecodeError, EncodeError, decode, encode};
