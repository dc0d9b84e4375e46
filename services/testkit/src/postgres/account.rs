//! Where the server's programs are, who runs them and where their files may be.

use std::os::unix::fs::MetadataExt as _;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result, bail};
use nix::unistd::{Gid, Uid, User};

/// `initdb` and `postgres` refuse to run as root: then they run as this user, whom the Debian package creates.
const SERVER_USER: &str = "postgres";

/// Longest temporary directory that leaves room for `/uw-XXXXXX/.s.PGSQL.65535.lock` in a Unix socket's path (107).
const TEMP_DIR_MAX_BYTES: usize = 70;

/// The directory of `initdb`, `postgres` and `psql`: the newest under `/usr/lib/postgresql`, else what `pg_config` says.
///
/// # Errors
/// If there is no server on this machine.
pub fn bindir() -> Result<PathBuf> {
    let mut found: Vec<(u32, PathBuf)> = std::fs::read_dir("/usr/lib/postgresql")
        .into_iter()
        .flatten()
        .flatten()
        .filter_map(|entry| Some((entry.file_name().to_str()?.parse().ok()?, entry.path().join("bin"))))
        .filter(|(_, bin)| bin.join("initdb").exists() && bin.join("postgres").exists())
        .collect();
    found.sort();
    if let Some((_, bin)) = found.pop() {
        return Ok(bin);
    }
    if let Ok(output) = Command::new("pg_config").arg("--bindir").output() {
        let bin = PathBuf::from(String::from_utf8_lossy(&output.stdout).trim());
        if bin.join("initdb").exists() {
            return Ok(bin);
        }
    }
    bail!("no PostgreSQL server found: run scripts/install-system-packages")
}

/// Who runs the server: `None` is the user of this process.
pub(super) fn account() -> Result<Option<(Uid, Gid)>> {
    if !Uid::effective().is_root() {
        return Ok(None);
    }
    let user = User::from_name(SERVER_USER)
        .context("reading the user database")?
        .with_context(|| format!("PostgreSQL does not run as root, and there is no user {SERVER_USER}"))?;
    Ok(Some((user.uid, user.gid)))
}

/// A command of the server's account.
pub(super) fn command(program: &Path, account: Option<(Uid, Gid)>) -> Command {
    let mut command = Command::new(program);
    command.current_dir("/").env_remove("LC_ALL").env("LC_ALL", "C.UTF-8");
    if let Some((uid, gid)) = account {
        command.uid(uid.as_raw()).gid(gid.as_raw());
    }
    command
}

/// Gives a directory to the server's account.
pub(super) fn hand_over(path: &Path, account: Option<(Uid, Gid)>) -> Result<()> {
    let Some((uid, gid)) = account else {
        return Ok(());
    };
    std::os::unix::fs::chown(path, Some(uid.as_raw()), Some(gid.as_raw()))
        .with_context(|| format!("giving {} to {SERVER_USER}", path.display()))
}

/// A temporary directory that is short enough for Unix sockets and that the server's account can reach.
pub(super) fn temp_dir() -> PathBuf {
    let wanted = std::env::temp_dir();
    let reachable =
        |path: &Path| path.ancestors().all(|part| std::fs::metadata(part).is_ok_and(|meta| meta.mode() & 0o001 != 0));
    if wanted.as_os_str().len() <= TEMP_DIR_MAX_BYTES && (!Uid::effective().is_root() || reachable(&wanted)) {
        wanted
    } else {
        PathBuf::from("/tmp")
    }
}
