//! One reconciler of several, whose partitions the test hands out.

use std::sync::Arc;
use std::time::Duration;

use sqlx::postgres::PgConnectOptions;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use upwrite_event_log::{EventLog, Membership, MembershipEvent};
use upwrite_reconciler::{Config, Progress, ReconcilerError};

use crate::deployment::{LIMIT, TestDeployment};

pub(crate) struct Member {
    changes: mpsc::UnboundedSender<MembershipEvent>,
    returned: mpsc::UnboundedReceiver<u16>,
    progress: watch::Receiver<Progress>,
    stop: CancellationToken,
    task: JoinHandle<Result<(), ReconcilerError>>,
}

struct ScriptedMembership {
    changes: mpsc::UnboundedReceiver<MembershipEvent>,
    returned: mpsc::UnboundedSender<u16>,
}

#[async_trait::async_trait]
impl Membership for ScriptedMembership {
    async fn changed(&mut self) -> MembershipEvent {
        match self.changes.recv().await {
            Some(change) => change,
            None => std::future::pending().await,
        }
    }

    async fn give_back(&mut self, item: u16) {
        let _ = self.returned.send(item);
    }
}

pub(crate) fn quick() -> Config {
    Config { lock_timeout: Duration::from_millis(50), void_check: Duration::from_millis(50), ..Config::default() }
}

impl Member {
    pub(crate) fn start(deployment: &TestDeployment, config: Config) -> Self {
        Self::with(deployment, config, deployment.reconciler.clone(), deployment.log.clone())
    }

    pub(crate) fn with(
        deployment: &TestDeployment,
        config: Config,
        options: PgConnectOptions,
        log: Arc<dyn EventLog>,
    ) -> Self {
        let (changes, told) = mpsc::unbounded_channel();
        let (give_back, returned) = mpsc::unbounded_channel();
        let (progress, stop) = (config.progress.subscribe(), CancellationToken::new());
        let membership = Box::new(ScriptedMembership { changes: told, returned: give_back });
        let task = upwrite_reconciler::run(config, options, log, membership, deployment.log.notifier(), stop.clone());
        Self { changes, returned, progress, stop, task: tokio::spawn(task) }
    }

    pub(crate) fn send(&self, changes: impl IntoIterator<Item = MembershipEvent>) {
        changes.into_iter().for_each(|change| self.changes.send(change).unwrap());
    }

    /// Assigns partitions and waits until it has them.
    pub(crate) async fn assign(&mut self, items: impl IntoIterator<Item = u16>) {
        let items: Vec<u16> = items.into_iter().collect();
        self.send(items.iter().copied().map(MembershipEvent::Assigned));
        self.until("the partitions", |progress| {
            items.iter().all(|item| progress.partitions.iter().any(|partition| partition.number == *item))
        })
        .await;
    }

    /// Waits until its progress is so.
    pub(crate) async fn until(&mut self, what: &str, so: impl Fn(&Progress) -> bool) {
        let seen = tokio::time::timeout(LIMIT, self.progress.wait_for(so)).await;
        drop(seen.unwrap_or_else(|_| panic!("waited in vain for {what}")).unwrap());
    }

    pub(crate) async fn returned(&mut self) -> u16 {
        tokio::time::timeout(LIMIT, self.returned.recv()).await.expect("nothing was given back").unwrap()
    }

    pub(crate) async fn stop(self) {
        self.stop.cancel();
        self.task.await.unwrap().unwrap();
    }

    /// As by kill -9: its connections end in the middle of whatever it does.
    pub(crate) async fn kill(self) {
        self.task.abort();
        let _ = self.task.await;
    }

    /// Why it stopped by itself.
    pub(crate) async fn failed(self) -> ReconcilerError {
        tokio::time::timeout(LIMIT, self.task).await.expect("it goes on").unwrap().expect_err("it ended well")
    }
}
