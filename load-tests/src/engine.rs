//! Which engine of the log is measured.

use std::time::Duration;

use clap::ValueEnum;
use upwrite_e2e::{Log, Options};

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Engine {
    Postgres,
    Kafka,
}

impl Engine {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Postgres => "Postgres",
            Self::Kafka => "Kafka",
        }
    }

    /// A world whose disk writes are real, and whose settings are those of the reference configuration as far as a
    /// benchmark can wait for them.
    pub(crate) fn options(self) -> Options {
        Options {
            log: match self {
                Self::Postgres => Log::Postgres,
                Self::Kafka => Log::OwnKafka { brokers: 1, registry: true },
            },
            partitions: 4,
            session_timeout: Duration::from_secs(2),
            fsync: true,
            level: "warn,upwrite=info".into(),
            ..Options::default()
        }
    }
}
