//! How long clients wait when a service is killed: two of each run, one of them is killed, and statements that touch
//! every partition are sent at once.

use std::time::{Duration, Instant};

use futures::future::try_join_all;
use upwrite_e2e::{Crew, Fleet};

use crate::engine::Engine;

/// Statements in flight: enough that every partition has some.
const STATEMENTS: usize = 24;

pub(crate) async fn measure(engine: Engine) -> anyhow::Result<()> {
    let mut fleet = Fleet::start(engine.options(), Crew::default()).await;
    println!("\nverdicts after kill -9 of one of two services, {STATEMENTS} statements over all partitions");
    println!("(session timeout {:?})", fleet.options.session_timeout);
    round(&fleet, "warm").await?;
    for victim in ["applier-0", "reconciler-0", "proxy-0"] {
        fleet.kill(victim).await;
        let (first, last) = round(&fleet, victim).await?;
        println!("{victim:<14} first {:>8.1} ms   last {:>8.1} ms", ms(first), ms(last));
        fleet.restart(victim);
        fleet.member(victim).process.wait_for_line("ready", upwrite_e2e::LIMIT).await;
        // Its share of the work comes back to it: a round without a kill.
        round(&fleet, &format!("{victim}-back")).await?;
    }
    fleet.finish().await;
    Ok(())
}

fn ms(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1e3
}

/// The first and the last verdict of statements that are all sent now, through the proxy that stays.
async fn round(fleet: &Fleet, tag: &str) -> anyhow::Result<(Duration, Duration)> {
    let begun = Instant::now();
    let statements = (0..STATEMENTS).map(|number| async move {
        let client = fleet.client(1).await;
        let sql = "insert into salesforce.contact (last_name, email) values ('Failover', $1)";
        client.execute(sql, &[&format!("{tag}-{number}@example.com")]).await?;
        Ok::<Duration, tokio_postgres::Error>(begun.elapsed())
    });
    let answered = try_join_all(statements).await?;
    let first = answered.iter().min().copied().unwrap_or_default();
    let last = answered.iter().max().copied().unwrap_or_default();
    Ok((first, last))
}
