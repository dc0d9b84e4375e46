//! Each word of the fault vocabulary does what it says, to the answer and to the record.

use std::time::Instant;

use reqwest::Method;
use serde_json::{Value, json};
use upwrite_sandbox::{Chaos, Fault, FaultMatch, FaultRule, Then};

use crate::harness::{Org, PATIENCE, answer, code};

#[tokio::test]
async fn a_lost_answer_was_applied() {
    let org = Org::start().await;
    let error = org.faulty("lose_answer").send().await.unwrap_err();
    assert!(!error.is_connect() && !error.is_timeout(), "{error:?}");
    let effects = org.running.journal_after(0);
    assert_eq!(effects.len(), 1);
    let request = &org.running.requests_after(0)[0];
    assert_eq!((request.fault.as_deref(), request.status), (Some("lose_answer"), None));
    assert_eq!(effects[0].request, Some(request.seq));
}

#[tokio::test]
async fn a_reset_was_not_applied() {
    let org = Org::start().await;
    let error = org.faulty("reset").send().await.unwrap_err();
    let mut cause: &dyn std::error::Error = &error;
    let mut reset = false;
    while let Some(next) = cause.source() {
        reset |= next.downcast_ref::<std::io::Error>().is_some_and(|e| e.kind() == std::io::ErrorKind::ConnectionReset);
        cause = next;
    }
    assert!(reset, "{error:?}");
    assert!(org.running.journal_after(0).is_empty());
}

#[tokio::test]
async fn answers_that_are_no_answers() {
    let org = Org::start().await;
    for (fault, status, applied) in [
        ("server_error", 500, false),
        ("server_error;status=503;applied=true", 503, true),
        ("html_body;applied=true", 502, true),
        ("html_body;status=200", 200, false),
        ("over_quota", 403, false),
        ("locked", 400, false),
        ("limit_429;retry_after_s=7", 429, false),
        ("reject;status=400;code=STORAGE_LIMIT_EXCEEDED", 400, false),
    ] {
        let before = org.running.journal_after(0).len();
        let response = org.faulty(fault).send().await.unwrap();
        assert_eq!(response.status().as_u16(), status, "{fault}");
        if status == 429 {
            assert_eq!(response.headers()["retry-after"], "7");
        }
        let html = response.headers()["content-type"].to_str().unwrap().starts_with("text/html");
        assert_eq!(html, fault.starts_with("html"), "{fault}");
        assert_eq!(org.running.journal_after(0).len() - before, usize::from(applied), "{fault}");
    }
    assert_eq!(code(&answer(org.faulty("nonsense")).await), "BAD_SANDBOX_FAULT");
}

#[tokio::test]
async fn a_late_execution_comes_after_the_connection_ended() {
    let org = Org::start().await;
    org.faulty("execute_late").send().await.unwrap_err();
    let held = org.running.wait_held(1, PATIENCE).await;
    assert_eq!((held.len(), held[0].fault.as_str()), (1, "execute_late"));
    assert!(org.running.journal_after(0).is_empty());
    // The record can be changed by others meanwhile; the late one lands when released.
    org.create("Contact", json!({ "LastName": "Between" })).await;
    assert_eq!(org.running.release(Some(held[0].request), Then::Proceed), 1);
    let effects = org.effects(0, 2).await;
    assert_eq!(effects[1].request, Some(held[0].request));
    org.faulty("execute_late;delay_ms=1").send().await.unwrap_err();
    assert_eq!(org.effects(2, 1).await.len(), 1);
}

#[tokio::test]
async fn held_requests_go_on_as_asked() {
    let org = Org::start().await;
    for (fault, then, status, applied) in [
        ("hold", Then::Proceed, Some(201), 1),
        ("hold", Then::LoseAnswer, None, 1),
        ("hold", Then::Drop, None, 0),
        ("hold", Then::Reject, Some(503), 0),
        ("hold;applied=true", Then::Proceed, Some(201), 1),
        ("hold;applied=true", Then::Drop, None, 1),
    ] {
        let before = org.running.journal_after(0).len();
        let request = tokio::spawn(org.faulty(fault).send());
        assert_eq!(org.running.wait_held(1, PATIENCE).await.len(), 1);
        let so_far = org.running.journal_after(0).len() - before;
        assert_eq!(so_far, usize::from(fault.contains("applied")), "{fault} {then:?}");
        org.running.release(None, then);
        let answered = request.await.unwrap().ok().map(|r| r.status().as_u16());
        assert_eq!(answered, status, "{fault} {then:?}");
        assert_eq!(org.running.journal_after(0).len() - before, applied, "{fault} {then:?}");
    }
}

#[tokio::test]
async fn a_client_that_leaves_changes_nothing() {
    let org = Org::start().await;
    let request = tokio::spawn(org.faulty("hold").send());
    org.running.wait_held(1, PATIENCE).await;
    request.abort();
    assert!(request.await.unwrap_err().is_cancelled());
    org.running.release(None, Then::Proceed);
    assert_eq!(org.effects(0, 1).await.len(), 1);
}

#[tokio::test]
async fn stopping_ends_what_is_held() {
    let org = Org::start().await;
    let request = tokio::spawn(org.faulty("hold").send());
    org.running.wait_held(1, PATIENCE).await;
    tokio::time::timeout(PATIENCE, org.running.stop()).await.expect("stops at once").unwrap();
    request.await.unwrap().unwrap_err();
}

#[tokio::test]
async fn rules_choose_by_object_and_operation() {
    let org = Org::start().await;
    let matching = FaultMatch { object: Some("Contact".into()), op: Some("create".into()), ..FaultMatch::default() };
    let fault = Fault::from_json(&json!({ "reject": { "code": "UNABLE_TO_LOCK_ROW", "rows": [1] } })).unwrap();
    org.running.add_fault(FaultRule::once(matching, fault)).unwrap();
    org.create("Account", json!({ "Name": "untouched" })).await;
    let row = json!({ "attributes": { "type": "Contact" }, "LastName": "x" });
    let body = json!({ "allOrNone": false, "records": [row, row] });
    let (status, results) = org.post("/composite/sobjects", body.clone()).await;
    assert_eq!((status, &results[0]["success"]), (200, &json!(true)));
    assert_eq!(results[1]["errors"][0]["statusCode"], "UNABLE_TO_LOCK_ROW");
    let (_, again) = org.post("/composite/sobjects", body).await;
    assert_eq!(again[1]["success"], true);
}

#[tokio::test]
async fn chance_repeats_with_its_seed() {
    let run = async || {
        let org = Org::start().await;
        let chaos = Chaos { seed: 42, lose_answer: 0.3, limit_429: 0.2, ..Chaos::default() };
        org.running.set_chaos(Some(chaos));
        let mut seen = Vec::new();
        for n in 0..40 {
            // Reads in between draw nothing.
            assert_eq!(org.get("/limits").await.0, 200);
            let request = org.request(Method::POST, "/sobjects/Contact").json(&json!({ "LastName": format!("{n}") }));
            seen.push(request.send().await.ok().map(|r| r.status().as_u16()));
        }
        (seen, org.running.journal_after(0).len())
    };
    let (first, second) = (run().await, run().await);
    assert_eq!(first, second);
    let count = |wanted: Option<u16>| first.0.iter().filter(|s| **s == wanted).count();
    assert!(count(None) > 4 && count(Some(429)) > 2 && count(Some(201)) > 10, "{:?}", first.0);
    assert_eq!(first.1, count(None) + count(Some(201)));
}

#[tokio::test]
async fn slow_takes_its_time_and_timing_says_so() {
    let org = Org::start().await;
    let start = Instant::now();
    assert_eq!(answer(org.faulty("slow;ms=30")).await.0, 201);
    let outside = u64::try_from(start.elapsed().as_micros()).unwrap();
    org.running.wait_until(PATIENCE, |s| s.timing_after(0).calls == 1).await;
    let timing = org.running.timing_after(0);
    assert!((30_000..=outside).contains(&timing.total_us), "{timing:?} of {outside}");
    let other = org.running.requests_after(0);
    assert_eq!(other[0].status, Some(201));
    assert_ne!(Value::Null, json!(timing.each));
}
