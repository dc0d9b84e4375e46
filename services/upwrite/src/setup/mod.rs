//! `upwrite setup`: roles, schema "upwrite", synced tables and grants, made or brought up to date by a superuser; and
//! the check at every start whether all of it still is as the promises need it.

mod binding;
mod check;
mod files;
mod findings;
mod install;
mod plan;
mod schema;
mod verifier;

pub use binding::{LogBinding, mismatches};
pub use check::check;
pub use findings::{Finding, Severity};
pub use install::setup;
pub use plan::{Grant, SetupError, SetupPlan, SetupReport};
