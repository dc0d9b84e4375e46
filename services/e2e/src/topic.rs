//! What a consumer finds in the topics of records.

use std::process::Stdio;

use upwrite_testkit::kafka::tool;

use crate::Kafka;

/// One record of a topic `<prefix>.records.<source>.<table>`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Published {
    pub key: String,
    pub version: i64,
    /// A tombstone.
    pub gone: bool,
}

impl Kafka {
    /// All that a new consumer of the table's topic reads, in order, with Kafka's own console consumer.
    pub fn published(&self, table: &str) -> Vec<Published> {
        let topic = format!("{}.records.{table}", self.topic_prefix);
        let mut command = tool("org.apache.kafka.tools.consumer.ConsoleConsumer");
        command.args(["--bootstrap-server", &self.bootstrap, "--topic", &topic, "--from-beginning"]);
        command.args(["--isolation-level", "read_committed", "--timeout-ms", "5000"]);
        command.args(["--property", "print.key=true", "--property", "print.headers=true"]);
        command.args(["--property", "null.literal=gone"]);
        let output = command.stderr(Stdio::inherit()).output().unwrap();
        // Values are Avro: what of them looks like the end of a line is no record, and has no header of ours.
        String::from_utf8_lossy(&output.stdout).lines().filter_map(published).collect()
    }
}

/// Headers, key and value, with tabs between.
fn published(line: &str) -> Option<Published> {
    let mut parts = line.splitn(3, '\t');
    let (headers, key, value) = (parts.next()?, parts.next()?, parts.next()?);
    let version = headers.split(',').find_map(|header| header.strip_prefix("upwrite-version:"))?;
    Some(Published { key: key.to_owned(), version: version.parse().ok()?, gone: value == "gone" })
}
