#![doc = include_str!("../README.md")]
#![deny(clippy::disallowed_methods, reason = "no clock, no threads: see clippy.toml")]

mod codec;
mod event;
mod failure;
mod ids;
mod lifecycle;
mod limits;
mod record;
mod row;
mod table;
mod unix_time;

pub use codec::{
    DecodeError, EVENT_SCHEMAS, EncodeError, EventSchema, decode, encode, schema_identity, single_object_head,
};
pub use event::*;
pub use failure::{ErrorClass, Failure, Outcome};
pub use ids::{MutationId, OwnerId, Partition, Position, Stream, TableName};
pub use lifecycle::{Folded, Illegal, Lifecycle, PartitionFold, Phase, RowState, Verdict};
pub use limits::*;
pub use record::{RECORD_SCHEMAS, RecordChanged, decode_record, encode_record, newest_record_schema};
pub use row::{AppliedRow, Interval, ObservedRow, Op, Row, RowChange};
pub use table::{ColumnSpec, TableSpec};
pub use unix_time::unix_us;
