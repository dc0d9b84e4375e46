//! What can be seen of a process from outside: traces, metrics, whether it lives and whether it is ready.

mod describe;
mod http;
mod member;
mod readiness;
mod traces;

use std::collections::HashMap;
use std::sync::Arc;

use tokio_util::sync::CancellationToken;
use upwrite_connectors::Budget;

pub(crate) use readiness::Readiness;
pub(crate) use traces::Traces;

use crate::config::Observe;
use crate::stage::Stage;

/// Serves the pages, if the configuration says where, until `stop`. `budgets`: by source, whose levels are shown.
pub(crate) async fn begin(
    observe: &Observe,
    stages: &[Stage],
    budgets: &HashMap<String, Budget>,
    stop: CancellationToken,
) -> anyhow::Result<Arc<Readiness>> {
    let readiness = Readiness::new(stages);
    if let Some(listen) = observe.listen {
        http::serve(listen, readiness.clone(), budgets.clone(), stop).await?;
    }
    Ok(readiness)
}
