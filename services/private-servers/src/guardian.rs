//! One small shell process beside this one that ends whatever this one started, even if it was killed: statics are never
//! dropped, and a killed process drops nothing. (A parent-death signal is no substitute: it
//! fires when the *thread* that spawned ends.)

use std::io::Write as _;
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::{ChildStdin, Command, Stdio};
use std::sync::{Mutex, PoisonError};

use nix::sys::signal::Signal;
use nix::unistd::Pid;

use crate::Error;
use crate::error::system;

/// Sends `signal` to `pid` when this process is gone; has no effect on a later process with the same number.
///
/// # Errors
/// `System` if the guardian cannot be started, or is gone.
pub(crate) fn end_with_us(pid: Pid, signal: Signal) -> Result<(), Error> {
    let Some(start) = start_time(pid) else {
        return Ok(()); // ended already
    };
    let name = signal.as_str().trim_start_matches("SIG");
    send(&format!("{name} {pid} {start}"))
}

/// Removes a directory when this process and all that it started are gone.
///
/// # Errors
/// As [`end_with_us`].
pub(crate) fn remove_with_us(path: &Path) -> Result<(), Error> {
    send(&format!("remove {}", path.display()))
}

/// Whether `pid` still runs; a process that has ended and waits to be reaped does not.
pub(crate) fn is_running(pid: Pid) -> bool {
    stat_fields(pid).is_some_and(|fields| fields.first().is_some_and(|state| state != "Z" && state != "X"))
}

/// The fields of `/proc/PID/stat` from the process state (the third) on.
pub(crate) fn stat_fields(pid: Pid) -> Option<Vec<String>> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // The second field is the command in parentheses, and may itself hold both spaces and parentheses.
    let (_, fields) = stat.rsplit_once(") ")?;
    Some(fields.split_whitespace().map(str::to_owned).collect())
}

fn start_time(pid: Pid) -> Option<String> {
    stat_fields(pid)?.get(19).cloned()
}

fn send(line: &str) -> Result<(), Error> {
    static STDIN: Mutex<Option<ChildStdin>> = Mutex::new(None);
    let mut stdin = STDIN.lock().unwrap_or_else(PoisonError::into_inner);
    if stdin.is_none() {
        *stdin = Some(start().map_err(system("starting the process that clears up"))?);
    }
    let sent = stdin.as_mut().map_or(Ok(()), |stdin| writeln!(stdin, "{line}"));
    sent.map_err(system("the process that clears up was killed"))
}

/// It outlives us: there is nobody left to wait for it.
fn start() -> std::io::Result<ChildStdin> {
    let mut child = Command::new("sh")
        .args(["-c", include_str!("guardian.sh")])
        .current_dir("/")
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .process_group(0) // Ctrl-C on the terminal is for the owner, not for what clears up after it
        .spawn()?;
    child.stdin.take().ok_or_else(|| std::io::ErrorKind::BrokenPipe.into())
}
