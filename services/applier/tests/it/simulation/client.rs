//! Clients of the simulation.

use std::sync::Arc;
use std::time::Duration;

use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use upwrite_events::{Lifecycle, Phase, Row, Verdict};

use crate::double::{Asked, Bench, KEYED, NOTHING, PROBED, insert, update};

const CREATES: u128 = 12;
const UPDATES: u64 = 10;

/// What a client was told at first, and what its table showed in the end.
pub(crate) struct ClientStory {
    pub(crate) asked: Asked,
    pub(crate) table: &'static str,
    pub(crate) update: Option<u64>,
    pub(crate) verdict: Verdict,
}

/// Creates records of every kind, one mutation after another, and sometimes loses patience.
pub(crate) async fn creating(bench: Arc<Bench>, seed: u64, number: u64) -> Vec<ClientStory> {
    let mut rng = StdRng::seed_from_u64(seed * 1000 + number);
    let mut stories = Vec::new();
    for turn in 0..CREATES {
        let id = u128::from(number + 1) * 1000 + turn;
        let table = [KEYED, PROBED, NOTHING][rng.random_range(0..3)];
        let rows = if rng.random_bool(0.7) { 1 } else { rng.random_range(2..8) };
        let asked = bench.ask(id, (0..rows).map(|row| insert(table, id, row)).collect()).await;
        let life = patient(&bench, &asked, &mut rng).await;
        stories.push(ClientStory { asked, table, update: None, verdict: life.verdict().expect("finished") });
        tokio::time::sleep(Duration::from_millis(rng.random_range(0..3_000))).await;
    }
    stories
}

/// Counts one record up, as the synced table shows it, waiting for its claims like everybody.
pub(crate) async fn updating(bench: Arc<Bench>, seed: u64, number: u64) -> Vec<ClientStory> {
    let mut rng = StdRng::seed_from_u64(seed * 1000 + 500 + number);
    let key = format!("r{number}");
    bench.world.put(KEYED, &key, Row::from([("n".to_owned(), Some("0".to_owned()))]));
    let mut shown = 0;
    let mut stories = Vec::new();
    for turn in 0..UPDATES {
        let id = u128::from(number + 101) * 1000 + u128::from(turn);
        let asked = bench.ask(id, vec![update(KEYED, &key, shown, shown + 1)]).await;
        let life = patient(&bench, &asked, &mut rng).await;
        let verdict = life.verdict().expect("finished");
        if asked.released().await.phase == Phase::Applied {
            shown += 1;
        }
        stories.push(ClientStory { asked, table: KEYED, update: Some(number), verdict });
        tokio::time::sleep(Duration::from_millis(rng.random_range(0..2_000))).await;
    }
    stories
}

/// Waits for the verdict; after a while, perhaps, wants it withdrawn.
async fn patient(bench: &Bench, asked: &Asked, rng: &mut StdRng) -> Lifecycle {
    if rng.random_bool(0.3) {
        let patience = Duration::from_millis(rng.random_range(0..25_000));
        tokio::select! {
            biased;
            life = asked.finished() => return life,
            () = tokio::time::sleep(patience) => asked.revoke(bench).await,
        }
    }
    asked.finished().await
}
