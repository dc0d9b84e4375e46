//! Log lines go to standard error, as text or JSON, levels by component.

use std::io::IsTerminal as _;

use anyhow::Context as _;
use tracing_subscriber::EnvFilter;
use tracing_subscriber::util::SubscriberInitExt as _;

use crate::config::Logging;

/// Begins logging. `RUST_LOG` overrides the configured level.
pub(crate) fn begin(logging: &Logging) -> anyhow::Result<()> {
    let filter = match std::env::var("RUST_LOG") {
        Ok(level) if !level.is_empty() => EnvFilter::try_new(level).context("RUST_LOG")?,
        _ => EnvFilter::try_new(&logging.level).context("logging.level")?,
    };
    let subscriber = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
    if logging.json {
        subscriber.json().finish().try_init()?;
    } else {
        subscriber.with_ansi(std::io::stderr().is_terminal()).finish().try_init()?;
    }
    Ok(())
}
