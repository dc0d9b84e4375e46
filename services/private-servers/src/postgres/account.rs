//! Where the server's programs are, who runs them and where their files may be.

use std::os::unix::fs::MetadataExt as _;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use nix::unistd::{Gid, Uid, User};

use crate::Error;
use crate::error::system;

/// `initdb` and `postgres` refuse to run as root: then they run as this user, whom the Debian package creates.
const SERVER_USER: &str = "postgres";

/// Longest temporary directory that leaves room for `/uw-XXXXXX/.s.PGSQL.65535.lock` in a Unix socket's path (107).
const TEMP_DIR_MAX_BYTES: usize = 70;

/// The directory of `initdb`, `postgres` and `psql`: the newest under `/usr/lib/postgresql`, else what `pg_config` says.
///
/// # Errors
/// `NotInstalled` if there is no server on this machine.
pub fn installed_bindir() -> Result<PathBuf, Error> {
    let mut found: Vec<(u32, PathBuf)> = std::fs::read_dir("/usr/lib/postgresql")
        .into_iter()
        .flatten()
        .flatten()
        .filter_map(|entry| Some((entry.file_name().to_str()?.parse().ok()?, entry.path().join("bin"))))
        .filter(|(_, bin)| check_bindir(bin).is_ok())
        .collect();
    found.sort();
    if let Some((_, bin)) = found.pop() {
        return Ok(bin);
    }
    if let Ok(output) = Command::new("pg_config").arg("--bindir").output() {
        let bin = PathBuf::from(String::from_utf8_lossy(&output.stdout).trim());
        if check_bindir(&bin).is_ok() {
            return Ok(bin);
        }
    }
    Err(Error::NotInstalled("no PostgreSQL server found: run scripts/install-system-packages".to_owned()))
}

/// Whether this is the directory of a server's programs.
///
/// # Errors
/// `NotInstalled`, which names the program that is not there.
pub fn check_bindir(bin: &Path) -> Result<(), Error> {
    match ["initdb", "postgres"].iter().find(|program| !bin.join(program).is_file()) {
        Some(missing) => Err(Error::NotInstalled(format!("no {missing} in {}", bin.display()))),
        None => Ok(()),
    }
}

/// Who runs the server: `None` is the user of this process.
pub(super) fn account() -> Result<Option<(Uid, Gid)>, Error> {
    if !Uid::effective().is_root() {
        return Ok(None);
    }
    let user = User::from_name(SERVER_USER).map_err(|errno| system("reading the user database")(errno.into()))?;
    let Some(user) = user else {
        let text = format!("PostgreSQL does not run as root, and there is no user {SERVER_USER}");
        return Err(Error::NotInstalled(text));
    };
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
pub(super) fn hand_over(path: &Path, account: Option<(Uid, Gid)>) -> Result<(), Error> {
    let Some((uid, gid)) = account else {
        return Ok(());
    };
    std::os::unix::fs::chown(path, Some(uid.as_raw()), Some(gid.as_raw()))
        .map_err(system(format!("giving {} to {SERVER_USER}", path.display())))
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
