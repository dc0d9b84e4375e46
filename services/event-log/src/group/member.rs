//! The task behind a membership: has the session with the locks, sends events to the stage, takes items back.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use sqlx::postgres::PgConnectOptions;
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep_until, timeout};
use tokio_util::sync::CancellationToken;

use super::MembershipEvent;
use super::item::{self, GroupItem, Items};
use super::lock_session::{Classes, LockSession};
use super::postgres::GroupConfig;
use super::share::View;

/// After a new connection, ticks during which nothing new is taken: the others may be about to come back, too, and
/// theirs would look free.
const QUIET_TICKS: u32 = 2;

/// An event, and which assignment of the item it is about.
#[derive(Debug, Clone, Copy)]
pub(crate) struct ItemEvent {
    /// Of the item with this key.
    pub(crate) event: MembershipEvent<i32>,
    pub(crate) assignment: u64,
}

/// One assignment of the item with this key.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Assigned {
    pub(crate) key: i32,
    pub(crate) assignment: u64,
}

/// An item that the stage has, or believes to have.
#[derive(Debug, Clone, Copy)]
struct OwnItem {
    assignment: u64,
    recalled: bool,
    /// In the present session. Otherwise the session that had the lock has ended.
    locked: bool,
}

#[derive(Debug)]
pub(crate) struct Member<I> {
    options: PgConnectOptions,
    group: String,
    classes: Classes,
    items: Items<I>,
    config: GroupConfig,
    /// By key.
    mine: BTreeMap<i32, OwnItem>,
    session: Option<LockSession>,
    /// The session before this one: Postgres may not have noticed its end. Believed until then.
    former: Option<(i32, Instant)>,
    /// For the stage.
    events: VecDeque<ItemEvent>,
    assignments: u64,
    quiet: u32,
    failures: u32,
    next: Instant,
    leaving: bool,
}

impl<I: GroupItem> Member<I> {
    pub(crate) fn new(options: &PgConnectOptions, group: &str, items: Items<I>, config: GroupConfig) -> Self {
        // For people, and for `upwrite ctl status`, which shows who has what. Postgres cuts it at 63 bytes.
        let host = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
        let name = format!("upwrite group {group} {}@{}", std::process::id(), host.trim());
        let idle = config.session_timeout.as_millis().max(1).to_string();
        let options = options.clone().application_name(&name).options([("idle_session_timeout", idle)]);
        Self {
            options,
            group: group.to_owned(),
            classes: Classes { items: item::class(group), announcements: item::announcements(group) },
            items,
            config,
            mine: BTreeMap::new(),
            session: None,
            former: None,
            events: VecDeque::new(),
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
        sender: mpsc::Sender<ItemEvent>,
        mut take_back: mpsc::Receiver<Assigned>,
        shutdown: CancellationToken,
    ) {
        loop {
            let next = self.next;
            tokio::select! {
                biased;
                given = take_back.recv() => match given {
                    Some(assigned) => self.given_back(assigned).await,
                    None => break,
                },
                permit = sender.reserve(), if !self.events.is_empty() => {
                    let (Ok(permit), Some(event)) = (permit, self.events.pop_front()) else { break };
                    permit.send(event);
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
        let unlocked: Vec<i32> = self.mine.iter().filter(|(_, mine)| !mine.locked).map(|(key, _)| *key).collect();
        if !unlocked.is_empty() {
            for key in session.lock(&unlocked).await? {
                self.mine.entry(key).and_modify(|mine| mine.locked = true);
            }
        }
        let view = session.look().await?;
        let me = session.pid;
        self.lose(&view);
        if self.leaving {
            return Ok(());
        }
        if self.quiet > 0 {
            self.quiet -= 1;
            return Ok(());
        }
        let division = view.division(self.items.keys());
        let former = self.believed();
        self.recall(|key| division.get(&key).is_some_and(|pid| *pid != me && Some(*pid) != former));
        // A stage that does not listen gets nothing more: what is queued for it stays bounded.
        if self.events.is_empty() {
            let wanted = |key: &i32| {
                division.get(key) == Some(&me) && view.holder(*key).is_none() && !self.mine.contains_key(key)
            };
            let wanted: Vec<i32> = self.items.keys().filter(wanted).collect();
            self.acquire(&wanted).await?;
        }
        metrics::gauge!("upwrite_group_members_count", "group" => self.group.clone()).set(small(view.members()));
        metrics::gauge!("upwrite_group_items_count", "group" => self.group.clone()).set(small(self.mine.len()));
        Ok(())
    }

    async fn connect(&mut self) -> Result<(), sqlx::Error> {
        if self.session.is_some() {
            return Ok(());
        }
        let mut session = LockSession::open(&self.options, self.classes, &self.items.announced()).await?;
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

    /// Items whose lock went with the former session, and that another member has now.
    fn lose(&mut self, view: &View) {
        let believed = self.believed();
        let taken = |key: i32| view.holder(key).is_some_and(|pid| Some(pid) != believed);
        let lost: Vec<i32> =
            self.mine.iter().filter(|(key, mine)| !mine.locked && taken(**key)).map(|(key, _)| *key).collect();
        for key in lost {
            tracing::warn!(
                group = self.group,
                item = self.label(key),
                "lost to another member while the connection was away"
            );
            if let Some(mine) = self.mine.remove(&key) {
                self.events.push_back(ItemEvent { event: MembershipEvent::Lost(key), assignment: mine.assignment });
            }
        }
    }

    /// The former session, as long as Postgres may not have noticed its end.
    fn believed(&self) -> Option<i32> {
        self.former.filter(|(_, since)| since.elapsed() < 2 * self.config.session_timeout).map(|(pid, _)| pid)
    }

    /// What others are to have is asked back.
    fn recall(&mut self, of_others: impl Fn(i32) -> bool) {
        let excess = self.mine.iter().filter(|(key, mine)| !mine.recalled && of_others(**key)).map(|(key, _)| *key);
        for key in excess.collect::<Vec<_>>() {
            tracing::info!(group = self.group, item = self.label(key), "recalled");
            if let Some(mine) = self.mine.get_mut(&key) {
                mine.recalled = true;
                self.events.push_back(ItemEvent { event: MembershipEvent::Recalled(key), assignment: mine.assignment });
            }
        }
    }

    async fn acquire(&mut self, keys: &[i32]) -> Result<(), sqlx::Error> {
        let Some(session) = self.session.as_mut().filter(|_| !keys.is_empty()) else { return Ok(()) };
        for key in session.lock(keys).await? {
            self.assignments += 1;
            let assignment = self.assignments;
            tracing::info!(group = self.group, item = self.label(key), "assigned");
            self.mine.insert(key, OwnItem { assignment, recalled: false, locked: true });
            self.events.push_back(ItemEvent { event: MembershipEvent::Assigned(key), assignment });
        }
        Ok(())
    }

    async fn given_back(&mut self, Assigned { key, assignment }: Assigned) {
        if self.mine.get(&key).is_none_or(|mine| mine.assignment != assignment) {
            return;
        }
        let locked = self.mine.remove(&key).is_some_and(|mine| mine.locked);
        let patience = self.patience();
        if let Some(session) = self.session.as_mut().filter(|_| locked) {
            match timeout(patience, session.unlock(key)).await {
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

    /// For people.
    fn label(&self, key: i32) -> String {
        self.items.get(key).map_or_else(|| format!("key {key}"), ToString::to_string)
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
        // At once, then at growing distances up to a tick: a member that comes back later than the others' quiet ticks may find
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
