//! One run: floor and held write in turn, then relay and direct in turn.

use upwrite_e2e::{Options, World};

use crate::floor::Floor;
use crate::held::Held;
use crate::relay::Relay;
use crate::stats::{Sample, ratio};

const READS: usize = 5_000;

pub(crate) async fn bench(writes: usize) -> anyhow::Result<()> {
    println!("starting Postgres (fsync on), the stand-in and Upwrite …");
    let world = World::start(Options { fsync: true, level: "warn,upwrite=info".into(), ..Options::default() }).await;
    held_writes(&world, writes).await?;
    stages(&world, writes).await?;
    relay(&world).await?;
    world.finish().await;
    Ok(())
}

async fn held_writes(world: &World, writes: usize) -> anyhow::Result<()> {
    let mut floor = Floor::start(world).await?;
    let mut held = Held::start(world).await?;
    for _ in 0..writes / 10 {
        floor.once().await?;
        held.once(world).await?;
    }
    let (mut floors, mut owns, mut upstreams) = (Sample::default(), Sample::default(), Sample::default());
    for _ in 0..writes {
        floors.add(floor.once().await?);
        let write = held.once(world).await?;
        owns.add(write.own);
        upstreams.add(write.upstream);
    }
    println!("\nheld single-row INSERT, one client, {writes} writes");
    println!("{}", floors.line("floor: durable append seen by a consumer + one commit"));
    println!("{}", owns.line("held write without upstream's time"));
    println!("{}", upstreams.line("upstream (stand-in), all calls of one write"));
    println!("{}", ratio("held write / floor (goal: p50 at most 2.00 x)", &owns, &floors));
    Ok(())
}

/// Where the time goes, by the times in `upwrite.mutations`, microseconds at p50.
async fn stages(world: &World, writes: usize) -> anyhow::Result<()> {
    println!("\nwhere the time goes, p50 of the last {writes} writes");
    for (what, from, to) in [
        ("dry run done -> request durable in the log", "requested_at", "accepted_at"),
        ("durable -> upstream called", "accepted_at", "attempted_at"),
        ("upstream called -> outcome durable (with upstream's time)", "attempted_at", "answered_at"),
        ("outcome durable -> row written", "answered_at", "finished_at"),
        ("request -> row written", "requested_at", "finished_at"),
    ] {
        let sql = format!(
            "select (extract(epoch from percentile_cont(0.5) within group (order by {to} - {from})) * 1e3)::float8
               from (select * from upwrite.mutations order by requested_at desc limit {writes}) m"
        );
        let ms: f64 = world.value(&sql).await.unwrap_or(f64::NAN);
        println!("  {what:<56} {ms:>8.3} ms");
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
