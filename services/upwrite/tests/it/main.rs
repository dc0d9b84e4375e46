//! Setup and capture on a real PostgreSQL. Tests are named after the hazards that they run.

#![allow(clippy::unwrap_used, reason = "a panic here is a failed test")]
#![deny(clippy::disallowed_methods, reason = "a test waits for an event, never for time to pass")]

mod database;

mod capture_await;
mod capture_changes;
mod capture_images;
mod capture_mixed;
mod capture_replica;
mod capture_rights;
mod capture_veto;
mod ctl;
mod setup_check;
mod setup_install;
mod setup_schema;
