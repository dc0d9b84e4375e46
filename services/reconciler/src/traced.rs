//! Spans of the transaction that makes a mutation's outcome visible: one in the trace of each mutation.

use tracing::{Span, field};
use upwrite_event_log::trace;

use crate::plan::Plan;
use crate::state::State;

/// Of mutations whose outcome is known by this batch, and was not visible before. They end when they are dropped.
pub(crate) fn writes(state: &State, plan: &Plan) -> Vec<Span> {
    let known = plan.touched.iter().filter_map(|mutation| state.tracked.get(mutation)).map(|tracked| &tracked.status);
    let answered = known
        .filter(|status| !status.finished && status.lifecycle.as_ref().is_some_and(|life| life.phase.is_finished()));
    let traced = answered.filter_map(|status| {
        let parent = status.traceparent.as_deref()?;
        let span = tracing::info_span!(
            target: trace::TARGET,
            parent: None,
            "upwrite.reconcile",
            otel.kind = "consumer",
            db.collection.name = format_args!("{}.{}", status.source, status.table_name),
            db.operation.name = status.operation,
            upwrite.mutation = field::display(status.id),
            upwrite.state = status.state,
        );
        trace::parent(&span, parent);
        Some(span)
    });
    traced.collect()
}
