//! Anything twice, in any order, among foreign bytes (B20).

use upwrite_event_log::EventLog as _;
use upwrite_events::*;

use crate::deployment::*;

const MUTATIONS: usize = 60;

/// Numbers that look random, the same in every run.
struct Dice(u64);

impl Dice {
    fn throw(&mut self, sides: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(self.0 >> 33).unwrap() % sides
    }

    fn shuffle<T>(&mut self, items: &mut [T]) {
        for last in (1..items.len()).rev() {
            let other = self.throw(last + 1);
            items.swap(last, other);
        }
    }
}

/// All that may be said of a mutation, each twice.
fn life(deployment: &TestDeployment, mutation: MutationId, key: &str) -> Vec<Event> {
    let owner = deployment.owner;
    let failure = Failure::new(ErrorClass::Check, Outcome::NotApplied, "23514", "refused");
    let row = applied_row(key, Some(image(key, "applied", "1")), None, (1, 2));
    let events = vec![
        Event::MutationRequested(request(mutation, change(Op::Update, key, "x"))),
        Event::RevocationRequested(RevocationRequested { mutation, reason: "cancel".into() }),
        Event::MutationVoided(MutationVoided { mutation, reason: "test".into() }),
        Event::MutationRevoked(MutationRevoked { mutation, owner }),
        Event::MutationAttempted(MutationAttempted { mutation, owner, attempt: 1, rows: vec![0], attempted_at_us: 1 }),
        deployment.applied(mutation, vec![row]),
        Event::MutationRejected(MutationRejected {
            mutation,
            owner,
            attempt: 1,
            rows: vec![0],
            failure,
            keep_claims: false,
        }),
        Event::MutationOutlivedRollback(MutationOutlivedRollback { mutation, reason: "rollback".into() }),
    ];
    events.iter().chain(&events).cloned().collect()
}

async fn append_foreign_bytes(deployment: &TestDeployment, partition: Partition, bytes: &[u8]) {
    let of = format!("stream = '{}' and partition = {}", partition.stream.as_str(), partition.number);
    let hex: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    let sql = format!(
        "with at as (update upwrite.log_partitions set next_position = next_position + 1 where {of}
                     returning next_position - 1 as position)
         insert into upwrite.log (stream, partition, position, event, value)
         select '{}', {}, position, 'Foreign', '\\x{hex}' from at",
        partition.stream.as_str(),
        partition.number
    );
    deployment.lock(&sql).await.commit().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn b20_anything_twice_and_shuffled_among_foreign_bytes_stops_nothing() {
    let deployment = TestDeployment::start().await;
    let partition = Partition { stream: Stream::Mutations, number: 0 };
    let mut dice = Dice(20);
    let mut mutations = Vec::new();
    let mut events: Vec<Option<Event>> = Vec::new();
    for nth in 0..MUTATIONS {
        let (mutation, key) = (MutationId(uuid::Uuid::now_v7()), key_in(0, 2, nth));
        let mut life: Vec<Option<Event>> = life(&deployment, mutation, &key).into_iter().map(Some).collect();
        dice.shuffle(&mut life);
        events.extend(life);
        events.push(None);
        mutations.push((mutation, key));
    }
    // Of one mutation after the other, and then all once more in any order.
    let mut again = events.clone();
    dice.shuffle(&mut again);
    for (nth, event) in events.into_iter().chain(again).enumerate() {
        match event {
            Some(event) => drop(deployment.log.append(partition, vec![event]).await.unwrap()),
            None => {
                append_foreign_bytes(&deployment, partition, [&b""[..], b"\xc3\x01foreign!", b"\x00"][nth % 3]).await
            }
        }
    }
    append_foreign_bytes(&deployment, Partition { stream: Stream::Observations, number: 1 }, b"{}").await;
    // An event of the other stream.
    let position = deployment
        .log
        .append(
            Partition { stream: Stream::Observations, number: 1 },
            vec![Event::MutationVoided(MutationVoided { mutation: mutations[0].0, reason: "astray".into() })],
        )
        .await
        .unwrap();
    deployment.reached(Partition { stream: Stream::Observations, number: 1 }, position[0]).await;

    let key = key_in(0, 2, MUTATIONS);
    let (last, partition) = deployment.submit(change(Op::Update, &key, "last")).await;
    deployment
        .outcome(
            partition,
            deployment.applied(last, vec![applied_row(&key, Some(image(&key, "last", "1")), None, (1, 2))]),
        )
        .await;
    assert_eq!(deployment.finished(last).await, "applied");
    let mut states = std::collections::BTreeMap::new();
    for (mutation, key) in mutations {
        let state = deployment.finished(mutation).await;
        let version: Option<i64> =
            deployment.value(&format!("select _version from crm.contact where id = '{key}'")).await;
        assert_eq!(version, (state == "applied").then_some(1), "{state}");
        *states.entry(state).or_insert(0) += 1;
    }
    assert!(states.len() >= 4, "not much came about: {states:?}");
    let foreign: i64 =
        deployment.value("select count(*) from upwrite.dead_letters where value is not null").await.unwrap();
    assert_eq!(foreign, 2 * i64::try_from(MUTATIONS).unwrap() + 1);
    let astray: String = deployment
        .value("select reason from upwrite.dead_letters where stream = 'observations' and value is null")
        .await
        .unwrap();
    assert!(astray.contains("does not belong"), "{astray}");
}

/// An owner that was not told whether its append got in tries it again. Meanwhile the mutation may have been withdrawn and
/// released, and a reconciler started that has never heard of it.
#[tokio::test(flavor = "multi_thread")]
async fn b20_a_late_word_of_what_was_released_before_a_restart_is_no_dead_letter() {
    let mut deployment = TestDeployment::start().await;
    let (mutation, partition) = deployment.submit(change(Op::Update, &key_in(0, 2, 0), "x")).await;
    let owner = deployment.owner;
    deployment.outcome(partition, Event::MutationRevoked(MutationRevoked { mutation, owner })).await;
    assert_eq!(deployment.finished(mutation).await, "revoked");
    let released = format!("select released from upwrite.mutations where id = '{mutation}' and released");
    deployment.wait::<bool>("its release", &released).await;
    deployment.stop().await;
    deployment.run();
    let attempted = |mutation| {
        Event::MutationAttempted(MutationAttempted { mutation, owner, attempt: 1, rows: vec![0], attempted_at_us: 1 })
    };
    let stranger = MutationId(uuid::Uuid::now_v7());
    let late = vec![attempted(mutation), attempted(stranger)];
    let positions = deployment.log.append(partition, late).await.unwrap();
    deployment.reached(partition, positions[1]).await;
    let dead = deployment.value::<Vec<i64>>("select array_agg(position) from upwrite.dead_letters").await;
    assert_eq!(dead, Some(vec![positions[1].0]), "only what nobody has ever heard of");
}
