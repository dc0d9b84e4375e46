//! What a statement may do, by Postgres's own parser: relayed as it is, or captured.
//!
//! A mistake here can cost time, never correctness: what was relayed and touched a synced table meets the veto, which
//! undoes everything; what was captured and touched none commits as it stands.

mod cache;
mod comment;
mod decide;
mod list;
mod mentions;
mod split;
mod statement;

pub use cache::Classifier;
pub use statement::{Kind, PlainDml, PossibleWrite, SessionCommand, Statement, TransactionCommand};
