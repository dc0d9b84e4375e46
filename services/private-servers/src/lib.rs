#![doc = include_str!("../README.md")]

mod error;
mod guardian;
mod port;
mod until;

mod checkout;
pub mod kafka;
pub mod postgres;
pub mod process;

pub use checkout::checkout;
pub use error::Error;
pub use port::free_port;
pub use until::until;
