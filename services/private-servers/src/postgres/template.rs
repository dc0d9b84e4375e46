//! A data directory that `initdb` made once, for every cluster to copy: `initdb` takes seconds, a copy a tenth of one.

use std::fs::{DirBuilder, OpenOptions};
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::io::Write as _;
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{SystemTime, UNIX_EPOCH};

use nix::unistd::{Gid, Uid};

use super::account::{command, hand_over, temp_dir};
use crate::Error;
use crate::error::system;

/// The name of the superuser of every cluster.
pub(super) const SUPERUSER: &str = "postgres";

pub(super) struct Template {
    /// `data` is the data directory, `password` the superuser's password.
    dir: PathBuf,
}

impl Template {
    /// The template of this server version, made now if need be.
    pub(super) fn get(bin: &Path, account: Option<(Uid, Gid)>) -> Result<Self, Error> {
        let home = home()?;
        let dir = home.join(key(bin)?);
        if !dir.join("password").exists() {
            make(&home, &dir, bin, account)?;
        }
        Ok(Self { dir })
    }

    pub(super) fn password(&self) -> Result<String, Error> {
        std::fs::read_to_string(self.dir.join("password")).map_err(system("reading the superuser's password"))
    }

    /// Copies the data directory, with its owner and modes.
    pub(super) fn copy_to(&self, data: &Path) -> Result<(), Error> {
        let mut copy = Command::new("cp");
        succeed(copy.arg("-a").arg(self.dir.join("data")).arg(data))
    }
}

/// A directory of our own. Its name can be guessed, so it counts only if nobody else could have made it.
fn home() -> Result<PathBuf, Error> {
    let home = temp_dir().join(format!("upwrite-clusters-{}", Uid::effective()));
    if let Err(error) = DirBuilder::new().mode(0o755).create(&home)
        && error.kind() != std::io::ErrorKind::AlreadyExists
    {
        return Err(system(format!("creating {}", home.display()))(error));
    }
    let meta = std::fs::symlink_metadata(&home).map_err(system(format!("looking at {}", home.display())))?;
    if meta.is_dir() && meta.uid() == Uid::effective().as_raw() && meta.mode() & 0o022 == 0 {
        Ok(home)
    } else {
        Err(Error::NotOurs(home))
    }
}

/// Server version, where it is installed (two builds of one version may differ in what a data directory needs), and day:
/// systems that clear their temporary directory do so file by file, so a template that grows old may lose a part of
/// itself.
fn key(bin: &Path) -> Result<String, Error> {
    let postgres = bin.join("postgres");
    let asked = Command::new(&postgres).arg("--version").output();
    let output = asked.map_err(system(format!("starting {} --version", postgres.display())))?;
    let text = String::from_utf8_lossy(&output.stdout);
    let version = text.split_whitespace().find(|word| word.starts_with(|c: char| c.is_ascii_digit()));
    let Some(version) = version else {
        let what = format!("{} --version names no version", postgres.display());
        let output = text.into_owned() + &String::from_utf8_lossy(&output.stderr);
        return Err(Error::Failed { what, output });
    };
    let mut place = DefaultHasher::new();
    bin.hash(&mut place);
    Ok(format!("{version}-{:016x}-{}", place.finish(), today()))
}

fn today() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs() / 86_400)
}

fn make(home: &Path, dir: &Path, bin: &Path, account: Option<(Uid, Gid)>) -> Result<(), Error> {
    remove_old(home);
    let building = tempfile::Builder::new().prefix("building-").tempdir_in(home);
    let building = building.map_err(system(format!("a folder in {}", home.display())))?;
    hand_over(building.path(), account)?;
    let password = uuid::Uuid::new_v4().simple().to_string();
    let password_file = building.path().join("password");
    OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(&password_file)
        .and_then(|mut file| file.write_all(password.as_bytes()))
        .map_err(system("writing the superuser's password"))?;
    hand_over(&password_file, account)?;
    let mut initdb = command(&bin.join("initdb"), account);
    initdb
        .args(["-A", "scram-sha-256", "-U", SUPERUSER, "-E", "UTF8", "--locale=C.UTF-8", "--no-sync"])
        .arg("--pwfile")
        .arg(&password_file)
        .arg("-D")
        .arg(building.path().join("data"));
    succeed(&mut initdb)?;
    // Another process may have been quicker; then its template stays, and ours goes.
    match std::fs::rename(building.path(), dir) {
        Ok(()) => {
            let _moved = building.keep();
            Ok(())
        }
        Err(_) if dir.join("password").exists() => Ok(()),
        Err(error) => Err(system(format!("moving the template to {}", dir.display()))(error)),
    }
}

/// Runs a program that must succeed.
fn succeed(command: &mut Command) -> Result<(), Error> {
    let output = command.output().map_err(system(format!("starting {command:?}")))?;
    if output.status.success() {
        return Ok(());
    }
    let what = format!("{command:?}: {}", output.status);
    Err(Error::Failed { what, output: String::from_utf8_lossy(&output.stderr).into_owned() })
}

/// Templates of the day before yesterday and earlier. Best effort: a leftover costs 40 MB, nothing else.
fn remove_old(home: &Path) {
    for entry in std::fs::read_dir(home).into_iter().flatten().flatten() {
        let name = entry.file_name();
        let day = name.to_str().and_then(|name| name.rsplit_once('-')?.1.parse::<u64>().ok());
        if day.is_some_and(|day| day + 1 < today()) {
            let _ = std::fs::remove_dir_all(entry.path());
        }
    }
}
