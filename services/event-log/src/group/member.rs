//! The task behind a membership: holds the session, tells the stage, takes back.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use sqlx::postgres::PgConnectOptions;
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep_until, timeout};
use tokio_util::sync::CancellationToken;

use super::Change;
use super::postgres::{GroupConfig, Told};
use super::session::Session;
use super::share::{View, class};

/// After a new connection, ticks during which nothing new is taken: the others may be about to come back, too, and
/// theirs would look free.
const QUIET_TICKS: u32 = 2;

/// An item that the stage has, or believes to have.
#[derive(Debug, Clone, Copy)]
struct Mine {
    assignment: u64,
    recalled: bool,
    /// In the present session. Otherwise the session that had the lock has ended.
    locked: bool,
}

#[derive(Debug)]
pub(crate) struct Member {
    options: PgConnectOptions,
    group: String,
    class: i32,
    items: u16,
    config: GroupConfig,
    mine: BTreeMap<u16, Mine>,
    session: Option<Session>,
    /// The session before this one: Postgres may not have noticed its end. Believed until then.
    former: Option<(i32, Instant)>,
    told: VecDeque<Told>,
    assignments: u64,
    quiet: u32,
    failures: u32,
    next: Instant,
    leaving: bool,
}

impl Member {
    pub(crate) fn new(options: &PgConnectOptions, group: &str, items: u16, config: GroupConfig) -> Self {
        // For people, and for `upwrite ctl status`, which shows who has what. Postgres cuts it at 63 bytes.
        let host = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
        let name = format!("upwrite group {group} {}@{}", std::process::id(), host.trim());
        let idle = config.session_timeout.as_millis().max(1).to_string();
        let options = options.clone().application_name(&name).options([("idle_session_timeout", idle)]);
        Self {
            options,
            group: group.to_owned(),
            class: class(group),
            items,
            config,
            mine: BTreeMap::new(),
            session: None,
            former: None,
            told: VecDeque::new(),
            assignments: 0,
            quiet: 0,
            failures: 0,
            next: Instant::now(),
            leaving: false,
        }
    }

    /// Until the handle is dropped; then the session ends, and with it the locks.
    pub(crate) async fn run(
        mut self,
        tell: mpsc::Sender<Told>,
        mut take_back: mpsc::Receiver<(u16, u64)>,
        shutdown: CancellationToken,
    ) {
        loop {
            let next = self.next;
            tokio::select! {
                biased;
                given = take_back.recv() => match given {
                    Some((item, assignment)) => self.given_back(item, assignment).await,
                    None => break,
                },
                permit = tell.reserve(), if !self.told.is_empty() => {
                    let (Ok(permit), Some(told)) = (permit, self.told.pop_front()) else { break };
                    permit.send(told);
                }
                () = shutdown.cancelled(), if !self.leaving => self.leave().await,
                () = sleep_until(next) => self.tick().await,
            }
        }
        if let Some(session) = self.session.take() {
            session.close(self.patience()).await;
        }
    }

    /// How long Postgres may take to answer: a member that waits longer is about to lose its session anyway.
    fn patience(&self) -> Duration {
        (self.config.session_timeout / 2).min(Duration::from_secs(5))
    }

    async fn tick(&mut self) {
        match timeout(self.patience(), self.round()).await {
            Ok(Ok(())) => {
                self.failures = 0;
                self.next = Instant::now() + self.config.tick;
            }
            Ok(Err(error)) => self.disconnected(&error.to_string()),
            Err(_) => self.disconnected("no answer in time"),
        }
    }

    async fn round(&mut self) -> Result<(), sqlx::Error> {
        self.connect().await?;
        let Some(session) = &mut self.session else { return Ok(()) };
        let orphans: Vec<u16> = self.mine.iter().filter(|(_, mine)| !mine.locked).map(|(item, _)| *item).collect();
        if !orphans.is_empty() {
            for item in session.lock(&orphans).await? {
                self.mine.entry(item).and_modify(|mine| mine.locked = true);
            }
        }
        let view = session.look().await?;
        let me = session.pid;
        self.mourn(&view);
        if self.leaving {
            return Ok(());
        }
        let quota = view.quota(me, self.items);
        if self.quiet > 0 {
            self.quiet -= 1;
            return Ok(());
        }
        self.recall(quota);
        // Whoever does not listen gets nothing more: what is to be told stays bounded.
        let wanted = quota.saturating_sub(self.mine.len());
        if wanted > 0 && self.told.is_empty() {
            self.acquire(&view.free(me, self.items, wanted)).await?;
        }
        metrics::gauge!("upwrite_group_members_count", "group" => self.group.clone()).set(small(view.members()));
        metrics::gauge!("upwrite_group_items_count", "group" => self.group.clone()).set(small(self.mine.len()));
        Ok(())
    }

    async fn connect(&mut self) -> Result<(), sqlx::Error> {
        if self.session.is_some() {
            return Ok(());
        }
        let mut session = Session::open(&self.options, self.class).await?;
        if self.leaving {
            session.leave().await?;
        }
        if self.former.is_some() {
            tracing::info!(group = self.group, "connected to the group again");
            self.quiet = QUIET_TICKS;
        }
        self.session = Some(session);
        Ok(())
    }

    /// Items whose lock went with the former session, and that somebody else has now.
    fn mourn(&mut self, view: &View) {
        let believed = self.former.filter(|(_, since)| since.elapsed() < 2 * self.config.session_timeout);
        let taken = |item: u16| view.holder(item).is_some_and(|pid| believed.is_none_or(|(former, _)| pid != former));
        let lost: Vec<u16> =
            self.mine.iter().filter(|(item, mine)| !mine.locked && taken(**item)).map(|(item, _)| *item).collect();
        for item in lost {
            tracing::warn!(group = self.group, item, "lost to another member while the connection was away");
            if let Some(mine) = self.mine.remove(&item) {
                self.told.push_back(Told { change: Change::Lost(item), assignment: mine.assignment });
            }
        }
    }

    /// What is more than the share is asked back, the last items first.
    fn recall(&mut self, quota: usize) {
        let kept = self.mine.values().filter(|mine| !mine.recalled).count();
        let excess = kept.saturating_sub(quota);
        for (item, mine) in self.mine.iter_mut().rev().filter(|(_, mine)| !mine.recalled).take(excess) {
            tracing::info!(group = self.group, item, "recalled");
            mine.recalled = true;
            self.told.push_back(Told { change: Change::Recalled(*item), assignment: mine.assignment });
        }
    }

    async fn acquire(&mut self, items: &[u16]) -> Result<(), sqlx::Error> {
        let Some(session) = self.session.as_mut().filter(|_| !items.is_empty()) else { return Ok(()) };
        for item in session.lock(items).await? {
            self.assignments += 1;
            let assignment = self.assignments;
            tracing::info!(group = self.group, item, "assigned");
            self.mine.insert(item, Mine { assignment, recalled: false, locked: true });
            self.told.push_back(Told { change: Change::Assigned(item), assignment });
        }
        Ok(())
    }

    async fn given_back(&mut self, item: u16, assignment: u64) {
        if self.mine.get(&item).is_none_or(|mine| mine.assignment != assignment) {
            return;
        }
        let locked = self.mine.remove(&item).is_some_and(|mine| mine.locked);
        let patience = self.patience();
        if let Some(session) = self.session.as_mut().filter(|_| locked) {
            match timeout(patience, session.unlock(item)).await {
                Ok(Ok(())) => {}
                Ok(Err(error)) => self.disconnected(&error.to_string()),
                Err(_) => self.disconnected("no answer in time"),
            }
        }
    }

    /// Shutdown: others may have what this member gives back.
    async fn leave(&mut self) {
        self.leaving = true;
        let patience = self.patience();
        let Some(session) = &mut self.session else { return };
        match timeout(patience, session.leave()).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => self.disconnected(&error.to_string()),
            Err(_) => self.disconnected("no answer in time"),
        }
    }

    /// The stage goes on with what it has.
    fn disconnected(&mut self, error: &str) {
        if let Some(session) = self.session.take() {
            tracing::warn!(group = self.group, error, "connection to the group lost");
            self.former = Some((session.pid, Instant::now()));
            self.mine.values_mut().for_each(|mine| mine.locked = false);
        } else {
            tracing::debug!(group = self.group, error, "no connection to the group");
        }
        // At once, then at growing distances up to a tick: who comes back later than the others' quiet ticks may find
        // its items taken.
        let tick = self.config.tick;
        let delay =
            if self.failures == 0 { Duration::ZERO } else { (tick / 8 * 2u32.pow(self.failures.min(4))).min(tick) };
        self.failures = self.failures.saturating_add(1);
        self.next = Instant::now() + delay;
    }
}

/// For a gauge.
fn small(count: usize) -> f64 {
    f64::from(u32::try_from(count).unwrap_or(u32::MAX))
}
