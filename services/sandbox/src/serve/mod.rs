//! Sockets: the listener whose connections can be broken on purpose, the way of one request, the admin calls.

mod admin;
mod connection;
mod flow;
mod http;
mod listener;
mod start;

pub use start::{Running, StartError};
