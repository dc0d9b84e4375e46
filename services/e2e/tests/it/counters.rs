//! Two sessions that change one record behave as in PostgreSQL.

use upwrite_e2e::{Options, World};

/// `SET n = n + 1` from two sessions, 200 times each: exactly +400 (B8).
#[tokio::test(flavor = "multi_thread")]
async fn b8_two_sessions_of_200_increments_end_at_400() {
    let world = World::start(Options::default()).await;
    let deal: String = world.value("select min(id) from salesforce.opportunity").await.unwrap();
    let first = world.client().await;
    first.execute("update salesforce.opportunity set amount = 1 where id = $1", &[&deal]).await.unwrap();
    let second = world.client().await;
    let count = |client: tokio_postgres::Client, deal: String| async move {
        for _ in 0..200 {
            let done = client
                .execute("update salesforce.opportunity set amount = amount + 1 where id = $1", &[&deal])
                .await
                .expect("an increment failed");
            assert_eq!(done, 1);
        }
    };
    tokio::join!(count(first, deal.clone()), count(second, deal.clone()));
    let amount: String =
        world.value(&format!("select amount::text from salesforce.opportunity where id = '{deal}'")).await.unwrap();
    assert_eq!(amount, "401.00");
    let upstream = world.sandbox.record("Opportunity", &deal).await.unwrap().unwrap();
    assert_eq!(upstream["Amount"].to_string().trim_end_matches(".0"), "401");
    world.finish().await;
}

/// The second waits for the first and works on the row that the first left, also inside blocks.
#[tokio::test(flavor = "multi_thread")]
async fn g10_the_second_session_works_on_the_row_that_the_first_left() {
    let world = World::start(Options::default()).await;
    let deal: String = world.value("select min(id) from salesforce.opportunity").await.unwrap();
    let matching = serde_json::json!({ "object": "Opportunity", "op": "update" });
    world.sandbox.fault(matching, serde_json::json!("hold"), 1).await.unwrap();
    let (first, mut second) = (world.client().await, world.client().await);
    let name = deal.clone();
    let held = tokio::spawn(async move {
        first
            .execute("update salesforce.opportunity set name = 'first', amount = 10 where id = $1", &[&name])
            .await
            .unwrap()
    });
    world.sandbox.held(1).await.unwrap();
    let name = deal.clone();
    let waiting = tokio::spawn(async move {
        let tx = second.transaction().await.unwrap();
        let row = tx
            .query_one(
                "update salesforce.opportunity set amount = amount + 5 where id = $1 returning name, amount::text",
                &[&name],
            )
            .await
            .unwrap();
        tx.commit().await.unwrap();
        (row.get::<_, String>(0), row.get::<_, String>(1))
    });
    // Both are held (a held backend waits for its client in the middle of a flight): the first by its verdict, the
    // second by the first one's claim. Only then is the first let go.
    let sql = "select true from pg_stat_activity where usename = 'app' and state = 'active' and wait_event = 'ClientRead' \
               having count(*) = 2";
    world.wait::<bool>("both sessions held", sql).await;
    world.sandbox.release().await.unwrap();
    assert_eq!(held.await.unwrap(), 1);
    assert_eq!(waiting.await.unwrap(), ("first".to_owned(), "15.00".to_owned()));
    world.finish().await;
}
