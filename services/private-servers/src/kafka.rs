//! Private Kafka brokers and a schema registry: real ones, on ports and files of their own, started from the settings
//! that `deploy/kafka` keeps for production.
//!
//! `scripts/install-tools kafka` fetches both (`make test` does so).

mod brokers;
mod node;
mod registry;
mod secured;
mod tools;

pub use brokers::{Brokers, Options};
pub use registry::{Registry, RegistryOptions};
pub use secured::Certificates;
pub use tools::{JVM, folder};
