//! The log's brokers, where the log is on Kafka.

use upwrite_testkit::kafka::{Broker, Brokers, Registry, unique_prefix};

use crate::Log;

/// Brokers and topics.
pub struct Kafka {
    pub bootstrap: String,
    pub topic_prefix: String,
    pub registry_url: Option<String>,
    copies: usize,
    /// Of this site's own.
    pub brokers: Option<Brokers>,
    _registry: Option<Registry>,
}

impl Kafka {
    pub(crate) async fn start(log: Log) -> Option<Self> {
        let topic_prefix = unique_prefix();
        match log {
            Log::Postgres => None,
            Log::Kafka { registry } => Some(Self {
                bootstrap: Broker::shared().await.bootstrap(),
                topic_prefix,
                registry_url: if registry { Some(Registry::shared().await.url()) } else { None },
                copies: 1,
                brokers: None,
                _registry: None,
            }),
            Log::OwnKafka { brokers: count, registry } => {
                let brokers = Brokers::start(count).await;
                let registry = if registry { Some(Registry::start().await) } else { None };
                Some(Self {
                    bootstrap: brokers.bootstrap(),
                    topic_prefix,
                    registry_url: registry.as_ref().map(|registry| registry.url()),
                    copies: count.min(3),
                    brokers: Some(brokers),
                    _registry: registry,
                })
            }
        }
    }

    /// Sections `[kafka]`.
    pub(crate) fn config(&self) -> String {
        let mut text = format!(
            "[kafka]\nbrokers = \"{}\"\ntopic_prefix = \"{}\"\nreplication = {}\n",
            self.bootstrap, self.topic_prefix, self.copies
        );
        if let Some(url) = &self.registry_url {
            text.push_str(&format!("[kafka.registry]\nurl = \"{url}\"\n"));
        }
        text
    }
}
