//! Whether a process is ready for its work, part by part.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures::future::{BoxFuture, FutureExt as _, join_all};
use sqlx::PgPool;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use upwrite_event_log::{EventLog, GroupItem, Membership};
use upwrite_events::{Partition, Stream};
use upwrite_reconciler::Progress;

use super::member::CountedMembership;
use crate::stage::Stage;

/// What does not answer within this is not ready.
const PATIENCE: Duration = Duration::from_secs(2);

/// What a part says: what it does, or why it is not ready.
type PartState = Result<String, String>;
type Probe = Arc<dyn Fn() -> BoxFuture<'static, PartState> + Send + Sync>;

/// The parts of this process. Those that have not begun are not ready.
pub(crate) struct Readiness {
    parts: Mutex<BTreeMap<&'static str, Option<Probe>>>,
}

impl Readiness {
    pub(crate) fn new(stages: &[Stage]) -> Arc<Self> {
        let names = ["postgres", "log"].into_iter().chain(stages.iter().map(|stage| stage.as_str()));
        Arc::new(Self { parts: Mutex::new(names.map(|name| (name, None)).collect()) })
    }

    /// All parts, asked at the same time.
    pub(super) async fn ask(&self) -> Vec<(&'static str, PartState)> {
        let parts: Vec<_> = self.parts().iter().map(|(name, probe)| (*name, probe.clone())).collect();
        let asked = parts.into_iter().map(|(name, probe)| async move {
            let Some(probe) = probe else { return (name, Err("has not begun".to_owned())) };
            let said = tokio::time::timeout(PATIENCE, probe()).await;
            (name, said.unwrap_or_else(|_| Err(format!("does not answer within {PATIENCE:?}"))))
        });
        join_all(asked).await
    }

    fn begins(&self, part: &'static str, probe: impl Fn() -> BoxFuture<'static, PartState> + Send + Sync + 'static) {
        self.parts().insert(part, Some(Arc::new(probe)));
    }

    pub(crate) fn postgres(&self, pool: PgPool) {
        self.begins("postgres", move || {
            let pool = pool.clone();
            async move {
                let asked = sqlx::query("/* upwrite.ready */ select 1").execute(&pool).await;
                // Not everyone who can reach this page may know where Postgres is.
                asked.map(|_| "reachable".to_owned()).map_err(|_| "cannot be reached".to_owned())
            }
            .boxed()
        });
    }

    pub(crate) fn log(&self, log: Arc<dyn EventLog>) {
        self.begins("log", move || {
            let log = log.clone();
            async move {
                let end = log.end(Partition { stream: Stream::Mutations, number: 0 }).await;
                end.map(|_| "reachable".to_owned()).map_err(|_| "cannot be read".to_owned())
            }
            .boxed()
        });
    }

    /// `opened`: clients can log in. `stop`: no new ones are taken.
    pub(crate) fn proxy(&self, opened: CancellationToken, stop: CancellationToken) {
        self.begins(Stage::Proxy.as_str(), move || {
            let said = if stop.is_cancelled() {
                Err("drains: takes no new clients".to_owned())
            } else if opened.is_cancelled() {
                Ok("accepts logins".to_owned())
            } else {
                Err("has not read the synced tables yet".to_owned())
            };
            std::future::ready(said).boxed()
        });
    }

    /// The same membership; the part is ready, whether it has a share or waits for one.
    pub(crate) fn member<I: GroupItem>(
        &self,
        part: &'static str,
        membership: Box<dyn Membership<I>>,
    ) -> Box<dyn Membership<I>> {
        let (watched, items) = CountedMembership::new(membership);
        self.begins(part, move || std::future::ready(Ok(share(*items.borrow()))).boxed());
        Box::new(watched)
    }

    /// With a share, the reconciler must have begun a term, and none of its partitions may stand still.
    pub(crate) fn reconciler(
        &self,
        membership: Box<dyn Membership>,
        progress: watch::Receiver<Progress>,
    ) -> Box<dyn Membership> {
        let (watched, items) = CountedMembership::new(membership);
        self.begins(Stage::Reconciler.as_str(), move || {
            let said = reconciles(*items.borrow(), &progress.borrow());
            std::future::ready(said).boxed()
        });
        Box::new(watched)
    }

    /// The stage runs; nothing more is known of it, unless it has been said otherwise.
    pub(crate) fn runs(&self, stage: Stage) {
        let probe = self.parts().get(stage.as_str()).cloned().flatten();
        if probe.is_none() {
            self.begins(stage.as_str(), || std::future::ready(Ok("runs".to_owned())).boxed());
        }
    }

    /// Only whole entries are put in, so a panic elsewhere does not spoil them.
    fn parts(&self) -> MutexGuard<'_, BTreeMap<&'static str, Option<Probe>>> {
        self.parts.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn share(items: usize) -> String {
    if items == 0 { "waits for a share of the work".to_owned() } else { format!("has {items} of its group's items") }
}

fn reconciles(items: usize, progress: &Progress) -> PartState {
    if let Some(halted) = progress.partitions.iter().find(|partition| partition.halted.is_some()) {
        return Err(format!("{}/{} stands still", halted.stream, halted.number));
    }
    if items > 0 && progress.partitions.is_empty() {
        return Err("has no session for its partitions yet".to_owned());
    }
    Ok(share(items))
}

#[cfg(test)]
mod tests {
    use upwrite_reconciler::PartitionProgress;

    use super::*;

    fn progress(halted: Option<&str>) -> Progress {
        let partition = PartitionProgress {
            stream: "mutations",
            number: 3,
            position: 1,
            epoch: 1,
            lag_ms: 0,
            parked: 0,
            halted: halted.map(str::to_owned),
        };
        Progress { partitions: vec![partition] }
    }

    #[test]
    fn a_reconciler_is_ready_with_a_session_or_without_a_share() {
        assert!(reconciles(0, &Progress::default()).is_ok());
        assert!(reconciles(1, &Progress::default()).is_err());
        assert!(reconciles(1, &progress(None)).is_ok());
        assert_eq!(reconciles(1, &progress(Some("too new"))), Err("mutations/3 stands still".to_owned()));
    }

    #[tokio::test(start_paused = true)]
    async fn what_has_not_begun_or_does_not_answer_is_not_ready() {
        let readiness = Readiness::new(&[Stage::Proxy]);
        readiness.begins("log", || std::future::pending().boxed());
        let (opened, stop) = (CancellationToken::new(), CancellationToken::new());
        readiness.proxy(opened.clone(), stop.clone());
        let said = |part| {
            let readiness = Arc::clone(&readiness);
            async move { readiness.ask().await.into_iter().find(|(name, _)| *name == part).unwrap().1 }
        };
        assert_eq!(said("postgres").await, Err("has not begun".to_owned()));
        assert_eq!(said("log").await, Err("does not answer within 2s".to_owned()));
        assert!(said("proxy").await.is_err());
        opened.cancel();
        assert_eq!(said("proxy").await, Ok("accepts logins".to_owned()));
        stop.cancel();
        assert!(said("proxy").await.is_err());
    }
}
