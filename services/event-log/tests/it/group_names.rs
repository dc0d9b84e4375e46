//! A group that shares items by name, whose members may know different ones.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use upwrite_event_log::{GroupConfig, Membership as _, MembershipEvent, PgMembership};
use upwrite_testkit::postgres::Cluster;
use upwrite_testkit::until;

const LIMIT: Duration = Duration::from_secs(30);

/// What all members of a group have, by member. Asserts at every event that no item is had twice.
#[derive(Clone, Default)]
struct Shares(Arc<Mutex<BTreeSet<(&'static str, String)>>>);

impl Shares {
    fn begin(&self, member: &'static str, item: String) {
        let mut shares = self.0.lock().unwrap();
        assert!(shares.iter().all(|(_, other)| *other != item), "{member} begins with {item}: {shares:?}");
        shares.insert((member, item));
    }

    fn end(&self, member: &'static str, item: &str) {
        self.0.lock().unwrap().remove(&(member, item.to_owned()));
    }

    async fn until(&self, shares: &[(&'static str, &str)]) {
        let wanted: BTreeSet<_> = shares.iter().map(|(member, item)| (*member, (*item).to_owned())).collect();
        let is = || async { (*self.0.lock().unwrap() == wanted).then_some(()) };
        until(LIMIT, &format!("these shares: {wanted:?}"), is).await;
    }
}

struct Member {
    stage: JoinHandle<()>,
    shares: Shares,
    name: &'static str,
}

impl Member {
    fn join(url: &str, shares: &Shares, name: &'static str, items: &[&str]) -> Self {
        let items = items.iter().map(|item| (*item).to_owned());
        let config = GroupConfig { tick: Duration::from_millis(50), ..GroupConfig::default() };
        let never = CancellationToken::new();
        let mut membership = PgMembership::join_named(url.parse().unwrap(), "named", items, config, never).unwrap();
        let had = shares.clone();
        let stage = tokio::spawn(async move {
            loop {
                match membership.changed().await {
                    MembershipEvent::Assigned(item) => had.begin(name, item),
                    MembershipEvent::Recalled(item) => {
                        had.end(name, &item);
                        membership.give_back(item).await;
                    }
                    MembershipEvent::Lost(item) => panic!("{name} lost {item}"),
                }
            }
        });
        Self { stage, shares: shares.clone(), name }
    }

    /// As a process that ends.
    async fn end(self, items: &[&str]) {
        // What it has is nobody's from here on.
        items.iter().for_each(|item| self.shares.end(self.name, item));
        self.stage.abort();
        assert!(self.stage.await.unwrap_err().is_cancelled(), "its stage failed");
    }
}

/// One process after another is restarted with a configuration that has one source more.
#[tokio::test]
async fn an_item_more_shifts_no_other_during_a_rolling_restart() {
    let cluster = Cluster::shared().await;
    let url = cluster.superuser_url(&cluster.create_database().await);
    let shares = Shares::default();
    let first = Member::join(&url, &shares, "first", &["salesforce"]);
    shares.until(&[("first", "salesforce")]).await;
    let second = Member::join(&url, &shares, "second", &["airtable", "salesforce"]);
    // What only the new one knows, that one has; and what the old one has it keeps.
    shares.until(&[("first", "salesforce"), ("second", "airtable")]).await;
    first.end(&["salesforce"]).await;
    shares.until(&[("second", "airtable"), ("second", "salesforce")]).await;
    let third = Member::join(&url, &shares, "third", &["airtable", "salesforce"]);
    until(LIMIT, "fair shares", || async {
        let shares = shares.0.lock().unwrap();
        let of_third = shares.iter().filter(|(member, _)| *member == "third").count();
        (shares.len() == 2 && of_third == 1).then_some(())
    })
    .await;
    assert!(!second.stage.is_finished() && !third.stage.is_finished(), "no item was had twice, none was lost");
}

/// The member that could have either item leaves the only one that the other could have to it.
#[tokio::test]
async fn an_item_goes_to_the_member_that_can_have_nothing_else() {
    let cluster = Cluster::shared().await;
    let url = cluster.superuser_url(&cluster.create_database().await);
    let shares = Shares::default();
    let rich = Member::join(&url, &shares, "rich", &["a", "b"]);
    shares.until(&[("rich", "a"), ("rich", "b")]).await;
    let poor = Member::join(&url, &shares, "poor", &["a"]);
    shares.until(&[("poor", "a"), ("rich", "b")]).await;
    // One that knows none of it takes nothing.
    let stranger = Member::join(&url, &shares, "stranger", &["c"]);
    shares.until(&[("poor", "a"), ("rich", "b"), ("stranger", "c")]).await;
    for member in [rich, poor, stranger] {
        assert!(!member.stage.is_finished());
    }
}
