//! A data directory that `initdb` made once, for every cluster to copy: `initdb` takes seconds, a copy a tenth of one.

use std::fs::{DirBuilder, OpenOptions};
use std::io::Write as _;
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{SystemTime, UNIX_EPOCH};

use anyhow::{Context as _, Result, bail, ensure};
use nix::unistd::{Gid, Uid};

use super::account::{command, hand_over, temp_dir};

/// The name of the superuser of every cluster.
pub(super) const SUPERUSER: &str = "postgres";

pub(super) struct Template {
    /// `data` is the data directory, `password` the superuser's password.
    dir: PathBuf,
}

impl Template {
    /// The template of this server version, made now if need be.
    pub(super) fn get(bin: &Path, account: Option<(Uid, Gid)>) -> Result<Self> {
        let home = home()?;
        let dir = home.join(key(bin)?);
        if !dir.join("password").exists() {
            make(&home, &dir, bin, account)?;
        }
        Ok(Self { dir })
    }

    pub(super) fn password(&self) -> Result<String> {
        Ok(std::fs::read_to_string(self.dir.join("password"))?)
    }

    /// Copies the data directory, with its owner and modes.
    pub(super) fn copy_to(&self, data: &Path) -> Result<()> {
        let status =
            Command::new("cp").arg("-a").arg(self.dir.join("data")).arg(data).status().context("starting cp")?;
        ensure!(status.success(), "copying the template data directory to {}: {status}", data.display());
        Ok(())
    }
}

/// A directory of our own. Its name can be guessed, so it counts only if nobody else could have made it.
fn home() -> Result<PathBuf> {
    let home = temp_dir().join(format!("upwrite-testkit-{}", Uid::effective()));
    if let Err(error) = DirBuilder::new().mode(0o755).create(&home)
        && error.kind() != std::io::ErrorKind::AlreadyExists
    {
        return Err(error).with_context(|| format!("creating {}", home.display()));
    }
    let meta = std::fs::symlink_metadata(&home)?;
    ensure!(
        meta.is_dir() && meta.uid() == Uid::effective().as_raw() && meta.mode() & 0o022 == 0,
        "{} belongs to somebody else: remove it",
        home.display()
    );
    Ok(home)
}

/// Server version and day: systems that clear their temporary directory do so file by file, so a template that grows
/// old may lose a part of itself.
fn key(bin: &Path) -> Result<String> {
    let output = Command::new(bin.join("postgres")).arg("--version").output().context("postgres --version")?;
    let version = String::from_utf8_lossy(&output.stdout)
        .split_whitespace()
        .find(|word| word.starts_with(|c: char| c.is_ascii_digit()))
        .context("postgres --version names no version")?
        .to_owned();
    Ok(format!("{version}-{}", today()))
}

fn today() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs() / 86_400)
}

fn make(home: &Path, dir: &Path, bin: &Path, account: Option<(Uid, Gid)>) -> Result<()> {
    remove_old(home);
    let building = tempfile::Builder::new().prefix("building-").tempdir_in(home)?;
    hand_over(building.path(), account)?;
    let password = uuid::Uuid::new_v4().simple().to_string();
    let password_file = building.path().join("password");
    OpenOptions::new().write(true).create_new(true).mode(0o600).open(&password_file)?.write_all(password.as_bytes())?;
    hand_over(&password_file, account)?;
    let output = command(&bin.join("initdb"), account)
        .args(["-A", "scram-sha-256", "-U", SUPERUSER, "-E", "UTF8", "--locale=C.UTF-8", "--no-sync"])
        .arg("--pwfile")
        .arg(&password_file)
        .arg("-D")
        .arg(building.path().join("data"))
        .output()
        .context("starting initdb")?;
    if !output.status.success() {
        bail!("initdb: {}: {}", output.status, String::from_utf8_lossy(&output.stderr));
    }
    // Another process may have been quicker; then its template stays, and ours goes.
    match std::fs::rename(building.path(), dir) {
        Ok(()) => {
            let _moved = building.keep();
            Ok(())
        }
        Err(_) if dir.join("password").exists() => Ok(()),
        Err(error) => Err(error).with_context(|| format!("moving the template to {}", dir.display())),
    }
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
