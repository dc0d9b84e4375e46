//! Private Kafka brokers and a schema registry for tests.
//!
//! `scripts/install-tools kafka` fetches both (`make test` does so).

mod broker;
mod brokers;
mod registry;

use std::process::Command;

use upwrite_private_servers::kafka as private;
pub use upwrite_private_servers::kafka::{Certificates, Options, RegistryOptions};

use crate::binary::workspace_root;
use crate::must::must;

pub use broker::Broker;
pub use brokers::Brokers;
pub use registry::Registry;

/// One of Kafka's own command line tools, such as `org.apache.kafka.tools.TopicCommand`; give it its arguments.
///
/// # Panics
/// If Kafka is not installed.
pub fn tool(class: &str) -> Command {
    let folder = must(private::folder());
    let log = workspace_root().join("deploy/kafka/log4j2.properties");
    let mut command = Command::new("java");
    command.args(private::JVM).arg("-Xmx128m").arg("-cp").arg(folder.join("libs/*"));
    command.arg(format!("-Dlog4j2.configurationFile={}", log.display())).arg(class);
    command
}

/// The start of topic names that nobody else uses.
pub fn unique_prefix() -> String {
    format!("t{}", uuid::Uuid::new_v4().simple())
}

#[cfg(test)]
mod tests {
    use super::unique_prefix;

    #[test]
    fn names_are_fresh() {
        assert_ne!(unique_prefix(), unique_prefix());
    }
}
