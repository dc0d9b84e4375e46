//! What a consumer finds in the topics of records.

use std::process::{Command, Stdio};

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
    /// All that a new consumer of the table's topic reads, in order. kcat ends at the end of each partition, however long
    /// that takes.
    pub fn published(&self, table: &str) -> Vec<Published> {
        let topic = format!("{}.records.{table}", self.topic_prefix);
        let mut command = Command::new("kcat");
        command.args(["-C", "-e", "-q", "-b", &self.bootstrap, "-t", &topic, "-o", "beginning"]);
        command.args(["-X", "isolation.level=read_committed", "-f", "%h\t%k\t%S\n"]);
        let output = command.stderr(Stdio::inherit()).output().unwrap();
        assert!(output.status.success(), "kcat ended with {}", output.status);
        String::from_utf8(output.stdout).unwrap().lines().map(published).collect()
    }
}

/// Headers, key and the value's length, with tabs between.
fn published(line: &str) -> Published {
    let parts: Vec<&str> = line.split('\t').collect();
    let [headers, key, length] = parts[..] else { panic!("not a record: {line}") };
    let version = headers.split(',').find_map(|header| header.strip_prefix("upwrite-version=")).expect("a version");
    Published { key: key.to_owned(), version: version.parse().unwrap(), gone: length == "-1" }
}
