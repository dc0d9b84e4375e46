//! A random history, through the real reconciler.

use upwrite_events::*;

use crate::deployment::*;

/// The same numbers for the same seed.
pub(crate) struct Dice(u64);

impl Dice {
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed)
    }

    pub(crate) fn below(&mut self, limit: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % limit
    }
}

/// Mutations with every kind of outcome, and observations, new and stale, of a few records.
pub(crate) async fn make(deployment: &TestDeployment, dice: &mut Dice, steps: i64) {
    for step in 1..=steps {
        let key = format!("003{}", dice.below(12));
        let seen = (step * 100, step * 100 + 50);
        let version = format!("{step:06}");
        match dice.below(8) {
            0 | 1 => {
                let name = format!("seen\t{step}\\ \"quoted\"\nline");
                let stale = dice.below(4) == 0;
                let version = if stale { "000000".to_owned() } else { version };
                deployment
                    .observe(seen, vec![seen_row(&key, &name, &version), seen_row("003X", "other", &version)])
                    .await;
            }
            2 => {
                let gone = ObservedRow { key, image: None, vendor_version: Some(version) };
                deployment.observe(seen, vec![gone]).await;
            }
            3 => mutate(deployment, insert(), &key, Some(("made", &version)), seen).await,
            4 => mutate(deployment, change(Op::Update, &key, "changed"), &key, Some(("changed", &version)), seen).await,
            5 => mutate(deployment, change(Op::Delete, &key, ""), &key, None, seen).await,
            6 => refused(deployment, &key).await,
            _ => in_doubt(deployment, &key, &version, seen, dice.below(2) == 0).await,
        }
    }
}

async fn mutate(deployment: &TestDeployment, change: RowChange, key: &str, to: Option<(&str, &str)>, seen: (i64, i64)) {
    let (mutation, partition) = deployment.submit(change).await;
    let row = applied_row(key, to.map(|(name, _)| image(key, name, "2.5")), to.map(|(_, version)| version), seen);
    let applied = deployment.applied(mutation, vec![row]);
    deployment.outcome(partition, applied.clone()).await;
    deployment.outcome(partition, applied).await;
    deployment.finished(mutation).await;
    released(deployment, mutation).await;
}

async fn released(deployment: &TestDeployment, mutation: MutationId) {
    let sql = format!("select true from upwrite.mutations where id = '{mutation}' and released");
    deployment.wait::<bool>("the release", &sql).await;
}

pub(crate) fn failure() -> Failure {
    Failure::new(ErrorClass::Unavailable, Outcome::Unknown, "58030", "away")
}

async fn refused(deployment: &TestDeployment, key: &str) {
    let (mutation, partition) = deployment.submit(change(Op::Update, key, "refused")).await;
    let (owner, attempt) = (deployment.owner, 1);
    let deferred = MutationDeferred { mutation, owner, attempt, not_before_us: 7_000_000, failure: failure() };
    deployment.outcome(partition, Event::MutationDeferred(deferred)).await;
    let rejected =
        MutationRejected { mutation, owner, attempt: 2, rows: vec![0], failure: failure(), keep_claims: false };
    deployment.outcome(partition, Event::MutationRejected(rejected)).await;
    deployment.finished(mutation).await;
    let outlived = MutationOutlivedRollback { mutation, reason: "rollback".into() };
    deployment.outcome(partition, Event::MutationOutlivedRollback(outlived)).await;
    let sql = format!("select true from upwrite.mutations where id = '{mutation}' and outlived_rollback");
    deployment.wait::<bool>("the note", &sql).await;
}

async fn in_doubt(deployment: &TestDeployment, key: &str, version: &str, seen: (i64, i64), settles: bool) {
    // Those that stay in doubt keep their claims: each a record of its own.
    let key = if settles { key.to_owned() } else { format!("003D{version}") };
    let (mutation, partition) = deployment.submit(change(Op::Update, &key, "in doubt")).await;
    let owner = deployment.owner;
    let event = MutationInDoubt { mutation, owner, attempt: 1, rows: vec![0], failure: failure() };
    deployment.outcome(partition, Event::MutationInDoubt(event)).await;
    deployment.finished(mutation).await;
    if settles {
        let rows = vec![applied_row(&key, Some(image(&key, "settled", "3")), Some(version), seen)];
        let settled = MutationSettled { mutation, owner, applied: vec![0], not_applied: vec![], rows };
        deployment.outcome(partition, Event::MutationSettled(settled)).await;
        released(deployment, mutation).await;
    }
}
