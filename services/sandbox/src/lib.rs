#![doc = include_str!("../README.md")]

mod admin_client;
mod fault;
mod holding;
mod journal;
mod options;
mod salesforce;
mod sandbox;
mod serve;

pub use admin_client::{AdminClient, AdminError};
pub use fault::{Chaos, Fault, FaultMatch, FaultRule};
pub use holding::{Held, Then};
pub use journal::{Change, Effect, EffectOp, RequestEntry};
pub use options::{Options, OrgOptions};
pub use salesforce::org::{DuplicateRule, Predicate, ValidationRule};
pub use sandbox::{CallTime, Sandbox, Timing};
pub use serve::{Running, StartError};
