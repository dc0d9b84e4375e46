//! Reads by id.

use crate::upstream::{Question, Upstream};
use crate::world::World;

#[tokio::test]
async fn what_is_wanted_is_read_by_id_and_what_is_gone_is_said_to_be_gone() {
    let world = World::start(&[("crm", "contact")]).await;
    let upstream = Upstream::new("crm", &world.pool, &[("contact", 1)]);
    let running = world.sync(&upstream);
    world.backfilled("crm", "contact").await;
    world.want("crm", "contact", "contact-0").await;
    world.want("crm", "contact", "long-gone").await;
    world.reread("crm", "contact").await;
    running.stop().await;
    let observed = world.observed("crm", "contact").await.into_iter().filter(|seen| seen.kind == "by_id");
    let mut rows: Vec<_> = observed.flat_map(|seen| seen.rows).collect();
    rows.sort_by(|a, b| a.key.cmp(&b.key));
    assert_eq!(rows.iter().map(|row| row.key.as_str()).collect::<Vec<_>>(), ["contact-0", "long-gone"]);
    assert_eq!(rows[0].image.as_ref().unwrap()["name"].as_deref(), Some("name of contact-0"));
    assert_eq!(rows[1].image, None);
}

/// A backfill may take hours: neither its own table nor another waits for it.
#[tokio::test]
async fn a_read_by_id_never_waits_for_a_backfill() {
    let world = World::start(&[("crm", "account"), ("crm", "contact")]).await;
    let upstream = Upstream::new("crm", &world.pool, &[("account", 6), ("contact", 2)]);
    upstream.hold_after("account", 1);
    let running = world.sync(&upstream);
    let second_page = |asked: &crate::upstream::Asked| asked.question == Question::Page(Some("2".to_owned()));
    upstream.until("the middle of the backfill", |all| all.iter().any(second_page)).await;
    for table in ["account", "contact"] {
        world.want("crm", table, &format!("{table}-1")).await;
        world.reread("crm", table).await;
    }
    let held = upstream.asked().into_iter().find(second_page).unwrap();
    assert_eq!(held.answered_us, None, "the backfill still stands in the middle");
    assert!(!world.is_backfilled("crm", "account").await && !world.is_backfilled("crm", "contact").await);
    upstream.release("account");
    world.backfilled("crm", "account").await;
    world.backfilled("crm", "contact").await;
    running.stop().await;
    let kinds: Vec<String> = world.observed("crm", "account").await.into_iter().map(|seen| seen.kind).collect();
    assert_eq!(kinds, ["backfill", "by_id", "backfill", "backfill"]);
}

#[tokio::test]
async fn what_is_wanted_again_while_it_is_read_is_read_once_more() {
    let world = World::start(&[("crm", "contact")]).await;
    let upstream = Upstream::new("crm", &world.pool, &[("contact", 1)]);
    upstream.fail("contact", true);
    let running = world.sync(&upstream);
    world.want("crm", "contact", "contact-0").await;
    upstream.until("a failed read", |all| all.iter().any(|asked| matches!(asked.question, Question::Read(_)))).await;
    world.want("crm", "contact", "contact-0").await;
    upstream.fail("contact", false);
    world.reread("crm", "contact").await;
    running.stop().await;
    assert!(world.observed("crm", "contact").await.iter().any(|seen| seen.kind == "by_id"));
}
