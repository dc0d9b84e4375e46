//! Several syncers share sources by name.

use std::collections::BTreeSet;

use crate::upstream::{Question, Upstream};
use crate::world::World;

/// Who answered the read by id of this key. There is one such answer.
async fn reader(world: &World, upstream: &Upstream, source: &str, key: &str) -> &'static str {
    world.want(source, "contact", key).await;
    world.reread(source, "contact").await;
    let by: Vec<&'static str> = upstream
        .asked()
        .into_iter()
        .filter(|asked| asked.question == Question::Read(vec![key.to_owned()]))
        .map(|asked| asked.by)
        .collect();
    assert_eq!(by.len(), 1, "{key} was read by {by:?}");
    by[0]
}

/// A rolling restart that adds a source which comes first by name: nothing shifts.
#[tokio::test]
async fn an_added_source_leaves_the_others_with_whom_they_are() {
    let world = World::start(&[("crm", "contact"), ("airtable", "contact")]).await;
    let crm = Upstream::new("crm", &world.pool, &[("contact", 3)]);
    let airtable = Upstream::new("airtable", &world.pool, &[("contact", 3)]);
    let before = world.sync_in_group("before", &[&crm]);
    world.backfilled("crm", "contact").await;
    let after = world.sync_in_group("after", &[&airtable, &crm]);
    world.backfilled("airtable", "contact").await;
    for round in 0..5 {
        assert_eq!(reader(&world, &crm, "crm", &format!("during-{round}")).await, "before");
        assert_eq!(reader(&world, &airtable, "airtable", &format!("during-{round}")).await, "after");
    }
    before.stop().await;
    assert_eq!(reader(&world, &crm, "crm", "alone").await, "after");
    assert_eq!(reader(&world, &airtable, "airtable", "alone").await, "after");
    after.stop().await;
}

#[tokio::test]
async fn two_syncers_hand_over_in_the_middle_of_a_backfill() {
    let world = World::start(&[("crm", "contact"), ("erp", "contact")]).await;
    let crm = Upstream::new("crm", &world.pool, &[("contact", 6)]);
    let erp = Upstream::new("erp", &world.pool, &[("contact", 6)]);
    for upstream in [&crm, &erp] {
        upstream.hold_after("contact", 1);
    }
    let first = world.sync_in_group("first", &[&crm, &erp]);
    for upstream in [&crm, &erp] {
        upstream.until("the middle of the backfill", |all| all.len() == 2).await;
    }
    // One of the two sources goes over, and the second syncer goes on where the first one was.
    let second = world.sync_in_group("second", &[&crm, &erp]);
    let moved = tokio::select! {
        () = crm.until("the hand-over", |all| all.iter().any(|asked| asked.by == "second")) => &crm,
        () = erp.until("the hand-over", |all| all.iter().any(|asked| asked.by == "second")) => &erp,
    };
    let resumed = moved.asked().into_iter().find(|asked| asked.by == "second").unwrap();
    assert_eq!(resumed.question, Question::Page(Some("2".to_owned())));
    for upstream in [&crm, &erp] {
        upstream.release("contact");
    }
    for source in ["crm", "erp"] {
        world.backfilled(source, "contact").await;
    }
    let readers = BTreeSet::from([reader(&world, &crm, "crm", "k").await, reader(&world, &erp, "erp", "k").await]);
    assert_eq!(readers, BTreeSet::from(["first", "second"]));
    for source in ["crm", "erp"] {
        let observed = world.observed(source, "contact").await.into_iter().filter(|seen| seen.kind == "backfill");
        let keys: Vec<String> = observed.flat_map(|seen| seen.rows).map(|row| row.key).collect();
        assert_eq!(keys.iter().collect::<BTreeSet<_>>().len(), 6, "{keys:?}");
        assert_eq!(keys.len(), 6, "each by one of them: {keys:?}");
    }
    // The whole of it after a kill.
    first.kill().await;
    assert_eq!(reader(&world, &crm, "crm", "after").await, "second");
    assert_eq!(reader(&world, &erp, "erp", "after").await, "second");
    second.stop().await;
}
