//! Reading: SOQL, pages, records by id, and the search for what a lost answer may have made.

mod created;
mod page;
mod query;
mod retrieve;
mod soql;

pub(crate) use query::{ReadTime, Reading};
pub(crate) use retrieve::is_id;
