//! Spans to an OpenTelemetry collector: OTLP over gRPC, in batches, from a thread of its own.

use std::time::Duration;

use anyhow::Context as _;
use opentelemetry::KeyValue;
use opentelemetry::trace::TracerProvider as _;
use opentelemetry_otlp::{SpanExporter, WithExportConfig as _};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::trace::{Sampler, SdkTracerProvider};
use tracing::Subscriber;
use tracing_subscriber::Layer;
use tracing_subscriber::filter::filter_fn;
use tracing_subscriber::registry::LookupSpan;
use upwrite_event_log::trace;

use crate::config::Observe;
use crate::stage::Stage;

/// What the collector is given to take the last spans.
const FLUSH_LIMIT: Duration = Duration::from_secs(3);
/// The standard variables, read by the exporter itself; the first one that is set counts.
const ENDPOINTS: [&str; 2] = ["OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT"];

/// Where spans go.
pub(crate) struct Traces {
    provider: SdkTracerProvider,
}

impl Traces {
    /// `None`: traces are not configured. Needs a runtime. The collector may be away: spans are then lost, nothing else.
    pub(crate) fn begin(observe: &Observe, stages: &[Stage]) -> anyhow::Result<Option<Self>> {
        let set = |name: &&str| std::env::var(name).is_ok_and(|value| !value.is_empty());
        if observe.otlp.is_none() && !ENDPOINTS.iter().any(set) {
            return Ok(None);
        }
        let mut exporter = SpanExporter::builder().with_tonic();
        if let Some(url) = &observe.otlp {
            exporter = exporter.with_endpoint(url);
        }
        let exporter = exporter.build().context("the exporter of traces (observe.otlp)")?;
        let provider = SdkTracerProvider::builder()
            .with_batch_exporter(exporter)
            .with_sampler(Sampler::ParentBased(Box::new(Sampler::TraceIdRatioBased(observe.sample))))
            .with_resource(resource(observe, stages))
            .build();
        Ok(Some(Self { provider }))
    }

    /// Takes the spans of mutations and nothing else: no library's spans, no log lines.
    pub(crate) fn layer<S>(&self) -> impl Layer<S> + use<S>
    where
        S: Subscriber + for<'span> LookupSpan<'span>,
    {
        tracing_opentelemetry::layer()
            .with_tracer(self.provider.tracer("upwrite"))
            .with_location(false)
            .with_threads(false)
            .with_target(false)
            .with_tracked_inactivity(false)
            .with_filter(filter_fn(|metadata| metadata.target() == trace::TARGET))
    }

    /// Sends what is left.
    pub(crate) async fn end(self) {
        let flushed = tokio::task::spawn_blocking(move || self.provider.shutdown_with_timeout(FLUSH_LIMIT)).await;
        match flushed {
            Ok(Ok(())) => {}
            Ok(Err(error)) => tracing::warn!(%error, "the last traces may be lost"),
            Err(error) => tracing::warn!(%error, "the last traces are lost"),
        }
    }
}

/// Who sends them. OTEL_RESOURCE_ATTRIBUTES may add to it.
fn resource(observe: &Observe, stages: &[Stage]) -> Resource {
    let instance = observe.instance.clone().unwrap_or_else(|| {
        let host = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
        format!("{}:{}", host.trim(), std::process::id())
    });
    let stages: Vec<&str> = stages.iter().map(|stage| stage.as_str()).collect();
    Resource::builder()
        .with_service_name("upwrite")
        .with_attributes([
            KeyValue::new("service.version", env!("CARGO_PKG_VERSION")),
            KeyValue::new("service.instance.id", instance),
            KeyValue::new("upwrite.stages", stages.join(",")),
        ])
        .build()
}
