//! Executables of this workspace.

use std::collections::HashSet;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{LazyLock, Mutex, PoisonError};

/// The path of an executable of this workspace (`upwrite`, `upwrite-sandbox`), up to date: cargo is asked once for each
/// name and test process to build it, into the target folder and profile of the running test.
///
/// `UPWRITE_BINARIES_BUILT=1` says that they have been built (`make test` does so) and skips that.
#[track_caller]
pub fn binary(name: &str) -> PathBuf {
    static BUILT: LazyLock<Mutex<HashSet<String>>> = LazyLock::new(Mutex::default);
    let profile_dir = profile_dir();
    let path = profile_dir.join(name);
    let mut built = BUILT.lock().unwrap_or_else(PoisonError::into_inner);
    let trusted = std::env::var_os("UPWRITE_BINARIES_BUILT").is_some() && path.exists();
    if !trusted && !built.contains(name) {
        build(name, &profile_dir);
        built.insert(name.to_owned());
    }
    assert!(path.exists(), "cargo built {name}, but {} is not there", path.display());
    path
}

/// The folder of the workspace's root.
pub(crate) fn workspace_root() -> &'static Path {
    upwrite_private_servers::checkout()
}

/// `TARGET/PROFILE`: the tests themselves run from `TARGET/PROFILE/deps`.
fn profile_dir() -> PathBuf {
    let test = std::env::current_exe().expect("a running test has an executable");
    let dir = test.parent().expect("an executable has a folder");
    let dir = if dir.ends_with("deps") { dir.parent().expect("TARGET/PROFILE/deps has a parent") } else { dir };
    dir.to_owned()
}

fn build(name: &str, profile_dir: &Path) {
    let profile = match profile_dir.file_name().and_then(|name| name.to_str()) {
        None | Some("debug") => "dev",
        Some(other) => other,
    };
    let target = profile_dir.parent().expect("TARGET/PROFILE has a parent");
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    // The whole workspace's features, as `cargo test --workspace` has them: else dependencies are built again.
    let output = Command::new(cargo)
        .current_dir(workspace_root())
        .args(["build", "--quiet", "--locked", "--workspace", "--bin", name, "--profile", profile, "--target-dir"])
        .arg(target)
        .output()
        .unwrap_or_else(|error| panic!("starting cargo: {error}"));
    assert!(output.status.success(), "building {name}: {}", String::from_utf8_lossy(&output.stderr));
}
