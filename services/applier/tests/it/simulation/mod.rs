//! Many clients, an upstream that misbehaves, appliers that are killed, stopped and ousted at random moments; then
//! everything heals, and what happened is compared with what clients learned. Reproducible by seed.

mod check;
mod client;

use std::time::Duration;

use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

use crate::double::{Bench, Running};
use check::check;
use client::{ClientStory, creating, updating};

const CLIENTS: u64 = 4;
const RECORDS: u64 = 3;
const SEEDS: u64 = 150;

#[test]
fn every_verdict_is_true_whatever_happens() {
    let only: Option<u64> = std::env::var("UPWRITE_SEED").ok().and_then(|seed| seed.parse().ok());
    let count = std::env::var("UPWRITE_SEEDS").ok().and_then(|count| count.parse().ok()).unwrap_or(SEEDS);
    let seeds = only.map_or(0..count, |seed| seed..seed + 1);
    for seed in seeds {
        eprintln!("UPWRITE_SEED={seed}");
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().start_paused(true).build().unwrap();
        runtime.block_on(simulate(seed));
    }
}

async fn simulate(seed: u64) {
    let bench = std::sync::Arc::new(Bench::new(2, seed));
    bench.world.misbehave(0.35);
    bench.log.lose_acknowledgements(0.05);
    let clients = (0..CLIENTS).map(|number| tokio::spawn(creating(bench.clone(), seed, number)));
    let clients: Vec<_> =
        clients.chain((0..RECORDS).map(|number| tokio::spawn(updating(bench.clone(), seed, number)))).collect();
    let running = trouble(&bench, seed).await;
    bench.world.misbehave(0.0);
    bench.log.lose_acknowledgements(0.0);
    let mut stories: Vec<ClientStory> = Vec::new();
    for client in clients {
        stories.extend(client.await.unwrap());
    }
    for story in &stories {
        story.asked.released().await;
    }
    // Whatever can still land does.
    tokio::time::sleep(Duration::from_secs(60)).await;
    check(&bench, &stories, RECORDS);
    let events = bench.log.all(0).len() + bench.log.all(1).len();
    assert!(events < stories.len() * 40, "{events} events for {} mutations: the log is flooded", stories.len());
    running.stop().await;
}

/// Ten minutes in which no applier lives long.
async fn trouble(bench: &Bench, seed: u64) -> Running {
    let mut rng = StdRng::seed_from_u64(seed ^ 0xdead);
    let mut running = bench.start();
    for _ in 0..rng.random_range(3..20) {
        tokio::time::sleep(Duration::from_millis(rng.random_range(10..20_000))).await;
        bench.reconciler_behind(rng.random_range(0..30));
        match rng.random_range(0..4) {
            0 => {
                running.stop().await;
                running = bench.start();
            }
            1 => {
                // A successor while the old one is still at work.
                let successor = bench.start();
                tokio::time::sleep(Duration::from_millis(rng.random_range(10..5_000))).await;
                running.kill().await;
                running = successor;
            }
            _ => {
                running.kill().await;
                tokio::time::sleep(Duration::from_millis(rng.random_range(0..3_000))).await;
                running = bench.start();
            }
        }
    }
    running
}
