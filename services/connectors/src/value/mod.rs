//! Values between Postgres's text form (see [`upwrite_events::Row`]) and JSON, as far as vendors do not differ. Numbers
//! stay text all the way: no value passes through a binary float.

pub mod array;
pub mod decimal;
pub mod jsonb;
pub mod stamp;
mod text;
mod unfit;

pub use array::NotAList;
pub use text::{from_json, to_json};
pub use unfit::Unfit;
