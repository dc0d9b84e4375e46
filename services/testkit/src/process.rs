//! Executables under test: their output line by line, signals, and the way they end.

use std::ops::Deref;
use std::process::{Command, ExitStatus};
use std::time::Duration;

use upwrite_private_servers::process as private;

use crate::must::must;

/// As [`private::Process`], of which it has all methods; those here panic where that has errors.
pub struct Process(private::Process);

impl Deref for Process {
    type Target = private::Process;

    fn deref(&self) -> &private::Process {
        &self.0
    }
}

impl Process {
    /// Starts `command` with both outputs captured and nothing on standard input.
    #[track_caller]
    pub fn spawn(command: Command) -> Self {
        Self(must(private::Process::spawn(command)))
    }

    /// The first line since the start that contains `text`; waits up to `limit` for it.
    pub async fn wait_for_line(&self, text: &str, limit: Duration) -> String {
        self.wait_for_line_from(0, text, limit).await
    }

    /// The first line from `mark` on that contains `text`; waits up to `limit` for it.
    ///
    /// # Panics
    /// If the limit passes, or if the process ends and the line was not among its last.
    pub async fn wait_for_line_from(&self, mark: usize, text: &str, limit: Duration) -> String {
        must(self.0.find_line_from(mark, text, limit).await)
    }

    /// Waits up to `limit` until it ends, and says how.
    ///
    /// # Panics
    /// If the limit passes.
    pub async fn wait_exit(&self, limit: Duration) -> ExitStatus {
        must(self.0.wait_exit(limit).await)
    }
}
