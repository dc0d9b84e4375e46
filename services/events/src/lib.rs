#![doc = include_str!("../README.md")]
#![deny(clippy::disallowed_methods, reason = "no clock, no threads: see clippy.toml")]

mod case;
mod claim;
mod codec;
mod event;
mod failure;
mod fold;
mod ids;
mod lifecycle;
mod limits;
mod placeholder;
mod record;
mod request;
mod row;
mod table;
mod transition;
mod unix_time;
mod verdict;

pub use case::fold_case;
pub use claim::{Claim, ClaimKey};
pub use codec::{
    DecodeError, EVENT_SCHEMAS, EncodeError, EventSchema, decode, encode, schema_identity, single_object_head,
};
pub use event::*;
pub use failure::{ErrorClass, Failure, Outcome};
pub use fold::PartitionFold;
pub use ids::{MutationId, OwnerId, Partition, Position, Stream, TableName};
pub use lifecycle::{Lifecycle, Phase, RowState};
pub use limits::*;
pub use placeholder::{PENDING_PREFIX, TEXT_PLACEHOLDER_BYTES, is_text_placeholder};
pub use record::{RECORD_SCHEMAS, RecordChanged, decode_record, encode_record, newest_record_schema};
pub use request::{Ack, MutationRequested};
pub use row::{AppliedRow, Interval, LocalInterval, ObservedRow, Op, Row, RowChange};
pub use table::{ColumnSpec, OWN_COLUMNS, SYNCED_AT_COLUMN, TableSpec, VERSION_COLUMN, is_own_column};
pub use transition::{IllegalTransition, Transition};
pub use unix_time::unix_us;
pub use verdict::Verdict;
