//! One run for each engine: floor and held write in turn, relay and direct in turn, throughput, failover.

use std::time::Duration;

use sqlx::Row as _;
use upwrite_e2e::World;

use crate::engine::Engine;
use crate::floor::Floor;
use crate::held::{Held, Write};
use crate::relay::Relay;
use crate::stats::{Sample, ratio};
use crate::{failover, throughput};

const READS: usize = 5_000;

/// What `make bench` measures of each engine.
pub(crate) async fn bench(engines: &[Engine], writes: usize) -> anyhow::Result<()> {
    for engine in engines {
        println!("\n===== the log on {} =====", engine.name());
        println!("starting Postgres (fsync on), the log, the stand-in and Upwrite …");
        let world = World::start(engine.options()).await;
        let measured = held_writes(&world, writes).await?;
        stages(&world, &measured).await?;
        if *engine == Engine::Postgres {
            relay(&world).await?;
        }
        throughput::measure(&world.site, &[world.url()]).await?;
        world.finish().await;
        failover::measure(*engine).await?;
    }
    Ok(())
}

async fn held_writes(world: &World, writes: usize) -> anyhow::Result<Vec<Write>> {
    let mut floor = Floor::start(world).await?;
    let mut held = Held::start(world).await?;
    for _ in 0..writes / 10 {
        floor.once().await?;
        held.once(world).await?;
    }
    let (mut floors, mut owns, mut upstreams) = (Sample::default(), Sample::default(), Sample::default());
    let mut measured = Vec::new();
    for _ in 0..writes {
        floors.add(floor.once().await?);
        let write = held.once(world).await?;
        owns.add(write.own);
        upstreams.add(write.upstream);
        measured.push(write);
    }
    println!("\nheld single-row INSERT, one client, {writes} writes");
    println!(
        "{}",
        floors.line(if world.kafka.is_some() {
            "floor: claim commit, acks=all produce seen, reconcile commit"
        } else {
            "floor: claim and append seen by a consumer, reconcile commit"
        })
    );
    println!("{}", owns.line("held write without upstream's time"));
    println!("{}", upstreams.line("upstream (stand-in), all calls of one write"));
    println!("{}", ratio("held write / floor (goal: p50 at most 2.00 x)", &owns, &floors));
    Ok(measured)
}

/// Where the time goes, by the times in `upwrite.mutations`: all clocks are this machine's.
async fn stages(world: &World, measured: &[Write]) -> anyhow::Result<()> {
    println!("\nwhere the time goes, p50 of {} writes", measured.len());
    let rows = sqlx::query(
        "select (extract(epoch from requested_at) * 1e6)::int8, (extract(epoch from accepted_at) * 1e6)::int8,
                (extract(epoch from answered_at) * 1e6)::int8, (extract(epoch from finished_at) * 1e6)::int8
           from upwrite.mutations where finished_at is not null order by requested_at desc limit $1",
    )
    .bind(measured.len() as i64)
    .fetch_all(&world.admin)
    .await?;
    let mut samples: [Sample; 5] = Default::default();
    for (write, row) in measured.iter().rev().zip(&rows) {
        let mut times = vec![write.begun_us];
        for column in 0..4 {
            times.push(row.try_get(column)?);
        }
        times.push(write.ended_us);
        for (sample, pair) in samples.iter_mut().zip(times.windows(2)) {
            sample.add(Duration::from_micros(u64::try_from(pair[1] - pair[0]).unwrap_or(0)));
        }
    }
    for (what, sample) in [
        "statement sent -> dry run done, images planned",
        "-> claimed and durable in the log",
        "-> upstream called and answered, outcome durable",
        "-> row, status, position written (before its commit)",
        "-> committed, heard, answered, read by the client",
    ]
    .iter()
    .zip(&samples)
    {
        println!("{}", sample.line(&format!("  {what}")));
    }
    Ok(())
}

async fn relay(world: &World) -> anyhow::Result<()> {
    let through = Relay::start(world, &world.url()).await?;
    let direct = Relay::start(world, &world.around_url()).await?;
    let (mut throughs, mut directs) = (Sample::default(), Sample::default());
    for _ in 0..READS {
        throughs.add(through.once().await?);
        directs.add(direct.once().await?);
    }
    println!("\nSELECT by key, prepared, one client, {READS} reads");
    println!("{}", directs.line("direct"));
    println!("{}", throughs.line("through the proxy"));
    println!("{}", ratio("proxy / direct", &throughs, &directs));
    Ok(())
}
