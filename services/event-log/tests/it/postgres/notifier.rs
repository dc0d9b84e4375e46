use std::collections::BTreeSet;

use sqlx::postgres::PgListener;
use tokio_util::sync::CancellationToken;
use upwrite_event_log::{Notifier, VERDICT_CHANNEL};

use super::harness::PostgresHarness;
use crate::harness::LIMIT;

/// Hears until every item of `expected` has come; the number of notifications that took.
async fn hear(listener: &mut PgListener, mut expected: BTreeSet<String>) -> usize {
    let hearing = async {
        for notifications in 1.. {
            let heard = listener.recv().await.unwrap();
            assert!(heard.payload().len() < 8000);
            for item in heard.payload().split(' ') {
                expected.remove(item);
            }
            if expected.is_empty() {
                return notifications;
            }
        }
        unreachable!("it hears for ever")
    };
    tokio::time::timeout(LIMIT, hearing).await.expect("all items come")
}

fn items(range: std::ops::Range<u128>) -> BTreeSet<String> {
    range.map(|n| uuid::Uuid::from_u128(n).to_string()).collect()
}

#[tokio::test]
async fn b18_many_items_travel_in_few_notifications_and_outlive_a_lost_connection() {
    let harness = PostgresHarness::shared().await;
    let mut listener = PgListener::connect_with(harness.admin()).await.unwrap();
    listener.listen(VERDICT_CHANNEL).await.unwrap();
    let shutdown = CancellationToken::new();
    let notifier = Notifier::start(&harness.service_pool(), shutdown.clone());
    let mut local = notifier.subscribe();

    let wanted = items(0..2000);
    wanted.iter().for_each(|item| notifier.notify(VERDICT_CHANNEL, item));
    // 213 items of 36 bytes and a space fit one payload.
    assert_eq!(hear(&mut listener, wanted).await, 10);
    let first = local.recv().await.unwrap();
    assert_eq!((&*first.channel, &*first.item), (VERDICT_CHANNEL, items(0..1).first().unwrap().as_str()));

    let gone = "/* test.disconnect */ select pg_terminate_backend(pid, 5000) from pg_stat_activity \
        where datname = current_database() and application_name = 'upwrite notifier'";
    let ended: Vec<bool> = sqlx::query_scalar(gone).fetch_all(harness.admin()).await.unwrap();
    assert_eq!(ended, [true]);
    let wanted = items(2000..2010);
    wanted.iter().for_each(|item| notifier.notify(VERDICT_CHANNEL, item));
    hear(&mut listener, wanted).await;

    // What waits at shutdown is still sent.
    notifier.notify(VERDICT_CHANNEL, "last");
    shutdown.cancel();
    hear(&mut listener, BTreeSet::from(["last".to_owned()])).await;
}
