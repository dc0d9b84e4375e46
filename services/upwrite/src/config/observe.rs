//! What can be seen of a process from outside.

use std::net::SocketAddr;

use upwrite_settings::Section;

#[derive(Debug, Clone)]
pub struct Observe {
    /// Where /metrics, /healthz and /readyz are served; `None`: nowhere.
    pub listen: Option<SocketAddr>,
    /// An OpenTelemetry collector that takes OTLP over gRPC; `None`: what OTEL_EXPORTER_OTLP_ENDPOINT says, if anything.
    pub otlp: Option<String>,
    /// The share of traces that are begun here and recorded, from 0 to 1. A trace that a client has begun is recorded if
    /// the client records it.
    pub sample: f64,
    /// Tells this process from others, as `service.instance.id`; `None`: host and process id.
    pub instance: Option<String>,
}

pub(super) fn observe(root: &Section<'_, '_>) -> Observe {
    let section = root.section("observe");
    let otlp = section.string("otlp").filter(|url| !url.is_empty());
    if otlp.as_ref().is_some_and(|url| !url.starts_with("http://") && !url.starts_with("https://")) {
        section.wrong("otlp", "must begin with http:// or https://, like http://127.0.0.1:4317");
    }
    Observe {
        listen: section.parsed("listen", "an address and port, like 127.0.0.1:9464"),
        otlp,
        sample: section.share("sample").unwrap_or(1.0),
        instance: section.string("instance").filter(|name| !name.is_empty()),
    }
}
