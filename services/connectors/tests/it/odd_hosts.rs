//! Hosts that the sandbox is not: away, redirecting, refusing every token, answering short.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use axum::Router;
use axum::http::StatusCode;
use axum::response::Redirect;
use axum::routing::{any, post};
use serde_json::json;
use upwrite_connectors::{Call, Connector, RetryRule};
use upwrite_events::{ErrorClass, Op, Outcome};

use crate::harness::{World, applied, config, failed, insert, salesforce, update};

/// Serves `router` with a token endpoint that names this host as the instance; its base URL.
async fn host(router: Router) -> String {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let base = format!("http://{}", listener.local_addr().expect("bound"));
    let instance = base.clone();
    let token = move || {
        let answer = json!({"access_token": "t", "instance_url": instance, "token_type": "Bearer"});
        async move { axum::Json(answer) }
    };
    let router = router.route("/services/oauth2/token", post(token));
    tokio::spawn(async move { axum::serve(listener, router).await });
    base
}

#[tokio::test]
async fn a_host_that_is_away_has_got_nothing() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let base = format!("http://{}", listener.local_addr().unwrap());
    drop(listener);
    let error = salesforce(config(&base)).discover().await.unwrap_err();
    assert_eq!((error.failure.class, error.failure.sqlstate.as_str()), (ErrorClass::Unavailable, "HV00N"));
    assert_eq!((error.failure.outcome, error.retry), (Outcome::NotApplied, RetryRule::Backoff));
}

#[tokio::test]
async fn a_write_to_an_instance_that_went_away_is_not_applied() {
    let world = World::start().await;
    let tables = world.tables.clone();
    // The login host answers, the instance that it names does not.
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let away = format!("http://{}", listener.local_addr().unwrap());
    drop(listener);
    let token = move || {
        let answer = json!({"access_token": "t", "instance_url": away, "token_type": "Bearer"});
        async move { axum::Json(answer) }
    };
    let login = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let base = format!("http://{}", login.local_addr().unwrap());
    let router = Router::new().route("/services/oauth2/token", post(token));
    tokio::spawn(async move { axum::serve(login, router).await });
    let connector = salesforce(config(&base));
    let table = tables.iter().find(|table| table.name.table == "contact").unwrap();
    let rows = [insert(&[("last_name", "x")]), insert(&[("last_name", "y")])];
    let report = connector.call(Call { table, op: Op::Insert, rows: &rows, atomic: true }).await;
    for row in &report.rows {
        let error = failed(row);
        assert_eq!((error.failure.sqlstate.as_str(), error.failure.outcome), ("HV00N", Outcome::NotApplied));
    }
}

#[tokio::test]
async fn a_second_401_is_final() {
    let calls = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&calls);
    let refuse = move || {
        counted.fetch_add(1, Ordering::SeqCst);
        let body = json!([{"message": "Session expired or invalid", "errorCode": "INVALID_SESSION_ID"}]);
        async move { (StatusCode::UNAUTHORIZED, axum::Json(body)) }
    };
    let base = host(Router::new().fallback(any(refuse))).await;
    let mut config = config(&base);
    config.objects.truncate(1);
    let error = salesforce(config).discover().await.unwrap_err();
    assert_eq!((error.failure.class, error.failure.sqlstate.as_str()), (ErrorClass::Auth, "HV000"));
    assert_eq!(error.retry, RetryRule::Never);
    assert_eq!(calls.load(Ordering::SeqCst), 2, "once, and once more with a new token");
}

#[tokio::test]
async fn redirects_are_not_followed() {
    let elsewhere = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&elsewhere);
    let router = Router::new()
        .route(
            "/elsewhere",
            any(move || {
                counted.fetch_add(1, Ordering::SeqCst);
                async { "[]" }
            }),
        )
        .fallback(any(|| async { Redirect::temporary("/elsewhere") }));
    let base = host(router).await;
    let world = World::start().await;
    let connector = salesforce(config(&base));
    let rows = [insert(&[("last_name", "x")])];
    let report =
        connector.call(Call { table: world.table("contact"), op: Op::Insert, rows: &rows, atomic: false }).await;
    assert_eq!(failed(&report.rows[0]).failure.outcome, Outcome::Unknown);
    assert_eq!(elsewhere.load(Ordering::SeqCst), 0);
}

#[tokio::test]
async fn a_short_answer_leaves_the_other_rows_unknown() {
    let short = || async { axum::Json(json!([{"id": "003000000000001AAA", "success": true, "errors": []}])) };
    let base = host(Router::new().route("/services/data/v62.0/composite/sobjects", any(short))).await;
    let world = World::start().await;
    let connector = salesforce(config(&base));
    let rows = [update("003000000000001AAA", &[("title", "x")]), update("003000000000002AAA", &[("title", "x")])];
    let report =
        connector.call(Call { table: world.table("contact"), op: Op::Update, rows: &rows, atomic: false }).await;
    applied(&report.rows[0]);
    let error = failed(&report.rows[1]);
    assert_eq!((error.failure.outcome, error.failure.sqlstate.as_str()), (Outcome::Unknown, "40003"));
}
