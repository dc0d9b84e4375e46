//! One run of the server process on a data directory.

use std::fs::File;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::error::system;
use crate::{Error, guardian};

/// Recovery first syncs every file of the data directory: seconds on an idle disk, more on a busy one.
const START_LIMIT: Duration = Duration::from_secs(120);
const STOP_LIMIT: Duration = Duration::from_secs(20);
/// Of the log, where something failed.
const LINES_SHOWN: usize = 30;
const PAUSE: Duration = Duration::from_millis(10);

pub(super) struct Server {
    postmaster: Child,
}

impl Server {
    /// Starts `command` and returns when it accepts connections (what `pg_ctl -w` also goes by: `postmaster.pid`).
    pub(super) fn start(mut command: Command, data: &Path, log: &Path) -> Result<Self, Error> {
        let opening = || system(format!("opening {}", log.display()));
        let output = File::options().create(true).append(true).open(log).map_err(opening())?;
        let errors = output.try_clone().map_err(opening())?;
        let postmaster = command.stdin(Stdio::null()).stdout(output).stderr(errors).spawn();
        let mut server = Self { postmaster: postmaster.map_err(system("starting postgres"))? };
        if let Err(error) = guardian::end_with_us(server.pid(), Signal::SIGQUIT) {
            server.kill9()?;
            return Err(error);
        }
        let started = Instant::now();
        while !server.is_ready(data) {
            if let Some(status) = server.postmaster.try_wait().map_err(system("watching postgres"))? {
                let what = format!("postgres did not start: {status}");
                return Err(Error::Failed { what, output: tail(log) });
            }
            if started.elapsed() > START_LIMIT {
                server.kill9()?;
                let what = "postgres did not become ready".to_owned();
                return Err(Error::TimedOut { what, limit: START_LIMIT, output: tail(log) });
            }
            std::thread::sleep(PAUSE);
        }
        Ok(server)
    }

    pub(super) fn pid(&self) -> Pid {
        Pid::from_raw(self.postmaster.id().cast_signed())
    }

    /// SIGINT is a fast shutdown (sessions are ended, a checkpoint is written), SIGQUIT an immediate one.
    pub(super) fn stop(mut self, signal: Signal) -> Result<(), Error> {
        let _ = kill(self.pid(), signal);
        let started = Instant::now();
        while matches!(self.postmaster.try_wait(), Ok(None)) {
            if started.elapsed() > STOP_LIMIT {
                return self.kill9();
            }
            std::thread::sleep(PAUSE);
        }
        Ok(())
    }

    /// Kills the postmaster and all its children at one blow, as a power failure would; returns when all are gone.
    ///
    /// Killing the postmaster alone leaves backends that run on until they notice, and a restart meanwhile fails.
    pub(super) fn kill9(mut self) -> Result<(), Error> {
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
            if started.elapsed() > STOP_LIMIT {
                let what = "backends outlived SIGKILL".to_owned();
                return Err(Error::TimedOut { what, limit: STOP_LIMIT, output: String::new() });
            }
            std::thread::sleep(PAUSE);
        }
        Ok(())
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
    let skip = lines.len().saturating_sub(LINES_SHOWN);
    lines.into_iter().skip(skip).collect::<Vec<_>>().join("\n")
}
