//! A log that is not the one that the positions speak of (B11), and one that only a newer version can read.

use std::sync::Arc;

use futures::{StreamExt as _, stream};
use upwrite_event_log::*;
use upwrite_events::*;
use upwrite_reconciler::ReconcilerError;

use crate::deployment::*;
use crate::member::{Member, quick};

async fn folded() -> TestDeployment {
    let mut deployment = TestDeployment::start().await;
    for n in 0..3 {
        deployment.observe((n, n + 1), vec![seen_row("003A", "a", &format!("2026-01-0{}", n + 1))]).await;
    }
    deployment.stop().await;
    deployment
}

async fn refused(deployment: &TestDeployment) -> String {
    let log = deployment.another_log().await;
    let member = Member::with(deployment, quick(), deployment.reconciler.clone(), log);
    member.send((0..2).map(MembershipEvent::Assigned));
    match member.failed().await {
        ReconcilerError::Log(error @ LogError::Mismatch(_)) => error.to_string(),
        other => panic!("{other}"),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn b11_a_log_that_was_set_back_is_noticed() {
    let deployment = folded().await;
    let partition = partition_for(Stream::Observations, &table(), "", 2);
    let of = format!("stream = 'observations' and partition = {}", partition.number);
    let sql = format!("update upwrite.log_partitions set next_position = 1 where {of}");
    deployment.lock(&sql).await.commit().await.unwrap();
    deployment.lock(&format!("delete from upwrite.log where {of} and position >= 1")).await.commit().await.unwrap();
    let text = refused(&deployment).await;
    for part in [&partition.to_string(), "position 3", "ends at 1", "upwrite ctl recover"] {
        assert!(text.contains(part), "{part}: {text}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn b11_a_log_that_was_filled_again_with_other_records_is_noticed() {
    let deployment = folded().await;
    let of = "stream = 'observations' and position = 2";
    let sql = format!("update upwrite.log set appended_at = appended_at + interval '1 microsecond' where {of}");
    deployment.lock(&sql).await.commit().await.unwrap();
    let text = refused(&deployment).await;
    assert!(text.contains("another record"), "{text}");
}

#[tokio::test(flavor = "multi_thread")]
async fn b11_records_gone_before_they_were_folded_are_noticed() {
    let deployment = folded().await;
    for n in 3..6 {
        let event = RecordsObserved {
            table: table(),
            kind: "by_id".into(),
            seen: Interval { begun_us: n, ended_us: n + 1 },
            rows: vec![],
        };
        let partition = partition_for(Stream::Observations, &table(), "", 2);
        deployment.log.append(partition, vec![Event::RecordsObserved(event)]).await.unwrap();
    }
    deployment
        .lock("delete from upwrite.log where stream = 'observations' and position < 4")
        .await
        .commit()
        .await
        .unwrap();
    let text = refused(&deployment).await;
    assert!(text.contains("begins at 4"), "{text}");
}

#[tokio::test(flavor = "multi_thread")]
async fn b11_records_gone_after_they_were_folded_do_not_matter() {
    let deployment = folded().await;
    deployment.lock("delete from upwrite.log where stream = 'observations'").await.commit().await.unwrap();
    let mut member = Member::with(&deployment, quick(), deployment.reconciler.clone(), deployment.another_log().await);
    member.assign([0, 1]).await;
    deployment.observe((10, 11), vec![seen_row("003A", "b", "2026-02-01")]).await;
    member.stop().await;
}

/// A log in which one partition holds something that only a newer version can read.
struct WithNewer(Arc<PostgresLog>, Partition);

#[async_trait::async_trait]
impl EventLog for WithNewer {
    fn partitions(&self) -> u16 {
        self.0.partitions()
    }

    async fn append(&self, partition: Partition, events: Vec<Event>) -> Result<Vec<Position>, LogError> {
        self.0.append(partition, events).await
    }

    async fn submit(&self, submission: Submission) -> Result<Submitted, LogError> {
        self.0.submit(submission).await
    }

    fn subscribe(&self, partition: Partition, from: Position) -> Subscription {
        if partition == self.1 {
            return stream::once(async { Err(LogError::Newer("version 9".to_owned())) }).boxed();
        }
        self.0.subscribe(partition, from)
    }

    async fn read(&self, partition: Partition, from: Position, limit: usize) -> Result<Vec<LogRecord>, LogError> {
        self.0.read(partition, from, limit).await
    }

    async fn start(&self, partition: Partition) -> Result<Position, LogError> {
        self.0.start(partition).await
    }

    async fn end(&self, partition: Partition) -> Result<Position, LogError> {
        self.0.end(partition).await
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_only_a_newer_version_can_read_stops_its_partition_alone() {
    let deployment = TestDeployment::without_reconciler(2).await;
    let newer = Partition { stream: Stream::Mutations, number: 1 };
    let log = Arc::new(WithNewer(deployment.log.clone(), newer));
    let mut member = Member::with(&deployment, quick(), deployment.reconciler.clone(), log);
    member.assign([0, 1]).await;
    member
        .until("the partition to stand still", |progress| {
            let stands = progress.partitions.iter().filter(|partition| partition.halted.is_some());
            stands.map(|partition| (partition.stream, partition.number)).eq([("mutations", 1)])
        })
        .await;
    let key = key_in(0, 2, 0);
    let (mutation, partition) = deployment.submit(change(Op::Update, &key, "a2")).await;
    let row = applied_row(&key, Some(image(&key, "a2", "1")), None, (10, 20));
    deployment.outcome(partition, deployment.applied(mutation, vec![row])).await;
    assert_eq!(deployment.finished(mutation).await, "applied");
    let next: i64 = deployment
        .value("select next_position from upwrite.positions where stream = 'mutations' and partition = 1")
        .await
        .unwrap();
    assert_eq!(next, 0);
    member.stop().await;
}
