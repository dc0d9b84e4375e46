//! Spans of what is asked of upstream. Each mutation of a call has one in its own trace; the request has one below the first
//! of them, with links to all.

use std::future::Future;

use tracing::{Instrument as _, Span, field};
use upwrite_connectors::with_traceparent;
use upwrite_event_log::trace;
use upwrite_events::MutationId;

use super::lanes::{Kind, LaneKey};

/// One call or look-up that is about to begin.
pub(super) struct CallTrace {
    kind: Kind,
    key: LaneKey,
    /// With the `traceparent` of the request.
    mutations: Vec<(MutationId, Option<String>)>,
}

impl CallTrace {
    pub(super) fn new(kind: Kind, key: &LaneKey, mutations: Vec<(MutationId, Option<String>)>) -> Self {
        Self { kind, key: key.clone(), mutations }
    }

    /// Does the work. Requests that it makes carry the trace; without telemetry they pass on what a single client sent.
    pub(super) async fn run<T>(self, work: impl Future<Output = T>) -> T {
        let applies: Vec<Span> = self.mutations.iter().map(|(id, parent)| apply(*id, parent.as_deref())).collect();
        let request = self.request(&applies);
        let sent = trace::traceparent(&request).or_else(|| match self.mutations.as_slice() {
            [(_, alone)] => alone.clone(),
            _ => None,
        });
        with_traceparent(sent, work).instrument(request).await
    }

    fn request(&self, applies: &[Span]) -> Span {
        let Some(first) = applies.first() else { return Span::none() };
        let name = match self.kind {
            Kind::Send => "upwrite.call",
            Kind::LookUp => "upwrite.look_up",
        };
        let request = tracing::info_span!(
            target: trace::TARGET,
            parent: first,
            "upwrite.upstream",
            otel.name = name,
            otel.kind = "client",
            db.collection.name = field::display(&self.key.table),
            db.operation.name = self.key.op.as_str(),
            upwrite.mutations = self.mutations.len(),
        );
        if applies.len() > 1 {
            for traceparent in applies.iter().filter_map(trace::traceparent) {
                trace::link(&request, &traceparent);
            }
        }
        request
    }
}

/// A mutation's part in it.
fn apply(mutation: MutationId, parent: Option<&str>) -> Span {
    let span = tracing::info_span!(
        target: trace::TARGET,
        parent: None,
        "upwrite.apply",
        otel.kind = "consumer",
        upwrite.mutation = field::display(mutation),
    );
    if let Some(parent) = parent {
        trace::parent(&span, parent);
    }
    span
}
