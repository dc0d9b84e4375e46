//! Access tokens: three flows, one refresh for all, and what happens when there is none.

use std::sync::Arc;

use upwrite_connectors::salesforce::Auth;
use upwrite_connectors::{Connector, RetryRule, Secret};
use upwrite_events::{ErrorClass, Op, Outcome};
use upwrite_sandbox::salesforce::{self as stand_in, OrgOptions};
use upwrite_sandbox::{Options, Sandbox};

use crate::harness::{World, applied, config, failed, insert, salesforce};

const PRIVATE_KEY: &str = include_str!("jwt_test_key.pem");
const PUBLIC_KEY: &str = include_str!("jwt_test_key.pub.pem");

#[tokio::test]
async fn each_flow_gets_a_token() {
    let flows = [
        Auth::ClientCredentials {
            client_id: "sandbox-client".to_owned(),
            client_secret: Secret::new("sandbox-secret"),
        },
        Auth::RefreshToken {
            client_id: "sandbox-client".to_owned(),
            client_secret: Some(Secret::new("sandbox-secret")),
            refresh_token: Secret::new("sandbox-refresh-token"),
        },
        Auth::JwtBearer {
            client_id: "sandbox-client".to_owned(),
            username: "integration@example.com".to_owned(),
            private_key_pem: Secret::new(PRIVATE_KEY),
            audience: None,
        },
    ];
    for auth in flows {
        let name = format!("{auth:?}");
        assert!(!name.contains("sandbox-secret") && !name.contains("PRIVATE"), "secrets are not shown: {name}");
        let salesforce_org = OrgOptions { jwt_public_key_pem: Some(PUBLIC_KEY.to_owned()), ..OrgOptions::default() };
        let world = World::with(salesforce_org, |config| {
            config.auth = auth;
        })
        .await;
        assert_eq!(world.tables.len(), 3, "{name}");
        assert_eq!(world.requests("token").len(), 1, "{name}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_expired_token_is_refreshed_once_for_all() {
    let world = Arc::new(World::start().await);
    assert_eq!(world.requests("token").len(), 1);
    for round in 2..4 {
        world.sandbox.expire_tokens();
        let mut calls = tokio::task::JoinSet::new();
        for number in 0..50 {
            let world = Arc::clone(&world);
            calls.spawn(async move {
                let row = insert(&[("last_name", &format!("Concurrent {round} {number}"))]);
                let report = world.call("contact", Op::Insert, std::slice::from_ref(&row), false).await;
                applied(&report.rows[0]);
                assert_eq!(world.carrying("Contact", &row), 1, "the repetition after 401 is no second create");
            });
        }
        while let Some(done) = calls.join_next().await {
            done.unwrap();
        }
        assert_eq!(world.requests("token").len(), round, "one refresh for fifty 401s");
    }
}

#[tokio::test]
async fn refused_credentials_are_final_not_applied_and_not_hammered() {
    let sandbox = Sandbox::start(Options::default(), stand_in::Salesforce::default()).await.unwrap();
    let mut wrong = config(&sandbox.base_url);
    wrong.auth = Auth::ClientCredentials { client_id: "sandbox-client".to_owned(), client_secret: Secret::new("nope") };
    let connector = salesforce(wrong);
    for _ in 0..3 {
        let error = connector.discover().await.unwrap_err();
        assert_eq!((error.failure.class, error.failure.sqlstate.as_str()), (ErrorClass::Auth, "HV000"));
        assert_eq!((error.failure.outcome, error.retry), (Outcome::NotApplied, RetryRule::Never));
        assert!(error.failure.message.contains("re-authorisation"));
        assert!(!format!("{error:?}").contains("nope"));
    }
    let asked = sandbox.requests_after(0).into_iter().filter(|request| request.op == "token").count();
    assert_eq!(asked, 1, "the refusal is remembered for a while");
}

#[tokio::test]
async fn a_write_with_refused_credentials_is_definitely_not_applied() {
    let world = World::start().await;
    world.sandbox.expire_tokens();
    world.fault(
        "token",
        upwrite_sandbox::Fault::Reject {
            status: 400,
            code: Some("invalid_grant".to_owned()),
            message: "inactive user".to_owned(),
            fields: Vec::new(),
            rows: None,
        },
    );
    let row = insert(&[("last_name", "Never")]);
    let report = world.call("contact", Op::Insert, std::slice::from_ref(&row), false).await;
    let error = failed(&report.rows[0]);
    assert_eq!(error.failure.outcome, Outcome::NotApplied);
    assert!(error.failure.sqlstate.starts_with("HV"), "{error:?}");
    assert_eq!(world.carrying("Contact", &row), 0);
}
