//! jsforce, a client of the vendor's API that knows nothing of this project, drives the sandbox.

use std::path::{Path, PathBuf};
use std::process::Command;

use upwrite_sandbox::salesforce::{OrgOptions, Salesforce};
use upwrite_sandbox::{Options, Sandbox};

/// Installs what the lock file pins, unless it is there; fails where node or npm is missing.
fn installed() -> PathBuf {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/jsforce");
    if !folder.join("node_modules/jsforce/package.json").exists() {
        let npm = Command::new("npm").args(["ci", "--ignore-scripts"]).current_dir(&folder).output();
        let npm = npm.expect("npm is needed: install Node.js 18 or newer");
        assert!(npm.status.success(), "npm ci: {}", String::from_utf8_lossy(&npm.stderr));
    }
    folder
}

#[tokio::test(flavor = "multi_thread")]
async fn jsforce_finds_a_real_organisation() {
    let salesforce = Salesforce::new(OrgOptions { contacts: 450, ..OrgOptions::default() });
    let running = Sandbox::start(Options::default(), salesforce).await.unwrap();
    let folder = tokio::task::spawn_blocking(installed).await.unwrap();
    let mut node = tokio::process::Command::new("node");
    let done = node.arg(folder.join("drive.mjs")).arg(&running.base_url).output().await;
    let done = done.expect("node is needed: install Node.js 18 or newer");
    let (out, err) = (String::from_utf8_lossy(&done.stdout), String::from_utf8_lossy(&done.stderr));
    assert!(done.status.success(), "{out}\n{err}");
    assert_eq!(out.lines().filter(|l| l.starts_with("ok ")).count(), 10, "{out}");
    running.stop().await.unwrap();
}
