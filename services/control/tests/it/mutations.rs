use upwrite_control::{ClientError, v1};
use upwrite_events::{ErrorClass, Event, Failure, MutationDeferred, Outcome};
use uuid::Uuid;

use crate::test_server::TestServer;

fn filter(filter: v1::MutationFilter) -> v1::ListMutationsRequest {
    v1::ListMutationsRequest { filter: Some(filter), ..Default::default() }
}

#[tokio::test]
async fn pages_have_every_mutation_once_latest_first() {
    let server = TestServer::start().await;
    let mut asked = Vec::new();
    for number in 0..5 {
        asked.push(server.request(&number.to_string(), "app").await.0.to_string());
    }
    // The same time: the id decides.
    server.sql("update upwrite.mutations set requested_at = '2026-01-01 00:00:00.123456Z'").await;
    let mut client = server.client().await;
    let mut found = Vec::new();
    let mut page_token = String::new();
    loop {
        let request = v1::ListMutationsRequest { page_size: 2, page_token, ..Default::default() };
        let page = client.list_mutations(request).await.unwrap();
        assert!(page.mutations.len() <= 2 && !page.mutations.is_empty());
        found.extend(page.mutations.into_iter().map(|one| one.id));
        page_token = page.next_page_token;
        if page_token.is_empty() {
            break;
        }
    }
    asked.reverse();
    assert_eq!(found, asked);
}

#[tokio::test]
async fn filters() {
    let server = TestServer::start().await;
    let (applied, partition, _) = server.request("a", "ada").await;
    server.apply(applied, partition).await;
    let (open, ..) = server.request("b", "bob").await;
    server.sql(&format!("update upwrite.mutations set requested_at = '2026-01-01Z' where id = '{applied}'")).await;
    let mut client = server.client().await;
    let since = Some("2026-01-02T00:00:00Z".parse().unwrap());
    for (what, wanted, expected) in [
        (
            "state",
            v1::MutationFilter { states: vec!["applied".into(), "dead".into()], ..Default::default() },
            vec![applied],
        ),
        ("user", v1::MutationFilter { user: Some("bob".into()), ..Default::default() }, vec![open]),
        ("since", v1::MutationFilter { since, ..Default::default() }, vec![open]),
        ("table", v1::MutationFilter { table: Some("crm.contact".into()), ..Default::default() }, vec![open, applied]),
        ("other table", v1::MutationFilter { table: Some("crm.account".into()), ..Default::default() }, vec![]),
    ] {
        let page = client.list_mutations(filter(wanted)).await.unwrap();
        let ids: Vec<String> = page.mutations.into_iter().map(|one| one.id).collect();
        assert_eq!(ids, expected.iter().map(ToString::to_string).collect::<Vec<_>>(), "{what}");
    }
    let wrong = v1::MutationFilter { states: vec!["done".into()], ..Default::default() };
    assert!(matches!(client.list_mutations(filter(wrong)).await, Err(ClientError::Invalid(_))));
}

#[tokio::test]
async fn a_mutation_has_its_events_and_nobody_elses() {
    let server = TestServer::start().await;
    let (mutation, partition, position) = server.request("a", "app").await;
    let failure = Failure::new(ErrorClass::RateLimited, Outcome::NotApplied, "53400", "slow down");
    let not_before_us = 1_700_000_000_000_000;
    let deferred = MutationDeferred { mutation, owner: server.owner, attempt: 1, not_before_us, failure };
    server.append(partition, Event::MutationDeferred(deferred)).await;
    // Another one in the same partition.
    loop {
        let (other, its, _) = server.request(&Uuid::new_v4().to_string(), "app").await;
        if its == partition {
            server.apply(other, its).await;
            break;
        }
    }
    server.apply(mutation, partition).await;
    let found = server.client().await.get_mutation(&mutation.to_string()).await.unwrap();
    assert_eq!(found.incomplete, None);
    let events: Vec<&str> = found.timeline.iter().map(|event| event.event.as_str()).collect();
    assert_eq!(events, ["MutationRequested", "MutationDeferred", "MutationApplied"]);
    assert_eq!(found.timeline[0].position, position.0);
    assert_eq!(found.timeline[1].summary, "not before 2023-11-14T22:13:20Z: 53400 slow down");
    assert_eq!(found.timeline[2].owner.as_deref(), Some(server.owner.to_string().as_str()));
    let row = found.mutation.unwrap();
    assert_eq!((row.state.as_str(), row.applied_count, row.keys), ("applied", 1, vec!["k".to_owned()]));
    assert!(row.released && row.finished_at.is_some() && row.sqlstate.is_none());
}

#[tokio::test]
async fn what_is_not_there_is_not_found() {
    let server = TestServer::start().await;
    let mut client = server.client().await;
    let error = client.get_mutation(&Uuid::nil().to_string()).await.unwrap_err();
    assert!(matches!(error, ClientError::NotFound(_)), "{error:?}");
    assert!(matches!(client.get_mutation("17").await, Err(ClientError::Invalid(_))));
}
