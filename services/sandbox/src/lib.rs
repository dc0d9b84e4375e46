#![doc = include_str!("../README.md")]

mod admin_client;
mod fault;
mod holding;
mod journal;
mod message;
mod options;
pub mod salesforce;
mod sandbox;
mod serve;
mod vendor;

pub use admin_client::{AdminClient, AdminError};
pub use fault::{Chaos, Fault, FaultMatch, FaultRule};
pub use holding::{HeldRequest, Then};
pub use journal::{Change, Effect, EffectOp, Journal, RequestEntry, unix_ms};
pub use message::{Request, Response, decode, pairs};
pub use options::Options;
pub use sandbox::{CallTime, Sandbox, Timing};
pub use serve::{Running, StartError};
pub use vendor::{AdminRefusal, Call, Operation, Refusal, Rejection, RowRefusal, ThirdPartyChange, Vendor};
