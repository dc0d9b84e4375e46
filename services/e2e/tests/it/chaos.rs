//! kill -9 at random points under load, with lost answers, late effects, server errors, resets, limits and row locks
//! upstream. Afterwards the stand-in's journal, the tables and
//! `upwrite.mutations` must agree with each other and with every verdict a client was given.
//!
//! `UPWRITE_CHAOS_SEED` repeats a run's workload, faults and kill instants; `UPWRITE_CHAOS_KILLS` sets how many.

mod fleet;
mod judge;
mod session;

use std::io::Write as _;
use std::sync::Arc;
use std::time::Duration;

use rand::{Rng as _, SeedableRng as _, rngs::StdRng};
use tokio::sync::watch;
use upwrite_e2e::{LIMIT, Options, Site, World};
use upwrite_sandbox::Chaos;
use upwrite_testkit::until;

fn setting(name: &str, default: u64) -> u64 {
    std::env::var(name).ok().map_or(default, |text| text.parse().unwrap())
}

/// Of a run that is to be repeated, or a new one.
fn seed() -> u64 {
    setting("UPWRITE_CHAOS_SEED", std::time::UNIX_EPOCH.elapsed().unwrap().as_micros() as u64)
}

const SESSIONS: u64 = 8;

/// Shown also when the test passes: the harness captures only the printing macros.
fn say(text: &str) {
    let _shown_or_not = writeln!(std::io::stderr(), "chaos: {text}");
}

#[tokio::test(flavor = "multi_thread")]
async fn g8_killed_at_100_random_points_nothing_is_lost_wrong_or_doubled() {
    let seed = seed();
    let kills = setting("UPWRITE_CHAOS_KILLS", 100);
    say(&format!("UPWRITE_CHAOS_SEED={seed} UPWRITE_CHAOS_KILLS={kills}"));
    // Short, so that records of a killed process's requests are free again before the next kills.
    let options = Options {
        late_effect: Duration::from_millis(500),
        request_timeout: Duration::from_millis(500),
        lease: Duration::from_millis(1500),
        opportunities: 40,
        fsync: true,
        ..Options::default()
    };
    let mut world = World::start(options).await;
    world.sandbox.chaos(Some(&bad_day(seed))).await.unwrap();

    let (stop, stopped) = watch::channel(false);
    let (done, mut progress) = watch::channel(0);
    let done = Arc::new(done);
    let deals: Arc<Vec<String>> = Arc::new(deals(&world, &world.url()).await);
    let sessions: Vec<_> = (0..SESSIONS)
        .map(|number| {
            let session = session::Session::new(number, seed, world.url(), Arc::clone(&deals), Arc::clone(&done));
            tokio::spawn(session.run(stopped.clone()))
        })
        .collect();
    let mut random = StdRng::seed_from_u64(seed);
    let mut instants = Vec::new();
    for number in 0..kills {
        let after = instant(&mut random, &mut progress).await;
        instants.push(after.as_millis());
        if number % 10 == 9 {
            // Postgres instead: Upwrite stays up and has to find its way back by itself.
            world.cluster.kill9().await;
            world.cluster.restart().await;
            until(LIMIT, "a login after Postgres was killed", || async { world.try_client().await.ok() }).await;
        } else {
            world.kill_and_restart().await;
        }
    }
    say(&format!("kill instants, milliseconds after each start: {instants:?}"));
    stop.send(true).unwrap();
    let mut told = Vec::new();
    for session in sessions {
        told.extend(session.await.unwrap());
    }
    world.sandbox.chaos(None).await.unwrap();
    world.settled().await;
    judge::judge(&world, &told, kills).await;
    world.finish().await;
}

/// Waits until the next blow falls: mostly a random time after something succeeded, so that a slow machine gets its work
/// done, too; else at any time. Returns the random time.
async fn instant(random: &mut StdRng, progress: &mut watch::Receiver<u64>) -> Duration {
    let soon = random.random_bool(0.7);
    let after = Duration::from_millis(random.random_range(1..if soon { 300 } else { 900 }));
    if soon {
        progress.mark_unchanged();
        let _nothing_succeeds_for_now = tokio::time::timeout(Duration::from_secs(10), progress.changed()).await;
    }
    #[allow(clippy::disallowed_methods, reason = "the random instant is the experiment")]
    tokio::time::sleep(after).await;
    after
}

/// Late effects land within the configured `late_effect`; and everything else that a vendor does on a bad day.
fn bad_day(seed: u64) -> Chaos {
    Chaos {
        seed,
        lose_answer: 0.08,
        execute_late: 0.03,
        execute_late_ms: 300,
        server_error: 0.02,
        html_body: 0.02,
        reset: 0.02,
        over_quota: 0.01,
        locked: 0.02,
        slow: 0.2,
        slow_ms: 60,
        ..Chaos::default()
    }
}

/// The records that all sessions increment.
async fn deals(site: &Site, url: &str) -> Vec<String> {
    let deals: Vec<String> = site
        .value("select array_agg(id) from (select id from salesforce.opportunity order by id limit 30) d")
        .await
        .unwrap();
    let client = upwrite_e2e::connect(url).await.unwrap();
    for deal in &deals {
        client.execute("update salesforce.opportunity set amount = 1000 where id = $1", &[deal]).await.unwrap();
    }
    deals
}
