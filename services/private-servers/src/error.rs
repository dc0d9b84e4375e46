//! What can go wrong with a server of our own.

use std::io;
use std::path::PathBuf;
use std::time::Duration;

/// Why a private server, or something of it, is not there.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A program is not installed, or not where it was said to be; the text says what to do.
    #[error("{0}")]
    NotInstalled(String),
    /// Somebody else made the directory in which clusters are kept.
    #[error("{} belongs to another user: remove it", .0.display())]
    NotOurs(PathBuf),
    /// What the operating system refused.
    #[error("{doing}: {source}")]
    System {
        /// What was about to be done.
        doing: String,
        source: io::Error,
    },
    /// A program of the server failed, or the server ended before it was ready.
    #[error("{what}\n{output}")]
    Failed {
        /// Which program, and how it ended.
        what: String,
        /// The last that it said.
        output: String,
    },
    /// Something did not happen in time.
    #[error("{what} ({limit:?})\n{output}")]
    TimedOut {
        what: String,
        limit: Duration,
        /// The last that the process said; empty where none is concerned.
        output: String,
    },
    /// Every port that was tried is taken.
    #[error("no free TCP port between {first} and {last}")]
    NoPort { first: u16, last: u16 },
    /// Nodes are numbered from 0.
    #[error("there is no node {0}")]
    NoNode(usize),
    /// The runtime is shutting down.
    #[error("the runtime ended before the server was {0}")]
    RuntimeEnded(&'static str),
}

/// For `map_err`: what was about to be done when the operating system refused.
pub(crate) fn system(doing: impl Into<String>) -> impl FnOnce(io::Error) -> Error {
    let doing = doing.into();
    move |source| Error::System { doing, source }
}
