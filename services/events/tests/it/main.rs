//! The codec against its golden records, and the fold against everything.

mod any;
mod codec;
mod fold;
mod golden;
mod sample;
