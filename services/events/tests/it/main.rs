//! The codec against its golden records, and the fold against everything.

#![allow(clippy::unwrap_used, reason = "a panic in a test is a failed test")]

mod any;
mod codec;
mod fold;
mod golden;
mod record;
mod sample;
