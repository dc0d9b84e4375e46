//! Stopping: the signal to each stage, and in which order.

use std::time::Duration;

use futures::future::select_all;
use tokio::task::{JoinError, JoinHandle};
use tokio::time::{Instant, timeout_at};
use tokio_util::sync::CancellationToken;

use crate::stage::Stage;

/// How long a stage may take beyond the grace period that it keeps itself.
const BEYOND_GRACE: Duration = Duration::from_secs(5);

/// How long taking leave may take: Postgres may be away.
const FAREWELL: Duration = Duration::from_secs(2);

/// The signal to stop, for each part.
#[derive(Default)]
pub(super) struct Stops {
    pub(super) proxy: CancellationToken,
    /// Applier, syncer, control: what feeds the log.
    pub(super) workers: CancellationToken,
    pub(super) reconciler: CancellationToken,
    pub(super) log: CancellationToken,
}

/// The stages of this process.
#[derive(Default)]
pub(super) struct Running {
    stages: Vec<(Stage, JoinHandle<anyhow::Result<()>>)>,
    /// Takes leave of the others at the very end.
    farewell: Option<JoinHandle<()>>,
}

impl Running {
    pub(super) fn spawn(&mut self, stage: Stage, work: impl Future<Output = anyhow::Result<()>> + Send + 'static) {
        self.stages.push((stage, tokio::spawn(work)));
    }

    /// What ends by itself once the log is stopped, and is to have the time for it.
    pub(super) fn farewell(&mut self, farewell: JoinHandle<()>) {
        self.farewell = Some(farewell);
    }

    /// The first one that ends, and why; there is at least one.
    pub(super) async fn first_ended(&mut self) -> anyhow::Error {
        let (ended, index, _) = select_all(self.stages.iter_mut().map(|(_, stage)| stage)).await;
        let (stage, _) = self.stages.swap_remove(index);
        why(stage, ended)
    }

    /// Clients first, so that held ones get their verdict from stages that still run; then what feeds the log; then
    /// what reads it; the log itself last.
    pub(super) async fn drain(mut self, stops: &Stops, grace: Duration) {
        for (stop, stages) in [
            (&stops.proxy, [Stage::Proxy].as_slice()),
            (&stops.workers, &[Stage::Applier, Stage::Syncer, Stage::Control]),
            (&stops.reconciler, &[Stage::Reconciler]),
        ] {
            stop.cancel();
            let deadline = Instant::now() + grace + BEYOND_GRACE;
            for (stage, running) in self.stages.extract_if(.., |(stage, _)| stages.contains(stage)) {
                match timeout_at(deadline, running).await {
                    Ok(Ok(Ok(()))) => {}
                    Ok(ended) => tracing::warn!("{:#}", why(stage, ended)),
                    Err(_) => tracing::warn!(stage = stage.as_str(), "did not stop in time"),
                }
            }
        }
        stops.log.cancel();
        if let Some(farewell) = self.farewell {
            let _silently_gone = tokio::time::timeout(FAREWELL, farewell).await;
        }
    }
}

fn why(stage: Stage, ended: Result<anyhow::Result<()>, JoinError>) -> anyhow::Error {
    let stage = stage.as_str();
    match ended {
        Ok(Ok(())) => anyhow::anyhow!("the {stage} stopped by itself"),
        Ok(Err(error)) => error.context(format!("the {stage} cannot go on")),
        Err(panic) => anyhow::Error::new(panic).context(format!("the {stage} failed")),
    }
}
