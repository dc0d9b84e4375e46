//! What the vendor says of an object, as a table.

mod names;
mod object;
mod table;

pub(crate) use names::snake_case;
pub(crate) use object::ObjectDescribe;
pub(crate) use table::{Named, table_spec};
