//! One client's session: its own connection to PostgreSQL, and what the proxy does in between.
//!
//! Most messages are relayed. Statements that may write a synced table go another way ([`execute`]): a dry run in one
//! flight, the log, a hold, a result. Nothing of the proxy's own overtakes a reply that is still on its way, because it is
//! sent only after all earlier replies have passed through here.

mod environment;
mod life;
mod state;

mod client_leg;
mod server_leg;

mod block;
mod end;
mod names;
mod waiting;

mod relay;
mod simple;

mod execute;
mod execution;
mod span;

mod dry_run;
mod failed;
mod mutate;
mod returnable;

mod answer;
mod result_set;
mod serve;

mod flight;
mod flight_result;
mod own;
mod pending;
mod replies;
mod requests;
mod step;

pub(crate) use environment::Environment;
pub(crate) use life::Session;
pub(crate) use own::OwnStatements;
pub(crate) use server_leg::ServerLeg;
