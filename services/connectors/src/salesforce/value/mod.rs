//! Values between Postgres's text form (settings of [`upwrite_events::Row`]) and the vendor's JSON, by vendor type.

mod decode;
mod encode;
mod kind;
mod same;
mod stamp;

pub(crate) use decode::{decode, version};
pub(crate) use encode::encode;
pub(crate) use kind::Kind;
pub(crate) use same::same;
pub(crate) use stamp::soql_second;
#[cfg(test)]
mod round_trips;
