//! How a sandbox is started, whatever it imitates.

use std::net::SocketAddr;
use std::path::PathBuf;

/// Settings of a sandbox. `Default` listens on a free loopback port and keeps its state in memory.
#[derive(Clone, Debug)]
pub struct Options {
    /// Address to listen on; port 0 takes a free one.
    pub listen: SocketAddr,
    /// Loaded at start if it exists, written by `stop` and by `POST /admin/save`. Without it, state is in memory.
    pub state_file: Option<PathBuf>,
}

impl Default for Options {
    fn default() -> Self {
        Self { listen: SocketAddr::from(([127, 0, 0, 1], 0)), state_file: None }
    }
}
