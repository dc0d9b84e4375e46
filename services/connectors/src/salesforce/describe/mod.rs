//! What the vendor says of an object, as a table.

mod object;
mod table;

pub(crate) use object::ObjectDescribe;
pub(crate) use table::{Named, table_spec};
