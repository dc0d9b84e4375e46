#![doc = include_str!("../README.md")]

mod must;
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
