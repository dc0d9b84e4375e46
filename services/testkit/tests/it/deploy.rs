//! `docker-compose.yml` and what it mounts. There may be no container engine here: what can be checked without one is
//! that both readers' common form is kept, that the files are there, and that the programs take them.

use std::path::{Path, PathBuf};
use std::process::Command;

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

fn compose(arguments: &[&str]) -> String {
    let mut command = Command::new("docker-compose");
    command.current_dir(root()).args(["--env-file", "deploy/example.env", "--profile", "demo"]).args(arguments);
    let output = command.output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "docker-compose {arguments:?}: {said}");
    String::from_utf8(output.stdout).unwrap()
}

fn file(path: &str) -> String {
    std::fs::read_to_string(root().join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

#[test]
fn the_compose_file_is_valid_and_describes_every_service() {
    let services = compose(&["config", "--services"]);
    for wanted in [
        "kafka-1",
        "kafka-2",
        "kafka-3",
        "registry",
        "postgres",
        "setup",
        "proxy-1",
        "proxy-2",
        "applier-1",
        "applier-2",
        "reconciler-1",
        "reconciler-2",
        "syncer",
        "control",
        "salesforce",
        "otel-collector",
        "prometheus",
    ] {
        assert!(services.lines().any(|service| service == wanted), "{wanted} is missing from:\n{services}");
    }
}

#[test]
fn what_the_compose_file_mounts_and_builds_exists() {
    let text = file("docker-compose.yml");
    let mounts: Vec<&str> = text
        .split_whitespace()
        .filter_map(|word| word.strip_prefix("./"))
        .filter_map(|mount| mount.split(':').next())
        .collect();
    assert!(mounts.len() > 5, "{mounts:?}");
    mounts.iter().for_each(|path| assert!(root().join(path).exists(), "{path} is mounted, and is not there"));
    let dockerfile = file("Dockerfile");
    let targets: Vec<&str> = text.lines().filter_map(|line| line.trim().strip_prefix("target: ")).collect();
    assert!(targets.len() > 1, "{targets:?}");
    targets.iter().for_each(|target| assert!(dockerfile.contains(&format!(" AS {target}\n")), "no stage {target}"));
}

/// Each node's part of the settings says where it is, and nothing that would make it another broker than the tests'.
#[test]
fn brokers_are_configured_by_the_file_that_the_tests_use() {
    const OF_A_NODE: [&str; 4] = ["node.id", "controller.quorum.voters", "listeners", "advertised.listeners"];
    let text = file("docker-compose.yml");
    let kafka = text.split_once("services:").unwrap().1.split_once("\n  registry:").unwrap().0;
    let settings: Vec<&str> = kafka
        .lines()
        .filter_map(|line| line.trim().strip_prefix("- "))
        .filter_map(|item| item.split_once('=').map(|(name, _)| name))
        .collect();
    assert_eq!(settings.len(), 3 * OF_A_NODE.len(), "{settings:?}");
    assert!(settings.iter().all(|name| OF_A_NODE.contains(name)), "{settings:?}");
}

#[test]
fn the_configuration_of_the_services_has_no_mistakes() {
    let mut command = Command::new(upwrite_testkit::binary("upwrite"));
    command.args(["check-config", "--config"]).arg(root().join("deploy/upwrite.toml"));
    for line in file("deploy/example.env").lines().filter(|line| !line.starts_with('#')) {
        let (name, value) = line.split_once('=').unwrap();
        command.env(name, value);
        if name == "POSTGRES_PASSWORD" {
            command.env("UPWRITE_SETUP_PASSWORD", value); // as docker-compose.yml does
        }
    }
    let output = command.output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

/// No secret has a default: a forgotten one stops the start, instead of being known to everybody.
#[test]
fn the_compose_file_has_no_default_passwords() {
    let nothing = tempfile::NamedTempFile::new().unwrap();
    let mut command = Command::new("docker-compose");
    command.current_dir(root()).arg("--env-file").arg(nothing.path()).args(["config", "-q"]).env_clear();
    command.env("PATH", std::env::var_os("PATH").unwrap_or_default());
    let output = command.output().unwrap();
    assert!(!output.status.success());
    assert!(String::from_utf8_lossy(&output.stderr).contains("deploy/example.env"), "{output:?}");
}
