//! One run of the server process on a data directory.

use std::fs::File;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::guardian;

/// Recovery first syncs every file of the data directory: seconds on an idle disk, more on a busy one.
const START_LIMIT: Duration = Duration::from_secs(120);
const STOP_LIMIT: Duration = Duration::from_secs(20);
const PAUSE: Duration = Duration::from_millis(10);

pub(super) struct Server {
    postmaster: Child,
}

impl Server {
    /// Starts `command` and returns when it accepts connections (what `pg_ctl -w` also goes by: `postmaster.pid`).
    pub(super) fn start(mut command: Command, data: &Path, log: &Path) -> Result<Self> {
        let output = File::options().create(true).append(true).open(log)?;
        let postmaster = command
            .stdin(Stdio::null())
            .stdout(output.try_clone()?)
            .stderr(output)
            .spawn()
            .context("starting postgres")?;
        let mut server = Self { postmaster };
        guardian::end_with_us(server.pid(), Signal::SIGQUIT);
        let started = Instant::now();
        while !server.is_ready(data) {
            if let Some(status) = server.postmaster.try_wait()? {
                bail!("postgres did not start: {status}\n{}", tail(log));
            }
            if started.elapsed() > START_LIMIT {
                server.kill9();
                bail!("postgres is not ready after {START_LIMIT:?}\n{}", tail(log));
            }
            std::thread::sleep(PAUSE);
        }
        Ok(server)
    }

    pub(super) fn pid(&self) -> Pid {
        Pid::from_raw(self.postmaster.id().cast_signed())
    }

    /// SIGINT is a fast shutdown (sessions are ended, a checkpoint is written), SIGQUIT an immediate one.
    pub(super) fn stop(mut self, signal: Signal) {
        let _ = kill(self.pid(), signal);
        let started = Instant::now();
        while matches!(self.postmaster.try_wait(), Ok(None)) {
            if started.elapsed() > STOP_LIMIT {
                return self.kill9();
            }
            std::thread::sleep(PAUSE);
        }
    }

    /// Kills the postmaster and all its children at one blow, as a power failure would; returns when all are gone.
    ///
    /// Killing the postmaster alone leaves backends that run on until they notice, and a restart meanwhile fails.
    pub(super) fn kill9(mut self) {
        let postmaster = self.pid();
        let _ = kill(postmaster, Signal::SIGSTOP); // no more children from here on
        let children = children_of(postmaster);
        let _ = kill(postmaster, Signal::SIGKILL);
        for child in &children {
            let _ = kill(*child, Signal::SIGKILL);
        }
        let _ = self.postmaster.wait();
        let started = Instant::now();
        while children.iter().any(|child| guardian::is_running(*child)) {
            assert!(started.elapsed() < STOP_LIMIT, "backends survive SIGKILL");
            std::thread::sleep(PAUSE);
        }
    }

    fn is_ready(&self, data: &Path) -> bool {
        let Ok(file) = std::fs::read_to_string(data.join("postmaster.pid")) else {
            return false;
        };
        let mut lines = file.lines();
        // A killed predecessor leaves its file behind, so the pid has to be ours.
        lines.next() == Some(self.pid().to_string().as_str()) && lines.nth(6).is_some_and(|line| line.trim() == "ready")
    }
}

fn children_of(parent: Pid) -> Vec<Pid> {
    std::fs::read_dir("/proc")
        .into_iter()
        .flatten()
        .flatten()
        .filter_map(|entry| Some(Pid::from_raw(entry.file_name().to_str()?.parse().ok()?)))
        .filter(|pid| guardian::stat_fields(*pid).is_some_and(|fields| fields.get(1) == Some(&parent.to_string())))
        .collect()
}

fn tail(log: &Path) -> String {
    let text = std::fs::read_to_string(log).unwrap_or_default();
    let lines: Vec<&str> = text.lines().collect();
    lines[lines.len().saturating_sub(30)..].join("\n")
}
