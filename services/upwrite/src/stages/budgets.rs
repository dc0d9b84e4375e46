//! Each source's rate budget: one for all processes.

use std::collections::HashMap;

use sqlx::PgPool;
use tokio_util::sync::CancellationToken;
use upwrite_connectors::{Ask, Budget, Priority, Slice};
use upwrite_event_log::SharedBudgets;

/// Until `stop` the budgets are filled from `upwrite.budgets`, as those of all other processes are.
pub(super) fn share(budgets: &HashMap<String, Budget>, pool: &PgPool, stop: &CancellationToken) {
    for (source, budget) in budgets {
        let (source, budget, stop) = (source.clone(), budget.clone(), stop.clone());
        let shared = SharedBudgets::new(pool.clone());
        tokio::spawn(async move {
            let (source, shared) = (&source, &shared);
            let lease = |ask: Ask| async move {
                let write = ask.priority == Priority::Write;
                let (requests, wait) = shared.lease(source, ask.rate, ask.burst, ask.requests, write).await?;
                Ok::<_, sqlx::Error>(Slice { requests, wait })
            };
            tokio::select! {
                () = budget.share(lease) => {}
                () = stop.cancelled() => {}
            }
        });
    }
}
