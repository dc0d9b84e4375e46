//! The first reading of a table.

use std::collections::BTreeSet;

use crate::upstream::{Question, Upstream};
use crate::world::World;

fn pages(upstream: &Upstream, table: &str) -> Vec<Option<String>> {
    let asked = upstream.asked().into_iter().filter(|asked| asked.table == table);
    asked.filter_map(|asked| if let Question::Page(cursor) = asked.question { Some(cursor) } else { None }).collect()
}

/// Killed before every page in turn, the next process asks for that page, and in the end everything was seen.
#[tokio::test]
async fn a_backfill_goes_on_at_every_cursor_at_which_it_was_killed() {
    let world = World::start(&[("crm", "contact")]).await;
    // Full pages only: the last one, which tells that there is nothing more, is empty.
    let upstream = Upstream::new("crm", &world.pool, &[("contact", 6)]);
    for page in 1..=3 {
        upstream.hold_after("contact", 1);
        let asked = page * 2;
        let running = world.sync(&upstream);
        upstream.until("the page after", |all| all.len() == asked).await;
        running.kill().await;
    }
    upstream.release("contact");
    let running = world.sync(&upstream);
    world.backfilled("crm", "contact").await;
    running.stop().await;

    let cursors: Vec<Option<String>> = pages(&upstream, "contact");
    let cursors: Vec<&str> = cursors.iter().map(|cursor| cursor.as_deref().unwrap_or("start")).collect();
    assert_eq!(cursors, ["start", "2", "2", "4", "4", "6", "6"]);
    let observed = world.observed("crm", "contact").await;
    assert!(observed.iter().all(|observed| observed.kind == "backfill"));
    let keys: Vec<String> = observed.into_iter().flat_map(|observed| observed.rows).map(|row| row.key).collect();
    assert_eq!(keys.len(), 6, "nothing was read twice here: {keys:?}");
    assert_eq!(keys.into_iter().collect::<BTreeSet<_>>().len(), 6);
}

/// The last page, which is empty, is read by another process than what came before it.
#[tokio::test]
async fn a_backfill_has_ended_only_when_all_of_it_is_merged() {
    let mut world = World::without_reconciler(&[("crm", "contact")]).await;
    let upstream = Upstream::new("crm", &world.pool, &[("contact", 2)]);
    upstream.hold_after("contact", 1);
    let running = world.sync(&upstream);
    upstream.until("the last page", |all| all.len() == 2).await;
    running.kill().await;
    upstream.release("contact");
    let running = world.sync(&upstream);
    upstream.until("the last page to be answered", |all| all.len() == 3 && all[2].answered_us.is_some()).await;
    // It goes on with other things meanwhile; whatever it does now comes after the end of reading.
    world.want("crm", "contact", "contact-0").await;
    world.reread("crm", "contact").await;
    assert!(!world.is_backfilled("crm", "contact").await);
    world.merge();
    world.backfilled("crm", "contact").await;
    running.stop().await;
}

#[tokio::test]
async fn a_table_that_fails_keeps_no_other_from_being_read() {
    let world = World::start(&[("crm", "account"), ("crm", "contact")]).await;
    let upstream = Upstream::new("crm", &world.pool, &[("account", 3), ("contact", 3)]);
    upstream.fail("account", true);
    let running = world.sync(&upstream);
    world.want("crm", "account", "account-1").await;
    world.want("crm", "contact", "contact-1").await;
    world.backfilled("crm", "contact").await;
    world.reread("crm", "contact").await;
    let tried = |question: fn(&Question) -> bool| {
        move |all: &[crate::upstream::Asked]| {
            all.iter().filter(|asked| asked.table == "account" && question(&asked.question)).count() >= 3
        }
    };
    upstream.until("more tries to page", tried(|question| matches!(question, Question::Page(_)))).await;
    upstream.until("more tries to read", tried(|question| matches!(question, Question::Read(_)))).await;
    assert!(!world.is_backfilled("crm", "account").await);
    assert!(world.is_wanted("crm", "account").await, "it stays wanted");
    upstream.fail("account", false);
    world.backfilled("crm", "account").await;
    world.reread("crm", "account").await;
    running.stop().await;
}

#[tokio::test]
async fn a_table_without_records_is_backfilled_at_once() {
    let world = World::start(&[("crm", "contact")]).await;
    let upstream = Upstream::new("crm", &world.pool, &[("contact", 0)]);
    let running = world.sync(&upstream);
    world.backfilled("crm", "contact").await;
    running.stop().await;
    assert!(world.observed("crm", "contact").await.is_empty());
}
