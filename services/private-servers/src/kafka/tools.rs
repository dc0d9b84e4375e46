//! Where the fetched Java programs are.

use std::path::{Path, PathBuf};

use crate::error::system;
use crate::{Error, checkout};

/// Options of a JVM that starts quickly and stays small: these servers never run long enough to earn more.
pub const JVM: [&str; 2] = ["-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1"];

/// The folder of what `scripts/install-tools kafka` fetched.
///
/// # Errors
/// `NotInstalled` if it is not there, or is of other versions than `kafka/pom.xml` wants.
pub fn folder() -> Result<PathBuf, Error> {
    let folder = checkout().join("target/tools/kafka");
    let pom = Path::new(env!("CARGO_MANIFEST_DIR")).join("kafka/pom.xml");
    let wanted = std::fs::read(&pom).map_err(system(format!("reading {}", pom.display())))?;
    if std::fs::read(folder.join("stamp")).ok() == Some(wanted) {
        return Ok(folder);
    }
    let place = folder.display();
    Err(Error::NotInstalled(format!("no Kafka at the wanted version in {place}: run scripts/install-tools kafka")))
}
