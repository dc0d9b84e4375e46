//! A collector that keeps what it is sent.

use std::sync::{Arc, Mutex};

use opentelemetry_proto::tonic::collector::trace::v1::trace_service_server::{TraceService, TraceServiceServer};
use opentelemetry_proto::tonic::collector::trace::v1::{ExportTraceServiceRequest, ExportTraceServiceResponse};
use opentelemetry_proto::tonic::common::v1::KeyValue;
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use tokio::net::TcpListener;
use tonic::transport::Server;
use tonic::transport::server::TcpIncoming;
use tonic::{Request, Response, Status};

/// A span as it was received; ids in hex.
#[derive(Debug, Clone)]
pub(crate) struct Span {
    pub(crate) name: String,
    pub(crate) trace: String,
    pub(crate) id: String,
    /// Empty: a root.
    pub(crate) parent: String,
    /// Unix time in nanoseconds.
    pub(crate) begun: u64,
    /// Ids of the spans that it is linked to.
    pub(crate) links: Vec<String>,
    attributes: Vec<KeyValue>,
    resource: Vec<KeyValue>,
}

impl Span {
    pub(crate) fn attribute(&self, key: &str) -> Option<&str> {
        text(&self.attributes, key)
    }

    pub(crate) fn resource(&self, key: &str) -> Option<&str> {
        text(&self.resource, key)
    }
}

fn text<'a>(attributes: &'a [KeyValue], key: &str) -> Option<&'a str> {
    match attributes.iter().find(|attribute| attribute.key == key)?.value.as_ref()?.value.as_ref()? {
        Value::StringValue(text) => Some(text),
        _ => None,
    }
}

pub(crate) struct Collector {
    url: String,
    spans: Spans,
}

#[derive(Clone, Default)]
struct Spans(Arc<Mutex<Vec<Span>>>);

impl Collector {
    pub(crate) async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let spans = Spans::default();
        let server = Server::builder().add_service(TraceServiceServer::new(spans.clone()));
        tokio::spawn(server.serve_with_incoming(TcpIncoming::from(listener)));
        Self { url, spans }
    }

    pub(crate) fn url(&self) -> &str {
        &self.url
    }

    /// Everything that was received so far.
    pub(crate) fn spans(&self) -> Vec<Span> {
        self.spans.0.lock().unwrap().clone()
    }
}

#[tonic::async_trait]
impl TraceService for Spans {
    async fn export(
        &self,
        request: Request<ExportTraceServiceRequest>,
    ) -> Result<Response<ExportTraceServiceResponse>, Status> {
        let mut spans = self.0.lock().unwrap();
        for sent in request.into_inner().resource_spans {
            let resource = sent.resource.map(|resource| resource.attributes).unwrap_or_default();
            for span in sent.scope_spans.into_iter().flat_map(|scope| scope.spans) {
                spans.push(Span {
                    name: span.name,
                    trace: hex(&span.trace_id),
                    id: hex(&span.span_id),
                    parent: hex(&span.parent_span_id),
                    begun: span.start_time_unix_nano,
                    links: span.links.iter().map(|link| hex(&link.span_id)).collect(),
                    attributes: span.attributes,
                    resource: resource.clone(),
                });
            }
        }
        Ok(Response::new(ExportTraceServiceResponse::default()))
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
