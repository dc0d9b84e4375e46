//! A captured statement's span: child of the client's, parent of all that follows from it.

use tracing::{Span, field};
use upwrite_event_log::trace;
use upwrite_events::MutationId;

use crate::classify::PossibleWrite;
use crate::planning::Plan;

/// From the first dry run to the answer. It is never entered: its parent is known only once the session's settings have
/// been read.
pub(super) struct StatementSpan(Span);

impl StatementSpan {
    pub(super) fn begin(write: &PossibleWrite) -> Self {
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
        if let Some(client) = &write.traceparent {
            trace::parent(&span, client);
        }
        Self(span)
    }

    /// Makes the span a child of the client's, and what follows from the mutation children of the span. The statement's own
    /// comment takes precedence over the session's setting.
    pub(super) fn lead(&self, write: &PossibleWrite, plan: &mut Plan) {
        let setting = plan.settings.upwrite.traceparent.take();
        let client = write.traceparent.as_deref().map(str::to_owned).or(setting);
        if let Some(client) = client.as_deref().filter(|_| write.traceparent.is_none()) {
            trace::parent(&self.0, client);
        }
        if let Some(first) = plan.rows.first() {
            self.0.record("db.collection.name", field::display(&first.table));
            self.0.record("db.operation.name", first.op.as_str());
        }
        self.0.record("upwrite.rows", plan.rows.len());
        plan.settings.upwrite.traceparent = trace::traceparent(&self.0).or(client);
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

    /// What the client reads; `00000`: success.
    pub(super) fn verdict(&self, sqlstate: &str) {
        self.0.record("db.response.status_code", sqlstate);
        if sqlstate != "00000" {
            self.0.record("otel.status_code", "ERROR");
        }
    }
}
