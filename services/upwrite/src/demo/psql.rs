//! Statements by the real `psql`, with its real output.

use std::process::Stdio;

use anyhow::Context as _;
use tokio::process::{Child, Command};

use super::paint::paint;

/// A way to connect.
#[derive(Debug, Clone)]
pub(super) struct Psql {
    pub(super) url: String,
}

impl Psql {
    /// Shows the statement and what psql prints. An error of the statement is part of what is shown.
    pub(super) async fn show(&self, sql: &str) -> anyhow::Result<String> {
        println!("\n{}", paint("1", &format!("app=> {}", sql.trim())));
        let output = self.command(&["-c", sql]).output().await.context("psql did not start")?;
        let text = String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
        print!("{text}");
        Ok(text)
    }

    /// Runs a statement that must succeed; its unaligned output.
    pub(super) async fn value(&self, sql: &str) -> anyhow::Result<String> {
        let output = self.command(&["-At", "-c", sql]).output().await.context("psql did not start")?;
        anyhow::ensure!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned())
    }

    /// Starts a statement and leaves it running.
    pub(super) fn begin(&self, sql: &str) -> anyhow::Result<Child> {
        println!("\n{}", paint("1", &format!("app=> {}", sql.trim())));
        self.command(&["-c", sql]).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().context("psql did not start")
    }

    fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new("psql");
        // -X: no ~/.psqlrc; verbose errors show the SQLSTATE.
        command.args(["-X", "-v", "VERBOSITY=verbose", "-P", "pager=off", &self.url]).args(args);
        command.stdin(Stdio::null()).kill_on_drop(true);
        command
    }
}
