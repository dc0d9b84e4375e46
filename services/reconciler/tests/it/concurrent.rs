//! Two reconcilers that write the same record at the same time: its mutations are in one's partition, what is seen of it
//! in the other's.

use upwrite_event_log::EventLog as _;
use upwrite_event_log::partition_for;
use upwrite_events::*;

use crate::deployment::*;
use crate::member::{Member, quick};

const ROUNDS: usize = 80;

struct Two {
    deployment: TestDeployment,
    mutations: u16,
    observations: Partition,
    members: [Member; 2],
}

async fn two() -> Two {
    let deployment = TestDeployment::without_reconciler(2).await;
    let observations = partition_for(Stream::Observations, &table(), "", 2);
    let mutations = 1 - observations.number;
    let mut members = [Member::start(&deployment, quick()), Member::start(&deployment, quick())];
    members[0].assign([mutations]).await;
    members[1].assign([observations.number]).await;
    Two { deployment, mutations, observations, members }
}

impl Two {
    fn seen(&self, version: usize, rows: Vec<ObservedRow>) -> Event {
        let begun_us = 10 * i64::try_from(version).unwrap();
        let seen = Interval { begun_us, ended_us: begun_us + 5 };
        Event::RecordsObserved(RecordsObserved { table: table(), kind: "incremental".into(), seen, rows })
    }

    fn applied(&self, mutation: MutationId, key: &str, name: &str, version: usize) -> Event {
        let begun = 10 * i64::try_from(version).unwrap();
        let row = applied_row(key, Some(image(key, name, "1")), Some(&format!("{version:05}")), (begun, begun + 5));
        self.deployment.applied(mutation, vec![row])
    }

    /// A create in the partition of the one.
    fn create(&self) -> RowChange {
        let in_it =
            |create: &RowChange| partition_for(Stream::Mutations, &table(), &create.key, 2).number == self.mutations;
        std::iter::repeat_with(insert).find(in_it).unwrap()
    }

    /// Both at once; which of the two is the newer alternates.
    async fn round(&self, round: usize, key: &str, mutation: MutationId) {
        let (older, newer) = (2 * round, 2 * round + 1);
        let (by_mutation, by_sync) = if round.is_multiple_of(2) { (older, newer) } else { (newer, older) };
        let applied = self.applied(mutation, key, &format!("n{by_mutation}"), by_mutation);
        let row = seen_row(key, &format!("n{by_sync}"), &format!("{by_sync:05}"));
        let seen = self.seen(by_sync, vec![row]);
        let partition = Partition { stream: Stream::Mutations, number: self.mutations };
        let (_, position) = tokio::join!(
            self.deployment.outcome(partition, applied),
            self.deployment.log.append(self.observations, vec![seen])
        );
        self.deployment.reached(self.observations, position.unwrap()[0]).await;
        assert_eq!(self.deployment.finished(mutation).await, "applied");
        self.deployment
            .wait::<bool>("parked images", "select true where not exists (select from upwrite.parked)")
            .await;
        let name: String =
            self.deployment.value(&format!("select name from crm.contact where id = '{key}'")).await.unwrap();
        assert_eq!(name, format!("n{newer}"), "round {round}: the record went backwards");
    }

    async fn stop(self) {
        for member in self.members {
            member.stop().await;
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_mutation_and_an_observation_of_one_record_never_take_it_backwards() {
    let two = two().await;
    let key = key_in(two.mutations, 2, 0);
    for round in 0..ROUNDS {
        let (mutation, _) = two.deployment.submit(change(Op::Update, &key, "x")).await;
        two.round(round, &key, mutation).await;
    }
    two.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_mutation_and_an_observation_of_a_record_nobody_knows_yet_neither() {
    let two = two().await;
    for round in 0..ROUNDS {
        let key = key_in(two.mutations, 2, round);
        let (mutation, _) = two.deployment.submit(change(Op::Update, &key, "x")).await;
        two.round(round, &key, mutation).await;
    }
    two.stop().await;
}

/// The reconciler of a create believes that its record is new, until it is told otherwise.
#[tokio::test(flavor = "multi_thread")]
async fn a_create_and_an_observation_of_what_it_made_neither() {
    let two = two().await;
    for round in 0..ROUNDS {
        let (mutation, _) = two.deployment.submit(two.create()).await;
        two.round(round, &format!("003C{round}"), mutation).await;
    }
    two.stop().await;
}

/// B10 across processes: the create's real id is seen by the one while its outcome is folded by the other. Whoever is
/// first: no claim outlives its mutation, and a record of an unfinished create is claimed.
#[tokio::test(flavor = "multi_thread")]
async fn b10_no_early_claim_outlives_its_mutation() {
    let two = two().await;
    let mut early = 0;
    for round in 0..ROUNDS {
        let (mutation, partition) = two.deployment.submit(two.create()).await;
        let key = format!("003E{round}");
        let mut row = seen_row(&key, "seen", "00001");
        row.image.as_mut().unwrap().insert("upwrite_key".into(), Some(mutation.idempotency_key(0)));
        let seen = two.seen(1, vec![row]);
        let keep_claims = round.is_multiple_of(10);
        let mut applied = two.applied(mutation, &key, "applied", 2);
        if let Event::MutationApplied(applied) = &mut applied {
            applied.keep_claims = keep_claims;
        }
        let (_, position) = tokio::join!(
            two.deployment.outcome(partition, applied),
            two.deployment.log.append(two.observations, vec![seen])
        );
        two.deployment.reached(two.observations, position.unwrap()[0]).await;
        assert_eq!(two.deployment.finished(mutation).await, "applied");
        if keep_claims {
            assert_eq!(two.deployment.claims(mutation).await, 2, "the placeholder and the real id");
            let partitions: i64 = two
                .deployment
                .value(&format!("select count(distinct partition) from upwrite.claims where mutation = '{mutation}' and partition = {}", two.mutations))
                .await
                .unwrap();
            assert_eq!(partitions, 1);
            early += 1;
        } else {
            assert_eq!(two.deployment.claims(mutation).await, 0, "round {round}");
        }
    }
    assert_eq!(early, ROUNDS / 10);
    two.stop().await;
}
