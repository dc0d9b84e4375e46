//! Client libraries of other languages, at the versions that `drivers/` pins.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::LazyLock;

use crate::binary::workspace_root;

/// The interpreter of a virtual environment with psycopg 3, asyncpg, SQLAlchemy and confluent-kafka. Made at the first
/// call.
pub fn python() -> PathBuf {
    static READY: LazyLock<()> = LazyLock::new(|| install("python"));
    LazyLock::force(&READY);
    drivers().join(".venv/bin/python")
}

/// A folder whose `node_modules` has pg, postgres and jsforce. Filled at the first call.
pub fn node_dir() -> PathBuf {
    static READY: LazyLock<()> = LazyLock::new(|| install("node"));
    LazyLock::force(&READY);
    drivers()
}

/// `node SCRIPT`, where the script may `require` what [`node_dir`] has. (ES modules ignore `NODE_PATH`: such a script
/// uses `createRequire`.)
pub fn node(script: impl AsRef<Path>) -> Command {
    let modules = node_dir().join("node_modules");
    let mut command = Command::new("node");
    command.env("NODE_PATH", modules).arg(script.as_ref());
    command
}

/// The Java example of `docs/examples/consume`; give it its arguments. Built at the first call.
pub fn java_example() -> Command {
    static READY: LazyLock<()> = LazyLock::new(|| install("java"));
    LazyLock::force(&READY);
    let folder = workspace_root().join("target/tools/java");
    let mut command = Command::new("java");
    command.arg("-cp").arg(format!("{0}/consume-1.jar:{0}/libs/*", folder.display())).arg("Consume");
    command
}

/// A file of `docs/examples`.
pub fn example(path: &str) -> PathBuf {
    workspace_root().join("docs/examples").join(path)
}

fn drivers() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("drivers")
}

/// Quick when everything is there already.
fn install(what: &str) {
    let output = Command::new(workspace_root().join("scripts/install-tools"))
        .arg(what)
        .output()
        .unwrap_or_else(|error| panic!("starting scripts/install-tools: {error}"));
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "scripts/install-tools {what}: {}\n{said}", output.status);
}
