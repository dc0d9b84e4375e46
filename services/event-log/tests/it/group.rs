//! Who has what: members of a group on a real Postgres.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use sqlx::{AssertSqlSafe, PgPool, Row as _};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use upwrite_event_log::{GroupConfig, Membership as _, MembershipEvent, PgMembership};
use upwrite_testkit::postgres::{Cluster, Options};
use upwrite_testkit::until;

const LIMIT: Duration = Duration::from_secs(30);
const ITEMS: u16 = 5;

/// A group on a database of its own.
struct Bench {
    url: String,
    admin: PgPool,
}

impl Bench {
    async fn on(cluster: &Cluster) -> Self {
        let url = cluster.superuser_url(&cluster.create_database().await);
        let admin = PgPool::connect_lazy(&url).unwrap();
        Self { url, admin }
    }

    fn member(&self) -> Member {
        self.member_with(GroupConfig::default())
    }

    fn member_with(&self, config: GroupConfig) -> Member {
        let shutdown = CancellationToken::new();
        let membership = PgMembership::join(self.url.parse().unwrap(), "test", ITEMS, config, shutdown.clone());
        let state = Arc::new(Mutex::new(State::default()));
        let stage = tokio::spawn(stage(membership, Arc::clone(&state)));
        Member { state, stage, shutdown }
    }

    /// `(backend, class, key)` of every lock of the group.
    async fn locks(&self) -> Vec<(i32, i64, i64)> {
        let query = "/* test.locks */ select l.pid, l.classid::bigint, l.objid::bigint \
              from pg_locks l join pg_stat_activity a on a.pid = l.pid \
             where l.locktype = 'advisory' and a.datname = current_database() and a.application_name like 'upwrite group %'";
        let rows = sqlx::query(query).fetch_all(&self.admin).await.unwrap();
        rows.iter().map(|row| (row.get(0), row.get(1), row.get(2))).collect()
    }

    /// When each member's session last spoke, by backend. Members that drain are none any more.
    async fn spoken(&self) -> BTreeMap<i32, String> {
        let members: BTreeSet<i32> =
            self.locks().await.into_iter().filter(|(_, _, key)| *key == 0).map(|(pid, ..)| pid).collect();
        let query = "/* test.spoken */ select pid, query_start::text from pg_stat_activity \
             where pid = any($1) and query_start is not null";
        let pids: Vec<i32> = members.into_iter().collect();
        let rows = sqlx::query(query).bind(pids).fetch_all(&self.admin).await.unwrap();
        rows.iter().map(|row| (row.get(0), row.get(1))).collect()
    }

    /// Until every member has looked around so many times more: each look is a statement of its session.
    async fn until_looked(&self, times: usize) {
        for _ in 0..times {
            let before = self.spoken().await;
            assert!(!before.is_empty(), "nobody is a member");
            until(LIMIT, "a look of every member", || async {
                let now = self.spoken().await;
                before.iter().all(|(pid, spoke)| now.get(pid) != Some(spoke)).then_some(())
            })
            .await;
        }
    }

    /// Ends the session of whoever holds the item.
    async fn terminate_holder(&self, item: u16) {
        // Whoever has been told that it is his may be about to take its lock on a new connection.
        let pid = until(LIMIT, "a holder of the item", || async {
            let locks = self.locks().await;
            locks.iter().find(|(_, _, key)| *key == i64::from(item) + 1).map(|(pid, _, _)| *pid)
        })
        .await;
        let kill = "/* test.terminate */ select pg_terminate_backend($1)";
        sqlx::query(kill).bind(pid).execute(&self.admin).await.unwrap();
    }
}

#[derive(Debug, Default)]
struct State {
    mine: BTreeSet<u16>,
    recalled: BTreeSet<u16>,
    /// Everything that was told, in order.
    story: Vec<MembershipEvent>,
    /// Recalled items are kept until this is taken back.
    stubborn: bool,
}

struct Member {
    state: Arc<Mutex<State>>,
    stage: JoinHandle<()>,
    shutdown: CancellationToken,
}

impl Drop for Member {
    fn drop(&mut self) {
        self.stage.abort();
    }
}

/// A stage that gives back at once, unless it is stubborn.
async fn stage(mut membership: PgMembership, state: Arc<Mutex<State>>) {
    loop {
        let stubborn = state.lock().unwrap().stubborn;
        let ready: Vec<u16> =
            if stubborn { Vec::new() } else { state.lock().unwrap().recalled.iter().copied().collect() };
        for item in ready {
            {
                let mut state = state.lock().unwrap();
                state.mine.remove(&item);
                state.recalled.remove(&item);
            }
            membership.give_back(item).await;
        }
        // Cut off again and again: waiting for a change must lose none.
        let Ok(change) = tokio::time::timeout(Duration::from_millis(5), membership.changed()).await else { continue };
        let mut state = state.lock().unwrap();
        state.story.push(change);
        match change {
            MembershipEvent::Assigned(item) => assert!(state.mine.insert(item), "assigned twice: {item}"),
            MembershipEvent::Recalled(item) => {
                assert!(state.mine.contains(&item), "recalled, but not there: {item}");
                state.recalled.insert(item);
            }
            MembershipEvent::Lost(item) => {
                assert!(state.mine.remove(&item), "lost, but not there: {item}");
                state.recalled.remove(&item);
            }
        }
    }
}

impl Member {
    fn mine(&self) -> BTreeSet<u16> {
        self.state.lock().unwrap().mine.clone()
    }

    fn lost(&self) -> usize {
        self.state.lock().unwrap().story.iter().filter(|change| matches!(change, MembershipEvent::Lost(_))).count()
    }

    fn stubborn(&self, stubborn: bool) {
        self.state.lock().unwrap().stubborn = stubborn;
    }
}

/// Until every item has exactly one owner among `members`, in fair parts.
async fn until_shared(members: &[&Member]) {
    until(LIMIT, "all items in fair parts", || async {
        let parts: Vec<BTreeSet<u16>> = members.iter().map(|member| member.mine()).collect();
        let sizes: Vec<usize> = parts.iter().map(BTreeSet::len).collect();
        let all: BTreeSet<u16> = parts.iter().flatten().copied().collect();
        let fair = sizes.iter().max().unwrap() - sizes.iter().min().unwrap() <= 1;
        (all.len() == usize::from(ITEMS) && sizes.iter().sum::<usize>() == usize::from(ITEMS) && fair).then_some(())
    })
    .await;
}

#[tokio::test]
async fn one_member_has_everything_and_a_second_gets_its_share_once_it_is_given_back() {
    let bench = Bench::on(Cluster::shared().await).await;
    let first = bench.member();
    until_shared(&[&first]).await;
    first.stubborn(true);
    let second = bench.member();
    until(LIMIT, "a recall", || async { (first.state.lock().unwrap().recalled.len() == 2).then_some(()) }).await;
    // Several looks of the second one later it still has none of them: nobody has the same item at the same time.
    bench.until_looked(4).await;
    assert_eq!((first.mine().len(), second.mine().len()), (5, 0));
    first.stubborn(false);
    until_shared(&[&first, &second]).await;
    let third = bench.member();
    until_shared(&[&first, &second, &third]).await;
    assert_eq!(first.lost() + second.lost() + third.lost(), 0);
}

#[tokio::test]
async fn a_member_that_leaves_gives_way_while_it_drains() {
    let bench = Bench::on(Cluster::shared().await).await;
    let (first, second) = (bench.member(), bench.member());
    until_shared(&[&first, &second]).await;
    let kept = first.mine();
    first.shutdown.cancel();
    until(LIMIT, "the member lock to go", || async {
        (bench.locks().await.iter().filter(|(_, _, key)| *key == 0).count() == 1).then_some(())
    })
    .await;
    bench.until_looked(3).await;
    assert_eq!(first.mine(), kept, "it has them until it gives them back");
    assert!(second.mine().is_disjoint(&kept));
    drop(first);
    until_shared(&[&second]).await;
}

#[tokio::test]
async fn a_killed_members_items_go_to_the_others() {
    let bench = Bench::on(Cluster::shared().await).await;
    let mut slowest = Duration::ZERO;
    let survivor = bench.member();
    for _ in 0..5 {
        let victim = bench.member();
        until_shared(&[&survivor, &victim]).await;
        let killed = Instant::now();
        drop(victim);
        until_shared(&[&survivor]).await;
        slowest = slowest.max(killed.elapsed());
    }
    println!("taken over after a kill within {slowest:?} (5 times)");
}

#[tokio::test]
async fn a_lost_connection_is_made_again_and_the_items_stay_or_are_told_lost() {
    let bench = Bench::on(Cluster::shared().await).await;
    let (first, second) = (bench.member(), bench.member());
    until_shared(&[&first, &second]).await;
    for _ in 0..5 {
        bench.terminate_holder(0).await;
        // The holder, whoever it is, notices within a tick; then everything is settled again.
        until(LIMIT, "two sessions", || async {
            (bench.locks().await.iter().filter(|(_, _, key)| *key == 0).count() == 2).then_some(())
        })
        .await;
        until_shared(&[&first, &second]).await;
        until(LIMIT, "locks of all items", || async {
            (bench.locks().await.iter().filter(|(_, _, key)| *key > 0).count() == usize::from(ITEMS)).then_some(())
        })
        .await;
    }
    // SoleMember, nobody can take anything from it.
    drop(second);
    until_shared(&[&first]).await;
    let lost = first.lost();
    bench.terminate_holder(0).await;
    until(LIMIT, "locks of all items", || async {
        (bench.locks().await.iter().filter(|(_, _, key)| *key > 0).count() == usize::from(ITEMS)).then_some(())
    })
    .await;
    assert_eq!((first.mine().len(), first.lost()), (5, lost));
}

#[tokio::test]
async fn after_a_crash_of_postgres_all_have_what_they_had() {
    let cluster = Cluster::start(Options::default()).await;
    let bench = Bench::on(&cluster).await;
    // Wide enough for a machine that is busy with other tests.
    let config = GroupConfig { tick: Duration::from_secs(1), ..GroupConfig::default() };
    let members = [bench.member_with(config), bench.member_with(config), bench.member_with(config)];
    until_shared(&[&members[0], &members[1], &members[2]]).await;
    let before: Vec<BTreeSet<u16>> = members.iter().map(Member::mine).collect();
    cluster.kill9().await;
    // Postgres stays away until each of them has tried in vain, more than once.
    let nobody = TcpListener::bind((cluster.host(), cluster.port())).await.unwrap();
    for _ in 0..3 * members.len() {
        tokio::time::timeout(LIMIT, nobody.accept()).await.expect("members try to connect").unwrap();
    }
    drop(nobody);
    cluster.restart().await;
    until(LIMIT, "all members' locks", || async {
        (bench.locks().await.len() == members.len() + usize::from(ITEMS)).then_some(())
    })
    .await;
    bench.until_looked(3).await;
    let after: Vec<BTreeSet<u16>> = members.iter().map(Member::mine).collect();
    assert_eq!(after, before);
    assert!(members.iter().all(|member| member.lost() == 0), "they never stopped");
}

/// What a SIGSTOP leaves behind: a session with locks, and nobody who speaks in it.
#[tokio::test]
async fn a_stopped_members_items_go_to_the_others_after_the_session_timeout() {
    let bench = Bench::on(Cluster::shared().await).await;
    let living = bench.member();
    until_shared(&[&living]).await;
    let (_, class, _) = bench.locks().await[0];
    let options: sqlx::postgres::PgConnectOptions = bench.url.parse().unwrap();
    let options = options.application_name("upwrite group test").options([("idle_session_timeout", "1500")]);
    let mut stopped = <sqlx::PgConnection as sqlx::Connection>::connect_with(&options).await.unwrap();
    let lock = format!("/* test.stopped */ select pg_advisory_lock_shared({class}, 0)");
    sqlx::query(AssertSqlSafe(lock)).execute(&mut stopped).await.unwrap();
    // It joined; now it gets hold of what the other one gives back, and falls silent.
    let taken = Mutex::new(BTreeSet::new());
    let lock =
        format!("/* test.stopped */ select n from generate_series(1, 5) n where pg_try_advisory_lock({class}, n)");
    let stopped = tokio::sync::Mutex::new(stopped);
    until(LIMIT, "two items that were given back", || async {
        let mut stopped = stopped.lock().await;
        let got: Vec<i32> = sqlx::query_scalar(AssertSqlSafe(lock.as_str())).fetch_all(&mut *stopped).await.unwrap();
        taken.lock().unwrap().extend(got);
        (taken.lock().unwrap().len() >= 2).then_some(())
    })
    .await;
    assert_eq!(living.mine().len(), 3);
    let silent = Instant::now();
    until_shared(&[&living]).await;
    assert!(silent.elapsed() > Duration::from_millis(1_200), "not before the timeout: {:?}", silent.elapsed());
    drop(stopped);
}

/// The session that Postgres ended because its member was stopped: when that wakes, it finds out.
#[tokio::test]
async fn a_member_that_wakes_up_is_told_what_it_lost() {
    let bench = Bench::on(Cluster::shared().await).await;
    // It is silent for longer than its session may be: Postgres ends it after every word.
    let config = GroupConfig { tick: Duration::from_secs(2), session_timeout: Duration::from_secs(1) };
    let sleeper = bench.member_with(config);
    until_shared(&[&sleeper]).await;
    let other = bench.member();
    until(LIMIT, "the sleeper to be robbed", || async { (sleeper.lost() > 0).then_some(()) }).await;
    until(LIMIT, "the others to have everything", || async {
        (other.mine().len() == usize::from(ITEMS)).then_some(())
    })
    .await;
}
