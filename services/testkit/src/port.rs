//! Free TCP ports.

use crate::must::must;

/// As [`upwrite_private_servers::free_port`].
#[track_caller]
pub fn free_port() -> u16 {
    must(upwrite_private_servers::free_port())
}
