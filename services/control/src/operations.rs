//! What changes something: done elsewhere, asked for here, one at a time.

use std::sync::Arc;

use async_trait::async_trait;
use futures::StreamExt as _;
use futures::stream::{self, BoxStream};
use tokio::sync::Mutex;
use tokio_util::sync::CancellationToken;
use tonic::Status;
use upwrite_events::TableName;

use crate::v1;

/// What is to be rebuilt.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Target {
    Table(TableName),
    /// `upwrite.mutations` and the other projections.
    Projections,
}

/// How far an operation is.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Progress {
    /// What is being done now, e.g. `reading the log`.
    pub phase: String,
    pub done: u64,
    /// `None`: not known.
    pub total: Option<u64>,
    /// What is counted, e.g. `events`.
    pub unit: String,
    /// Something worth telling, or nothing.
    pub message: String,
}

#[derive(Debug, Clone, thiserror::Error)]
pub enum OperationError {
    #[error("not possible here: {0}")]
    Unimplemented(String),
    #[error("{0}")]
    NotFound(String),
    /// The deployment is not in a state that allows it.
    #[error("not now: {0}")]
    NotNow(String),
    /// Postgres or the log does not answer; nothing was changed.
    #[error("{0}")]
    Unavailable(String),
    /// It failed half way; the text says what is left to do.
    #[error("{0}")]
    Failed(String),
}

/// Ends after success, or with an error. Dropped, it ends the operation.
pub type ProgressStream = BoxStream<'static, Result<Progress, OperationError>>;

/// What the server itself does not know how to do. An `Err` before the stream: it has not begun.
#[async_trait]
pub trait Operations: Send + Sync + 'static {
    async fn rebuild(&self, target: Target) -> Result<ProgressStream, OperationError>;
    async fn recover(&self) -> Result<ProgressStream, OperationError>;
}

/// Can do nothing of it.
#[derive(Debug, Clone, Copy)]
pub struct Unsupported;

#[async_trait]
impl Operations for Unsupported {
    async fn rebuild(&self, _: Target) -> Result<ProgressStream, OperationError> {
        Err(OperationError::Unimplemented("this process was started without what rebuilds".to_owned()))
    }

    async fn recover(&self) -> Result<ProgressStream, OperationError> {
        Err(OperationError::Unimplemented("this process was started without what recovers".to_owned()))
    }
}

impl From<OperationError> for Status {
    fn from(error: OperationError) -> Self {
        let message = error.to_string();
        match error {
            OperationError::Unimplemented(_) => Self::unimplemented(message),
            OperationError::NotFound(_) => Self::not_found(message),
            OperationError::NotNow(_) => Self::failed_precondition(message),
            OperationError::Unavailable(_) => Self::unavailable(message),
            OperationError::Failed(_) => Self::aborted(message),
        }
    }
}

/// What callers are sent.
pub(crate) type ProgressMessages = BoxStream<'static, Result<v1::Progress, Status>>;

/// One operation at a time.
#[derive(Clone)]
pub(crate) struct OneAtATime {
    operations: Arc<dyn Operations>,
    running: Arc<Mutex<()>>,
    shutdown: CancellationToken,
}

impl OneAtATime {
    pub(crate) fn new(operations: Arc<dyn Operations>, shutdown: CancellationToken) -> Self {
        Self { operations, running: Arc::default(), shutdown }
    }

    pub(crate) async fn rebuild(&self, target: Target) -> Result<ProgressMessages, Status> {
        let turn = self.turn()?;
        Ok(self.send(turn, self.operations.rebuild(target).await?))
    }

    pub(crate) async fn recover(&self) -> Result<ProgressMessages, Status> {
        let turn = self.turn()?;
        Ok(self.send(turn, self.operations.recover().await?))
    }

    fn turn(&self) -> Result<tokio::sync::OwnedMutexGuard<()>, Status> {
        let turn = Arc::clone(&self.running).try_lock_owned();
        turn.map_err(|_| Status::failed_precondition("not now: another rebuild or recovery runs"))
    }

    /// The turn lasts as long as the stream.
    fn send(&self, turn: tokio::sync::OwnedMutexGuard<()>, progress: ProgressStream) -> ProgressMessages {
        let stop = self.shutdown.clone().cancelled_owned();
        let state = Some((progress, Box::pin(stop), turn));
        let sent = stream::unfold(state, |state| async {
            let (mut progress, mut stop, turn) = state?;
            let next = tokio::select! {
                next = progress.next() => next,
                () = &mut stop => return Some((Err(Status::unavailable("the control server stops; the operation was ended")), None)),
            };
            match next {
                Some(Ok(step)) => Some((Ok(message(step)), Some((progress, stop, turn)))),
                Some(Err(error)) => Some((Err(error.into()), None)),
                None => Some((Ok(v1::Progress { finished: true, ..Default::default() }), None)),
            }
        });
        sent.boxed()
    }
}

fn message(progress: Progress) -> v1::Progress {
    v1::Progress {
        phase: progress.phase,
        done: progress.done,
        total: progress.total,
        unit: progress.unit,
        message: progress.message,
        finished: false,
    }
}

#[cfg(test)]
mod tests {
    use futures::TryStreamExt as _;

    use super::*;

    struct Steps(Vec<Result<Progress, OperationError>>);

    #[async_trait]
    impl Operations for Steps {
        async fn rebuild(&self, _: Target) -> Result<ProgressStream, OperationError> {
            Ok(stream::iter(self.0.clone()).boxed())
        }

        async fn recover(&self) -> Result<ProgressStream, OperationError> {
            Ok(stream::pending().boxed())
        }
    }

    fn one(steps: Vec<Result<Progress, OperationError>>) -> OneAtATime {
        OneAtATime::new(Arc::new(Steps(steps)), CancellationToken::new())
    }

    #[tokio::test]
    async fn success_has_a_last_message() {
        let step = Progress { done: 3, ..Default::default() };
        let sent: Vec<_> = one(vec![Ok(step)]).rebuild(Target::Projections).await.unwrap().try_collect().await.unwrap();
        assert_eq!(sent.iter().map(|step| (step.done, step.finished)).collect::<Vec<_>>(), [(3, false), (0, true)]);
    }

    #[tokio::test]
    async fn a_failure_has_none() {
        let failed = one(vec![Err(OperationError::Failed("half way".into()))]);
        let sent: Result<Vec<_>, _> = failed.rebuild(Target::Projections).await.unwrap().try_collect().await;
        assert_eq!(sent.unwrap_err().code(), tonic::Code::Aborted);
        failed.rebuild(Target::Projections).await.map(drop).unwrap();
    }

    #[tokio::test]
    async fn the_second_one_waits_for_nothing() {
        let operations = one(vec![]);
        let first = operations.recover().await.map(Some).unwrap();
        let second = operations.rebuild(Target::Projections).await.map(drop).unwrap_err();
        assert_eq!(second.code(), tonic::Code::FailedPrecondition);
        drop(first);
        operations.recover().await.map(drop).unwrap();
    }

    #[tokio::test]
    async fn a_stop_of_the_server_ends_it() {
        let operations = one(vec![]);
        let mut running = operations.recover().await.map(Some).unwrap().unwrap();
        operations.shutdown.cancel();
        assert_eq!(running.next().await.unwrap().unwrap_err().code(), tonic::Code::Unavailable);
        assert!(running.next().await.is_none());
    }
}
