//! Where the fetched Java programs are.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Result, bail};

use crate::binary::workspace_root;

/// A server that only tests use starts quickly and stays small; it is never run long enough to earn more.
pub(super) const JVM: [&str; 2] = ["-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1"];

/// The folder of what `scripts/install-tools kafka` fetched.
///
/// # Errors
/// If it is not there, or is of other versions than `kafka/pom.xml` wants.
pub(super) fn folder() -> Result<PathBuf> {
    let folder = workspace_root().join("target/tools/kafka");
    let wanted = std::fs::read(Path::new(env!("CARGO_MANIFEST_DIR")).join("kafka/pom.xml"))?;
    if std::fs::read(folder.join("stamp")).ok() != Some(wanted) {
        bail!("no Kafka at the wanted version in {}: run scripts/install-tools kafka", folder.display());
    }
    Ok(folder)
}

/// One of Kafka's own command line tools, such as `org.apache.kafka.tools.TopicCommand`; give it its arguments.
///
/// # Panics
/// If Kafka is not installed.
pub fn tool(class: &str) -> Command {
    let folder = folder().unwrap_or_else(|error| panic!("{error:#}"));
    let log = workspace_root().join("deploy/kafka/log4j2.properties");
    let mut command = Command::new("java");
    command.args(JVM).arg("-Xmx128m").arg("-cp").arg(folder.join("libs/*"));
    command.arg(format!("-Dlog4j2.configurationFile={}", log.display())).arg(class);
    command
}
