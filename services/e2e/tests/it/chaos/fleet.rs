//! The same on Kafka with every stage in processes of its own: any of them, the broker, or Postgres is killed or stopped
//! for a while at random points. `UPWRITE_CHAOS_POINTS` sets how many.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use rand::{Rng as _, SeedableRng as _, rngs::StdRng};
use tokio::sync::watch;
use tokio::task::JoinSet;
use upwrite_e2e::{Crew, Fleet, Kafka, LIMIT, Log, Options};
use upwrite_testkit::until;

use super::{bad_day, deals, instant, judge, say, seed, session, setting};

const SESSIONS: u64 = 16;
const SESSION_TIMEOUT: Duration = Duration::from_secs(2);

/// What happens at a point.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Blow {
    KillBroker,
    StopBroker,
    KillPostgres,
    KillProcess,
    StopProcess,
}

impl Blow {
    fn draw(random: &mut StdRng) -> Self {
        match random.random_range(0..100) {
            0..4 => Self::KillBroker,
            4..8 => Self::StopBroker,
            8..12 => Self::KillPostgres,
            12..75 => Self::KillProcess,
            _ => Self::StopProcess,
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn g8_a_fleet_on_kafka_killed_and_stopped_at_100_random_points() {
    let (seed, points) = (seed(), setting("UPWRITE_CHAOS_POINTS", 100));
    say(&format!("UPWRITE_CHAOS_SEED={seed} UPWRITE_CHAOS_POINTS={points} (fleet)"));
    let options = Options {
        log: Log::OwnKafka { brokers: 1, registry: true },
        partitions: 4,
        session_timeout: SESSION_TIMEOUT,
        late_effect: Duration::from_millis(500),
        request_timeout: Duration::from_millis(500),
        lease: Duration::from_millis(1500),
        opportunities: 40,
        fsync: true,
        ..Options::default()
    };
    let mut fleet = Fleet::start(options, Crew::default()).await;
    let urls = fleet.urls();
    let deals = Arc::new(deals(&fleet, &urls[0]).await);
    fleet.sandbox.chaos(Some(&bad_day(seed))).await.unwrap();
    let (stop, stopped) = watch::channel(false);
    let (done, mut progress) = watch::channel(0);
    let done = Arc::new(done);
    let sessions: Vec<_> = (0..SESSIONS)
        .map(|number| {
            let url = urls[usize::try_from(number).unwrap() % urls.len()].clone();
            let session = session::Session::new(number, seed, url, Arc::clone(&deals), Arc::clone(&done));
            tokio::spawn(session.run(stopped.clone()))
        })
        .collect();

    let mut random = StdRng::seed_from_u64(seed);
    let mut blows = std::collections::BTreeMap::<Blow, usize>::new();
    let mut asleep = JoinSet::new();
    for point in 1..=points {
        instant(&mut random, &mut progress).await;
        let blow = Blow::draw(&mut random);
        *blows.entry(blow).or_default() += 1;
        strike(&mut fleet, blow, &mut random, &mut asleep).await;
        if point % 100 == 0 {
            say(&format!("{point} of {points} points, {} statements", *progress.borrow()));
        }
    }
    while let Some(awake) = asleep.join_next().await {
        awake.unwrap();
    }
    say(&format!("blows: {blows:?}"));
    heal(&fleet, &urls).await;
    stop.send(true).unwrap();
    let mut told = Vec::new();
    for session in sessions {
        told.extend(session.await.unwrap());
    }
    fleet.sandbox.chaos(None).await.unwrap();
    fleet.settled().await;
    judge::judge(&fleet, &told, points).await;
    fleet.published().await;
    topics(&fleet).await;
    fleet.finish().await;
}

/// What a new consumer of the compacted topics would have in the end is what the tables have.
async fn topics(fleet: &Fleet) {
    let kafka = fleet.site.kafka.as_ref().expect("the log is on Kafka");
    for table in ["contact", "opportunity"] {
        let mut latest = HashMap::new();
        for record in kafka.published(&format!("salesforce.{table}")) {
            latest.insert(record.key.clone(), record);
        }
        let published: BTreeSet<String> = (latest.into_values().filter(|record| !record.gone))
            .map(|record| format!("{} {}", record.key, record.version))
            .collect();
        let sql = format!("select coalesce(array_agg(id || ' ' || _version), '{{}}') from salesforce.{table}");
        let held: BTreeSet<String> = fleet.value::<Vec<String>>(&sql).await.unwrap().into_iter().collect();
        let differing: Vec<_> = held.symmetric_difference(&published).collect();
        assert!(differing.is_empty(), "{table} and its topic differ: {differing:?}");
    }
}

async fn strike(fleet: &mut Fleet, blow: Blow, random: &mut StdRng, asleep: &mut JoinSet<()>) {
    let brokers = fleet.site.kafka.as_ref().and_then(|kafka: &Kafka| kafka.brokers.as_ref()).expect("own brokers");
    let broker = random.random_range(0..brokers.count());
    let member = random.random_range(0..fleet.members.len());
    let nap = Duration::from_millis(random.random_range(1..2 * SESSION_TIMEOUT.as_millis() as u64));
    match blow {
        Blow::KillBroker => {
            brokers.kill9(broker).await;
            brokers.restart(broker).await;
        }
        Blow::StopBroker => {
            brokers.pause(broker).await;
            #[allow(clippy::disallowed_methods, reason = "the random instant is the experiment")]
            tokio::time::sleep(nap).await;
            brokers.resume(broker).await;
        }
        Blow::KillPostgres => {
            fleet.cluster.kill9().await;
            fleet.cluster.restart().await;
        }
        Blow::KillProcess => {
            let name = fleet.members[member].name.clone();
            fleet.kill(&name).await;
            fleet.restart(&name);
        }
        Blow::StopProcess => {
            let pid = Pid::from_raw(i32::try_from(fleet.members[member].process.id()).unwrap());
            fleet.members[member].process.signal(Signal::SIGSTOP);
            asleep.spawn(async move {
                #[allow(clippy::disallowed_methods, reason = "the random instant is the experiment")]
                tokio::time::sleep(nap).await;
                // It may have been killed and reaped meanwhile.
                let _gone = kill(pid, Signal::SIGCONT);
            });
        }
    }
}

/// Everything runs again, and clients get through every proxy.
async fn heal(fleet: &Fleet, urls: &[String]) {
    // Only what a blow ended may have ended.
    if let Some(dead) = fleet.members.iter().find(|member| !member.process.is_running()) {
        panic!("{} ended by itself:\n{}", dead.name, dead.process.lines().join("\n"));
    }
    for url in urls {
        until(LIMIT, "a login after healing", || async { upwrite_e2e::connect(url).await.ok() }).await;
    }
}
