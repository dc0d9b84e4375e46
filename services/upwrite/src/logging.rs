//! Log lines go to standard error, as text or JSON, levels by component. Spans of mutations go to the collector, if there
//! is one.

use std::io::IsTerminal as _;

use anyhow::Context as _;
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;
use tracing_subscriber::{EnvFilter, Layer as _};

use crate::config::Logging;
use crate::observe::Traces;

/// Begins logging. `RUST_LOG` overrides the configured level.
pub(crate) fn begin(logging: &Logging, traces: Option<&Traces>) -> anyhow::Result<()> {
    let filter = match std::env::var("RUST_LOG") {
        Ok(level) if !level.is_empty() => EnvFilter::try_new(level).context("RUST_LOG")?,
        _ => EnvFilter::try_new(&logging.level).context("logging.level")?,
    };
    // Where nobody takes the spans, they are not even made.
    let filter = filter.add_directive("upwrite::trace=off".parse().context("the directive for spans")?);
    let lines = tracing_subscriber::fmt::layer().with_writer(std::io::stderr);
    let lines = if logging.json {
        lines.json().with_filter(filter).boxed()
    } else {
        lines.with_ansi(std::io::stderr().is_terminal()).with_filter(filter).boxed()
    };
    tracing_subscriber::registry().with(lines).with(traces.map(Traces::layer)).try_init()?;
    Ok(())
}
