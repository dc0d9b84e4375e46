//! Test harness: private Postgres clusters and Kafka brokers, processes, waiting for events.
//!
//! Everything here panics with a message that says what was expected and what was there instead, because its
//! callers are tests (and the demo). Whatever it starts dies with the test process, however that ends (`guardian`).

mod guardian;
mod port;
mod until;

mod binary;
mod drivers;
pub mod kafka;
pub mod postgres;
pub mod process;
pub mod schema;

pub use binary::binary;
pub use drivers::{example, java_example, node, node_dir, python};
pub use port::free_port;
pub use until::until;
