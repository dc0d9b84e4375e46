//! The reconciler on a real Postgres and a real log.

mod world;

mod once;
mod order;
mod locks;
mod claims;
