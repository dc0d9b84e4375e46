//! What the proxy knows of the database without asking: a snapshot of names, taken every few seconds.
//!
//! It is used to classify (where being stale costs time, never correctness: the veto in the database catches what was
//! relayed by mistake) and to read captured images (where an unknown relation or another number of fields makes the
//! reader ask for a newer snapshot).

mod cache;
mod load;
mod reach;
mod snapshot;

pub use cache::CatalogCache;
pub use snapshot::{Catalog, Effect, NameMap, Reach, SyncedColumn, SyncedTable, Target};
