//! A captured statement's span: child of the client's, parent of all that follows from it.

use tracing::{Span, field};
use upwrite_event_log::trace;
use upwrite_events::MutationId;

use crate::capture::Plan;
use crate::classify::Capture;

/// From the first dry run to the answer. Its parent is known only once the session's settings have been read, so it is never
/// entered itself.
pub(super) struct Traced(Span);

impl Traced {
    pub(super) fn begin(capture: &Capture) -> Self {
        let span = tracing::info_span!(
            target: trace::TARGET,
            "upwrite.write",
            otel.kind = "server",
            db.system.name = "postgresql",
            db.collection.name = field::Empty,
            db.operation.name = field::Empty,
            db.response.status_code = field::Empty,
            otel.status_code = field::Empty,
            upwrite.rows = field::Empty,
            upwrite.mutation = field::Empty,
        );
        if let Some(client) = &capture.traceparent {
            trace::parent(&span, client);
        }
        Self(span)
    }

    /// Makes the span a child of the client's, and what follows from the mutation children of the span. The statement's own
    /// comment goes before the session's setting.
    pub(super) fn lead(&self, capture: &Capture, plan: &mut Plan) {
        let setting = plan.session.settings.traceparent.take();
        let client = capture.traceparent.as_deref().map(str::to_owned).or(setting);
        if let Some(client) = client.as_deref().filter(|_| capture.traceparent.is_none()) {
            trace::parent(&self.0, client);
        }
        if let Some(first) = plan.rows.first() {
            self.0.record("db.collection.name", field::display(&first.table));
            self.0.record("db.operation.name", first.op.as_str());
        }
        self.0.record("upwrite.rows", plan.rows.len());
        plan.session.settings.traceparent = trace::traceparent(&self.0).or(client);
    }

    /// Claims and append.
    pub(super) fn submit(&self) -> Span {
        tracing::info_span!(target: trace::TARGET, parent: &self.0, "upwrite.submit")
    }

    /// The wait for the verdict.
    pub(super) fn hold(&self, mutation: MutationId) -> Span {
        self.0.record("upwrite.mutation", field::display(mutation));
        tracing::info_span!(target: trace::TARGET, parent: &self.0, "upwrite.hold")
    }

    /// The client is told this; `00000`: success.
    pub(super) fn told(&self, sqlstate: &str) {
        self.0.record("db.response.status_code", sqlstate);
        if sqlstate != "00000" {
            self.0.record("otel.status_code", "ERROR");
        }
    }
}
