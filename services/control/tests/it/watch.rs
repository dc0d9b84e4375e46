use futures::StreamExt as _;
use upwrite_control::{ClientError, v1};
use upwrite_event_log::VERDICT_CHANNEL;

use crate::test_server::{LIMIT, TestServer};

type Changes = futures::stream::BoxStream<'static, Result<v1::WatchMutationsResponse, ClientError>>;

async fn watch(server: &TestServer, states: &[&str], resume_token: &str) -> Changes {
    let states = states.iter().map(|state| (*state).to_owned()).collect();
    let request = v1::WatchMutationsRequest {
        filter: Some(v1::MutationFilter { states, ..Default::default() }),
        resume_token: resume_token.to_owned(),
    };
    server.client().await.watch_mutations(request).await.unwrap()
}

/// Id, state, and the token with them.
async fn next(changes: &mut Changes) -> (String, String, String) {
    let change = tokio::time::timeout(LIMIT, changes.next()).await.expect("a change").unwrap().unwrap();
    let mutation = change.mutation.unwrap();
    (mutation.id, mutation.state, change.resume_token)
}

#[tokio::test]
async fn changes_are_told_as_they_happen() {
    let server = TestServer::start().await;
    let (before, partition, _) = server.request("a", "app").await;
    let mut changes = watch(&server, &[], "").await;
    let (id, state, _) = next(&mut changes).await;
    assert_eq!((id, state), (before.to_string(), "requested".to_owned()));

    // Without a word from Postgres: the look of every second finds it.
    server.apply(before, partition).await;
    let (id, state, _) = next(&mut changes).await;
    assert_eq!((id, state), (before.to_string(), "applied".to_owned()));

    // Requested and released between two looks: only the notification tells.
    let (quick, partition, _) = server.request("b", "app").await;
    server.apply(quick, partition).await;
    server.sql(&format!("notify {VERDICT_CHANNEL}, '{quick}'")).await;
    let told = loop {
        let (id, state, _) = next(&mut changes).await;
        assert_eq!(id, quick.to_string());
        if state == "applied" {
            break state;
        }
    };
    assert_eq!(told, "applied");
}

#[tokio::test]
async fn a_state_is_noticed_when_it_comes_though_only_it_was_asked_for() {
    let server = TestServer::start().await;
    let mut changes = watch(&server, &["applied"], "").await;
    let (mutation, partition, _) = server.request("a", "app").await;
    server.apply(mutation, partition).await;
    server.sql(&format!("notify {VERDICT_CHANNEL}, '{mutation}'")).await;
    let (id, state, _) = next(&mut changes).await;
    assert_eq!((id, state), (mutation.to_string(), "applied".to_owned()));
}

#[tokio::test]
async fn a_resumed_watch_tells_what_happened_meanwhile() {
    let server = TestServer::start().await;
    let (open, partition, _) = server.request("a", "app").await;
    let mut changes = watch(&server, &[], "").await;
    next(&mut changes).await;
    // The token of a message that came after a complete look.
    server.sql(&format!("update upwrite.mutations set state = 'attempted', attempts = 1 where id = '{open}'")).await;
    let (_, state, token) = next(&mut changes).await;
    assert_eq!(state, "attempted");
    assert!(!token.is_empty());
    drop(changes);

    server.apply(open, partition).await;
    let (quick, partition, _) = server.request("b", "app").await;
    server.apply(quick, partition).await;
    let mut changes = watch(&server, &[], &token).await;
    let mut told = [next(&mut changes).await, next(&mut changes).await].map(|(id, state, _)| (id, state));
    told.sort();
    let mut expected = [open, quick].map(|id| (id.to_string(), "applied".to_owned()));
    expected.sort();
    assert_eq!(told, expected);
}

#[tokio::test]
async fn a_stop_of_the_server_ends_the_watch_with_a_reason() {
    let server = TestServer::start().await;
    let mut changes = watch(&server, &[], "").await;
    server.stop.cancel();
    let ended = tokio::time::timeout(LIMIT, changes.next()).await.expect("an end").unwrap();
    assert!(matches!(ended, Err(ClientError::Unreachable(_))), "{ended:?}");
}

#[tokio::test]
async fn a_token_of_somebody_elses_is_refused() {
    let server = TestServer::start().await;
    let request = v1::WatchMutationsRequest { resume_token: "p1.1.2".into(), ..Default::default() };
    let refused = server.client().await.watch_mutations(request).await.map(drop);
    assert!(matches!(refused, Err(ClientError::Invalid(_))), "{refused:?}");
}
