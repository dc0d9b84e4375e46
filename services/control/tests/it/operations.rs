use std::sync::Arc;

use async_trait::async_trait;
use futures::{StreamExt as _, TryStreamExt as _, stream};
use upwrite_control::{ClientError, OperationError, Operations, Progress, ProgressStream, Target};
use upwrite_events::TableName;

use crate::test_server::TestServer;

/// Rebuilds crm.contact in two steps, and cannot recover.
struct Two;

#[async_trait]
impl Operations for Two {
    async fn rebuild(&self, target: Target) -> Result<ProgressStream, OperationError> {
        if target == Target::Table(TableName::new("crm", "nothing")) {
            return Err(OperationError::NotFound("crm.nothing is not a synced table".into()));
        }
        let step = |done| Progress {
            phase: "reading".into(),
            done,
            total: Some(2),
            unit: "events".into(),
            ..Default::default()
        };
        Ok(stream::iter([Ok(step(1)), Ok(step(2))]).boxed())
    }

    async fn recover(&self) -> Result<ProgressStream, OperationError> {
        let failed = OperationError::Failed("claims are rebuilt, projections are not: run it again".into());
        Ok(stream::iter([Ok(Progress::default()), Err(failed)]).boxed())
    }
}

#[tokio::test]
async fn progress_travels_and_the_end_says_so() {
    let server = TestServer::start_with(Arc::new(Two)).await;
    let mut client = server.client().await;
    for table in [Some("crm.contact".to_owned()), None] {
        let steps: Vec<_> = client.rebuild(table).await.unwrap().try_collect().await.unwrap();
        let told: Vec<_> = steps.iter().map(|step| (step.done, step.total, step.finished)).collect();
        assert_eq!(told, [(1, Some(2), false), (2, Some(2), false), (0, None, true)]);
    }
    let missing = client.rebuild(Some("crm.nothing".into())).await.map(drop);
    assert!(matches!(missing, Err(ClientError::NotFound(_))), "{missing:?}");
    let failed: Result<Vec<_>, _> = client.recover().await.unwrap().try_collect().await;
    assert!(matches!(&failed, Err(ClientError::Failed(text)) if text.contains("run it again")), "{failed:?}");
}

#[tokio::test]
async fn a_server_without_operations_says_so() {
    let server = TestServer::start().await;
    let refused = server.client().await.recover().await.map(drop);
    assert!(matches!(&refused, Err(ClientError::Failed(text)) if text.starts_with("not possible here")), "{refused:?}");
}
