//! Log lines go to standard error, as text or JSON, levels by component. Spans of mutations go to the collector, if there
//! is one.

use std::io::IsTerminal as _;

use anyhow::Context as _;
use tracing::level_filters::LevelFilter;
use tracing::span::{Attributes, Id, Record};
use tracing::subscriber::Interest;
use tracing::{Event, Metadata, Subscriber};
use tracing_subscriber::layer::{Context, Filter, SubscriberExt as _};
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
    // Without a collector spans are not even made.
    let filter = filter.add_directive("upwrite::trace=off".parse().context("the directive for spans")?);
    let lines = tracing_subscriber::fmt::layer().with_writer(std::io::stderr);
    let filter = AlwaysAsked(filter);
    let lines = if logging.json {
        lines.json().with_filter(filter).boxed()
    } else {
        lines.with_ansi(std::io::stderr().is_terminal()).with_filter(filter).boxed()
    };
    tracing_subscriber::registry().with(lines).with(traces.map(Traces::layer)).try_init()?;
    Ok(())
}

/// The levels of the log, asked for each line again. A layer's filter leaves its last answer for the thread's next line,
/// and where it has once said "always" it is not asked before that line. So code that asks only whether a line would be
/// wanted, as rdkafka does whenever it makes a client, would take the thread's next line away.
struct AlwaysAsked(EnvFilter);

impl<S: Subscriber> Filter<S> for AlwaysAsked {
    fn enabled(&self, metadata: &Metadata<'_>, context: &Context<'_, S>) -> bool {
        Filter::enabled(&self.0, metadata, context)
    }

    fn callsite_enabled(&self, metadata: &'static Metadata<'static>) -> Interest {
        let interest = <EnvFilter as Filter<S>>::callsite_enabled(&self.0, metadata);
        if interest.is_always() { Interest::sometimes() } else { interest }
    }

    fn event_enabled(&self, event: &Event<'_>, context: &Context<'_, S>) -> bool {
        Filter::event_enabled(&self.0, event, context)
    }

    fn max_level_hint(&self) -> Option<LevelFilter> {
        <EnvFilter as Filter<S>>::max_level_hint(&self.0)
    }

    fn on_new_span(&self, attributes: &Attributes<'_>, id: &Id, context: Context<'_, S>) {
        Filter::on_new_span(&self.0, attributes, id, context);
    }

    fn on_record(&self, id: &Id, values: &Record<'_>, context: Context<'_, S>) {
        Filter::on_record(&self.0, id, values, context);
    }

    fn on_enter(&self, id: &Id, context: Context<'_, S>) {
        Filter::on_enter(&self.0, id, context);
    }

    fn on_exit(&self, id: &Id, context: Context<'_, S>) {
        Filter::on_exit(&self.0, id, context);
    }

    fn on_close(&self, id: Id, context: Context<'_, S>) {
        Filter::on_close(&self.0, id, context);
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;
    use std::sync::{Arc, Mutex};

    use tracing_log::{AsTrace as _, log};

    use super::*;

    #[derive(Clone, Default)]
    struct Lines(Arc<Mutex<Vec<u8>>>);

    impl Write for Lines {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0.lock().unwrap().extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn a_question_takes_no_line_away() {
        let written = Lines::default();
        let lines = {
            let written = written.clone();
            tracing_subscriber::fmt::layer().with_writer(move || written.clone())
        };
        let filter = AlwaysAsked(EnvFilter::new("warn,upwrite=info"));
        let subscriber = tracing_subscriber::registry().with(lines.with_filter(filter));
        let question = log::Metadata::builder().level(log::Level::Info).target("librdkafka").build();
        tracing::subscriber::with_default(subscriber, || {
            for round in 0..3 {
                tracing::dispatcher::get_default(|dispatch| dispatch.enabled(&question.as_trace()));
                tracing::info!(round, "ready");
                tracing::debug!(round, "too much");
            }
        });
        let text = String::from_utf8(written.0.lock().unwrap().clone()).unwrap();
        assert_eq!(text.matches("ready").count(), 3, "{text}");
        assert!(!text.contains("too much"), "{text}");
    }
}
