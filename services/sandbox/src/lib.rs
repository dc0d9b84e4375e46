#![doc = include_str!("../README.md")]

mod admin_client;
mod api;
mod error;
mod fault;
mod held;
mod id;
mod journal;
mod oauth;
mod options;
mod org;
mod sandbox;
mod schema;
mod seed;
mod serve;
mod soql;
mod stamp;
mod third_party;

pub use admin_client::{AdminClient, AdminError};
pub use fault::{Chaos, Fault, FaultMatch, FaultRule};
pub use held::{Held, Then};
pub use journal::{Change, Effect, EffectOp, RequestEntry};
pub use options::{Options, OrgOptions};
pub use org::{DuplicateRule, Predicate, ValidationRule};
pub use sandbox::{CallTime, Sandbox, Timing};
pub use serve::{Running, StartError};
