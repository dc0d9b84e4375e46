//! Child processes: their output line by line, signals, and the way they end.

use std::collections::VecDeque;
use std::io::{BufRead as _, BufReader, Read};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::sys::wait::{Id, WaitPidFlag, waitid};
use nix::unistd::Pid;
use tokio::sync::watch;

use crate::error::system;
use crate::{Error, guardian};

/// Lines of output kept; older ones are dropped.
const LINES_MAX: usize = 50_000;

/// Lines of output shown where something failed.
const LINES_SHOWN: usize = 60;

/// A running executable. Killed (SIGKILL) when dropped, and when this process ends.
pub struct Process {
    name: String,
    pid: Pid,
    output: Arc<Output>,
    /// Written under `signalling`, so that no signal goes to a pid that was reaped.
    exit: watch::Receiver<Exit>,
    signalling: Arc<Mutex<()>>,
    /// Taken when it is dropped.
    reaper: Option<JoinHandle<()>>,
}

#[derive(Debug, Clone, Copy)]
enum Exit {
    Running,
    /// `None`: the system does not say how.
    Ended(Option<ExitStatus>),
}

impl Process {
    /// Starts `command` with both outputs captured and nothing on standard input.
    ///
    /// # Errors
    /// `System` if it cannot be started, or not be watched over.
    pub fn spawn(mut command: Command) -> Result<Self, Error> {
        let name = std::path::Path::new(command.get_program())
            .file_name()
            .map_or_else(|| "process".to_owned(), |name| name.to_string_lossy().into_owned());
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().map_err(system(format!("starting {command:?}")))?;
        let pid = Pid::from_raw(child.id().cast_signed());
        let output = Arc::new(Output::default());
        let (stdout, stderr) = (child.stdout.take(), child.stderr.take());
        let signalling = Arc::new(Mutex::new(()));
        let (ended, exit) = watch::channel(Exit::Running);
        let reaper = reap(child, pid, Arc::clone(&signalling), ended)?;
        // From here on, dropping it kills it.
        let process = Self { name, pid, output, exit, signalling, reaper: Some(reaper) };
        guardian::end_with_us(pid, Signal::SIGKILL)?;
        if let (Some(stdout), Some(stderr)) = (stdout, stderr) {
            process.output.clone().read(stdout)?;
            process.output.clone().read(stderr)?;
        }
        Ok(process)
    }

    /// Its process id.
    pub fn id(&self) -> u32 {
        self.pid.as_raw().unsigned_abs()
    }

    /// All lines of both outputs that are still kept.
    pub fn lines(&self) -> Vec<String> {
        self.output.state().lines.iter().cloned().collect()
    }

    /// How many lines there have been so far: a place from which [`Process::find_line_from`] may search.
    pub fn mark(&self) -> usize {
        let state = self.output.state();
        state.dropped + state.lines.len()
    }

    /// The first line since the start that contains `text`; waits up to `limit` for it.
    ///
    /// # Errors
    /// As [`Process::find_line_from`].
    pub async fn find_line(&self, text: &str, limit: Duration) -> Result<String, Error> {
        self.find_line_from(0, text, limit).await
    }

    /// The first line from `mark` on that contains `text`; waits up to `limit` for it.
    ///
    /// # Errors
    /// `TimedOut` if the limit passes, `Failed` if the process ends and the line was not among its last; with the last
    /// it said.
    pub async fn find_line_from(&self, mark: usize, text: &str, limit: Duration) -> Result<String, Error> {
        let search = async {
            let mut changed = self.output.changed.subscribe();
            let mut next = mark;
            loop {
                changed.mark_unchanged();
                let open = *changed.borrow();
                if let Some(line) = self.output.find(&mut next, text) {
                    return Some(line);
                }
                if open == 0 || changed.changed().await.is_err() {
                    return None; // both outputs are closed
                }
            }
        };
        match tokio::time::timeout(limit, search).await {
            Ok(Some(line)) => Ok(line),
            Ok(None) => {
                Err(Error::Failed { what: format!("{} ended without saying {text:?}", self.name), output: self.tail() })
            }
            Err(_) => Err(self.timed_out(format!("{} did not say {text:?}", self.name), limit)),
        }
    }

    /// Asks it to end (SIGTERM).
    pub fn sigterm(&self) {
        self.signal(Signal::SIGTERM);
    }

    /// Kills it (SIGKILL); returns at once, see [`Process::wait_exit`].
    pub fn kill9(&self) {
        self.signal(Signal::SIGKILL);
    }

    /// Sends any signal; nothing happens if it has ended.
    pub fn signal(&self, signal: Signal) {
        let _signalling = self.signalling.lock().unwrap_or_else(PoisonError::into_inner);
        if self.is_running() {
            let _ = kill(self.pid, signal);
        }
    }

    /// Whether it still runs.
    pub fn is_running(&self) -> bool {
        matches!(*self.exit.borrow(), Exit::Running)
    }

    /// Waits up to `limit` until it ends, and says how.
    ///
    /// # Errors
    /// `TimedOut` if the limit passes; `Failed` if the system does not say how it ended.
    pub async fn wait_exit(&self, limit: Duration) -> Result<ExitStatus, Error> {
        let mut exit = self.exit.clone();
        let ended = tokio::time::timeout(limit, exit.wait_for(|exit| matches!(exit, Exit::Ended(_)))).await;
        match ended {
            Ok(Ok(exit)) if let Exit::Ended(Some(status)) = *exit => Ok(status),
            Ok(_) => {
                Err(Error::Failed { what: format!("{} ended, and nobody says how", self.name), output: self.tail() })
            }
            Err(_) => Err(self.timed_out(format!("{} did not end", self.name), limit)),
        }
    }

    fn timed_out(&self, what: String, limit: Duration) -> Error {
        Error::TimedOut { what, limit, output: self.tail() }
    }

    fn tail(&self) -> String {
        let state = self.output.state();
        let skip = state.lines.len().saturating_sub(LINES_SHOWN);
        let lines: Vec<&str> = state.lines.iter().skip(skip).map(String::as_str).collect();
        format!("--- the last it said:\n{}\n---", lines.join("\n"))
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.kill9();
        if std::thread::panicking() {
            eprintln!("{} (pid {})\n{}", self.name, self.pid, self.tail());
        }
        // The readers are not waited for: a child of the process may hold its outputs open.
        if let Some(reaper) = self.reaper.take() {
            let _ = reaper.join();
        }
    }
}

/// Waits for the end of `child` without reaping it, then reaps it while nobody can be signalling it.
fn reap(
    mut child: Child,
    pid: Pid,
    signalling: Arc<Mutex<()>>,
    ended: watch::Sender<Exit>,
) -> Result<JoinHandle<()>, Error> {
    let wait = move || {
        while let Err(nix::Error::EINTR) = waitid(Id::Pid(pid), WaitPidFlag::WEXITED | WaitPidFlag::WNOWAIT) {}
        let _signalling = signalling.lock().unwrap_or_else(PoisonError::into_inner);
        ended.send_replace(Exit::Ended(child.wait().ok()));
    };
    std::thread::Builder::new().name("reaper".to_owned()).spawn(wait).map_err(|error| {
        let _ = kill(pid, Signal::SIGKILL); // nobody would watch over it
        system("starting a thread")(error)
    })
}

#[derive(Default)]
struct OutputState {
    lines: VecDeque<String>,
    dropped: usize,
}

struct Output {
    state: Mutex<OutputState>,
    /// The number of outputs still open; sent again with each line.
    changed: watch::Sender<usize>,
}

impl Default for Output {
    fn default() -> Self {
        Self { state: Mutex::default(), changed: watch::Sender::new(2) }
    }
}

impl Output {
    fn state(&self) -> MutexGuard<'_, OutputState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn read(self: Arc<Self>, from: impl Read + Send + 'static) -> Result<(), Error> {
        let read = move || {
            let mut reader = BufReader::new(from);
            let mut line = Vec::new();
            while reader.read_until(b'\n', &mut line).is_ok_and(|bytes| bytes > 0) {
                self.push(String::from_utf8_lossy(&line).trim_end_matches(['\n', '\r']).to_owned());
                line.clear();
            }
            self.changed.send_modify(|open| *open -= 1);
        };
        std::thread::Builder::new().name("output".to_owned()).spawn(read).map_err(system("starting a thread"))?;
        Ok(())
    }

    fn push(&self, line: String) {
        let mut state = self.state();
        if state.lines.len() == LINES_MAX {
            state.lines.pop_front();
            state.dropped += 1;
        }
        state.lines.push_back(line);
        drop(state);
        self.changed.send_modify(|_| ());
    }

    /// Searches from line number `next`, and moves it past what was searched.
    fn find(&self, next: &mut usize, text: &str) -> Option<String> {
        let state = self.state();
        let skip = next.saturating_sub(state.dropped);
        let found = state.lines.iter().skip(skip).find(|line| line.contains(text)).cloned();
        *next = state.dropped + state.lines.len();
        found
    }
}
