//! Every stage in processes of its own, several of each: they share the work, and any of them may die or stall.

use std::time::Instant;

use nix::sys::signal::Signal;
use upwrite_e2e::{Crew, Fleet, LIMIT, Log, Options};

#[tokio::test(flavor = "multi_thread")]
async fn g8_any_process_may_die_or_stall_on_postgres() {
    any_process_may_die_or_stall(Log::Postgres).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn g8_any_process_may_die_or_stall_on_kafka() {
    any_process_may_die_or_stall(Log::Kafka { registry: true }).await;
}

async fn any_process_may_die_or_stall(log: Log) {
    let options = Options { log, partitions: 4, ..Options::default() };
    let mut fleet = Fleet::start(options, Crew::default()).await;
    let deals = "select array_agg(id order by id) from salesforce.opportunity";
    let deals: Vec<String> = fleet.value(deals).await.unwrap();
    let before = amounts(&fleet).await;
    let mut added = 0;

    // Whichever proxy: each sees what the other wrote.
    for round in 0..2 {
        added += increment_all(&fleet, round, &deals).await;
    }
    assert_eq!(amounts(&fleet).await, before + f64::from(added));

    for name in ["applier-0", "reconciler-0", "syncer-0", "applier-1", "reconciler-1"] {
        fleet.kill(name).await;
        let begun = Instant::now();
        added += increment_all(&fleet, 1, &deals).await;
        eprintln!("fleet: {} statements with {name} dead took {:?}", deals.len(), begun.elapsed());
        fleet.restart(name);
        fleet.member(name).process.wait_for_line("ready", LIMIT).await;
    }
    for name in ["applier-0", "reconciler-1"] {
        fleet.member(name).process.signal(Signal::SIGSTOP);
        let begun = Instant::now();
        added += increment_all(&fleet, 0, &deals).await;
        eprintln!("fleet: {} statements with {name} stalled took {:?}", deals.len(), begun.elapsed());
        fleet.member(name).process.signal(Signal::SIGCONT);
        added += increment_all(&fleet, 1, &deals).await;
    }
    // A proxy's clients lose their connection; the others', and what was held, go on.
    fleet.kill("proxy-0").await;
    added += increment_all(&fleet, 1, &deals).await;
    fleet.restart("proxy-0");
    fleet.member("proxy-0").process.wait_for_line("ready", LIMIT).await;
    added += increment_all(&fleet, 0, &deals).await;
    fleet.settled().await;
    assert_eq!(amounts(&fleet).await, before + f64::from(added));
    let upstream = fleet.sandbox.records("Opportunity").await.unwrap();
    let upstream: f64 = upstream.iter().filter_map(|record| record["Amount"].as_f64()).sum();
    assert_eq!(upstream, before + f64::from(added));
    fleet.finish().await;
}

async fn amounts(fleet: &Fleet) -> f64 {
    fleet.value("select sum(coalesce(amount, 0))::float8 from salesforce.opportunity").await.unwrap()
}

/// One more on every deal, through that proxy; each must succeed. How many that were.
async fn increment_all(fleet: &Fleet, proxy: usize, deals: &[String]) -> i32 {
    let client = fleet.client(proxy).await;
    for deal in deals {
        let sql = "update salesforce.opportunity set amount = coalesce(amount, 0) + 1 where id = $1";
        assert_eq!(client.execute(sql, &[deal]).await.expect("an increment"), 1, "{deal}");
    }
    i32::try_from(deals.len()).unwrap()
}
