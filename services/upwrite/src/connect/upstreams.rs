//! Configuration → connectors.

use std::collections::HashMap;
use std::sync::Arc;

use upwrite_connectors::{Budget, Connector};

use crate::config::Config;

/// One connector a source, by name, with its rate budget. All mistakes of all sources are reported together.
pub(crate) fn connectors(
    config: &Config,
    budgets: &HashMap<String, Budget>,
) -> anyhow::Result<HashMap<String, Arc<dyn Connector>>> {
    upwrite_connectors::connectors(&config.sources, budgets).map_err(|mistakes| anyhow::anyhow!(mistakes.join("\n")))
}
