//! Configuration → connectors.

use std::collections::HashMap;
use std::sync::Arc;

use upwrite_connectors::{Connector, salesforce};

use crate::config::{Config, Source};

/// One connector a source, by name. All mistakes of all sources are reported together.
pub(crate) fn connectors(config: &Config) -> anyhow::Result<HashMap<String, Arc<dyn Connector>>> {
    let mut connectors: HashMap<String, Arc<dyn Connector>> = HashMap::new();
    let mut mistakes = Vec::new();
    for source in &config.sources {
        match source {
            Source::Salesforce(settings) => match salesforce::Salesforce::new(settings.clone()) {
                Ok(connector) => {
                    connectors.insert(settings.source.clone(), Arc::new(connector));
                }
                Err(found) => mistakes.push(format!("sources.{}: {found}", settings.source)),
            },
        }
    }
    if mistakes.is_empty() { Ok(connectors) } else { anyhow::bail!(mistakes.join("\n")) }
}
