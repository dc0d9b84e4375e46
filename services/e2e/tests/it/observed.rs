//! What can be seen from outside: one trace from the client's statement to the row, metrics, health, readiness.

mod collector;
mod page;

use std::collections::HashMap;

use serde_json::json;
use tokio::task::JoinHandle;
use upwrite_e2e::{Crew, Fleet, LIMIT, Log, Options, World};
use upwrite_testkit::{free_port, until};

use self::collector::{Collector, Span};
use self::page::get;

const TRACE: &str = "0af7651916cd43dd8448eb211c80319c";
const CLIENT: &str = "b7ad6b7169203331";

fn only<'a>(spans: &'a [Span], name: &str) -> &'a Span {
    let named: Vec<&Span> = spans.iter().filter(|span| span.name == name && span.trace == TRACE).collect();
    assert_eq!(named.len(), 1, "{name} among {spans:#?}");
    named[0]
}

/// Runs one INSERT and ends the deployment, which sends what spans are left. Spans, and the `traceparent` headers that
/// upstream saw meanwhile.
async fn insert(prepare: &str, statement: &str) -> (Vec<Span>, Vec<String>) {
    let collector = Collector::start().await;
    let more = format!("[observe]\notlp = \"{}\"\ninstance = \"one\"\n", collector.url());
    let world = World::start(Options { more, ..Options::default() }).await;
    let client = world.client().await;
    client.batch_execute(prepare).await.unwrap();
    let before = world.sandbox.requests(0).await.unwrap().len();
    let id: String = client.query_one(statement, &[]).await.unwrap().get(0);
    assert_eq!(id.len(), 18);
    let requests = world.sandbox.requests(before as u64).await.unwrap();
    let headers = requests.into_iter().filter_map(|request| request.traceparent).collect();
    drop(client);
    world.finish().await;
    (collector.spans(), headers)
}

fn one_trace(spans: &[Span], headers: &[String]) {
    let write = only(spans, "upwrite.write");
    assert_eq!(write.parent, CLIENT, "the client's span is the parent");
    assert_eq!(write.attribute("db.collection.name"), Some("salesforce.contact"));
    assert_eq!(write.attribute("db.response.status_code"), Some("00000"));
    for (name, parent) in [
        ("upwrite.submit", "upwrite.write"),
        ("upwrite.hold", "upwrite.write"),
        ("upwrite.apply", "upwrite.write"),
        ("upwrite.call", "upwrite.apply"),
        ("upwrite.reconcile", "upwrite.write"),
    ] {
        let (child, parent) = (only(spans, name), only(spans, parent));
        assert_eq!(child.parent, parent.id, "{name}");
        assert!(child.begun >= parent.begun, "{name} begins before its parent");
    }
    for name in ["upwrite.apply", "upwrite.reconcile"] {
        assert_eq!(only(spans, name).attribute("upwrite.mutation"), write.attribute("upwrite.mutation"), "{name}");
    }
    let call = only(spans, "upwrite.call");
    assert_eq!(headers, [format!("00-{TRACE}-{}-01", call.id)], "the request upstream carries the trace");
    assert_eq!(write.resource("service.name"), Some("upwrite"));
}

/// All stages were in one process, of that name.
fn one_process(spans: &[Span]) {
    let write = only(spans, "upwrite.write");
    assert_eq!(write.resource("service.instance.id"), Some("one"));
    assert_eq!(write.resource("upwrite.stages"), Some("proxy,applier,syncer,reconciler"));
}

#[tokio::test(flavor = "multi_thread")]
async fn one_trace_from_the_clients_setting_to_the_row() {
    let set = format!("set upwrite.traceparent = '00-{TRACE}-{CLIENT}-01'");
    let sql = "insert into salesforce.contact (last_name) values ('Lovelace') returning id";
    let (spans, headers) = insert(&set, sql).await;
    one_trace(&spans, &headers);
    one_process(&spans);
}

/// The trace goes from process to process in the headers of the records.
#[tokio::test(flavor = "multi_thread")]
async fn one_trace_through_processes_that_meet_on_kafka() {
    let collector = Collector::start().await;
    let more = format!("[observe]\notlp = \"{}\"\n", collector.url());
    let crew = Crew { proxies: 1, appliers: 1, reconcilers: 1, syncers: 1 };
    let log = Log::Kafka { registry: true };
    let fleet = Fleet::start(Options { log, more, ..Options::default() }, crew).await;
    let client = fleet.client(0).await;
    client.batch_execute(&format!("set upwrite.traceparent = '00-{TRACE}-{CLIENT}-01'")).await.unwrap();
    let before = fleet.sandbox.requests(0).await.unwrap().len();
    client.batch_execute("insert into salesforce.contact (last_name) values ('Lovelace')").await.unwrap();
    let requests = fleet.sandbox.requests(before as u64).await.unwrap();
    let headers: Vec<String> = requests.into_iter().filter_map(|request| request.traceparent).collect();
    drop(client);
    fleet.finish().await;
    let spans = collector.spans();
    one_trace(&spans, &headers);
    for (name, stage) in [("upwrite.write", "proxy"), ("upwrite.call", "applier"), ("upwrite.reconcile", "reconciler")]
    {
        assert_eq!(only(&spans, name).resource("upwrite.stages"), Some(stage));
    }
}

/// The statement's comment goes before the session's setting.
#[tokio::test(flavor = "multi_thread")]
async fn one_trace_from_a_sqlcommenter_comment_to_the_row() {
    let set = "set upwrite.traceparent = '00-11111111111111111111111111111111-2222222222222222-01'";
    let sql = format!(
        "insert into salesforce.contact (last_name) values ('Lovelace') returning id \
         /*db_driver='x%20y',traceparent='00-{TRACE}-{CLIENT}-01'*/"
    );
    let (spans, headers) = insert(set, &sql).await;
    one_trace(&spans, &headers);
}

/// What the client does not record is not recorded here, but goes upstream as it came.
#[tokio::test(flavor = "multi_thread")]
async fn a_trace_that_the_client_does_not_sample_is_not_sent() {
    let set = format!("set upwrite.traceparent = '00-{TRACE}-{CLIENT}-00'");
    let (spans, headers) =
        insert(&set, "insert into salesforce.contact (last_name) values ('Lovelace') returning id").await;
    assert!(!spans.iter().any(|span| span.trace == TRACE), "{spans:#?}");
    assert_eq!(headers.len(), 1);
    assert!(headers[0].starts_with(&format!("00-{TRACE}-")) && headers[0].ends_with("-00"), "{headers:?}");
}

/// On a connection of its own.
async fn begin_insert(world: &World, last_name: String) -> JoinHandle<Result<(), tokio_postgres::Error>> {
    let client = world.client().await;
    let sql = format!("insert into salesforce.contact (last_name) values ('{last_name}')");
    tokio::spawn(async move { client.batch_execute(&sql).await })
}

/// Mutations that wait for a place are sent in one call, which each of their traces leads to.
#[tokio::test(flavor = "multi_thread")]
async fn a_call_of_several_mutations_is_linked_to_each() {
    let (collector, port) = (Collector::start().await, free_port());
    let more = format!("[observe]\notlp = \"{}\"\nlisten = \"127.0.0.1:{port}\"\n", collector.url());
    let world = World::start(Options { more, request_timeout: LIMIT, late_effect: LIMIT, ..Options::default() }).await;
    // As many as may be under way at once.
    world.sandbox.fault(json!({ "object": "Contact", "op": "create" }), json!("hold"), 8).await.unwrap();
    let mut inserts = Vec::new();
    for n in 1..=8 {
        inserts.push(begin_insert(&world, format!("Alone {n}")).await);
        world.sandbox.held(n).await.unwrap();
    }
    for n in 1..=3 {
        inserts.push(begin_insert(&world, format!("Together {n}")).await);
    }
    until(LIMIT, "three to be queued", || async {
        let (_, text) = get(port, "/metrics").await;
        let queued = page::metrics(&text).get("upwrite_applier_queue_depth_count{source=\"salesforce\"}").copied();
        (queued == Some(3.0)).then_some(())
    })
    .await;
    world.sandbox.release().await.unwrap();
    for insert in inserts {
        insert.await.unwrap().unwrap();
    }
    world.finish().await;
    let spans = collector.spans();
    let call =
        spans.iter().find(|span| span.name == "upwrite.call" && !span.links.is_empty()).expect("a call for several");
    assert_eq!(call.links.len(), 3);
    let span = |id: &str| spans.iter().find(|span| span.id == id).unwrap_or_else(|| panic!("no span {id}"));
    let mut traces: Vec<&str> = Vec::new();
    for link in &call.links {
        let apply = span(link);
        assert_eq!((apply.name.as_str(), span(&apply.parent).name.as_str()), ("upwrite.apply", "upwrite.write"));
        traces.push(&apply.trace);
    }
    assert_eq!((call.parent.as_str(), call.trace.as_str()), (call.links[0].as_str(), traces[0]));
    traces.sort_unstable();
    traces.dedup();
    assert_eq!(traces.len(), 3, "each statement began a trace of its own");
}

#[tokio::test(flavor = "multi_thread")]
async fn metrics_of_every_stage_are_served() {
    let port = free_port();
    let more = format!("[observe]\nlisten = \"127.0.0.1:{port}\"\n");
    let world = World::start(Options { more, ..Options::default() }).await;
    let client = world.client().await;
    client.batch_execute("select 1").await.unwrap();
    client.batch_execute("insert into salesforce.contact (last_name) values ('Lovelace')").await.unwrap();
    let sql = "update salesforce.contact set email = 'no address' where last_name = 'Lovelace'";
    let refused = client.batch_execute(sql).await.unwrap_err();
    let sqlstate = refused.code().expect("an SQLSTATE").code().to_owned();

    let (status, text) = get(port, "/metrics").await;
    assert_eq!(status, 200);
    let metrics = page::metrics(&text);
    let refused = format!("upwrite_proxy_verdicts_total{{sqlstate=\"{sqlstate}\"}}");
    for name in [
        "upwrite_proxy_connections",
        "upwrite_proxy_logins_total{outcome=\"accepted\"}",
        "upwrite_proxy_statements_total{class=\"relayed\"}",
        "upwrite_proxy_statements_total{class=\"captured\"}",
        "upwrite_proxy_verdicts_total{sqlstate=\"00000\"}",
        &refused,
        "upwrite_proxy_hold_seconds_count",
        "upwrite_log_append_seconds_count{kind=\"submit\"}",
        "upwrite_log_append_seconds_count{kind=\"append\"}",
        "upwrite_upstream_request_seconds_count{source=\"salesforce\",outcome=\"ok\"}",
        "upwrite_reconciler_batch_seconds_count",
        "upwrite_reconciler_verdicts_total{sqlstate=\"00000\"}",
        "upwrite_group_items_count{group=\"applier\"}",
    ] {
        let value = metrics.get(name).unwrap_or_else(|| panic!("{name} is not in\n{text}"));
        assert!(*value > 0.0, "{name} is {value}");
    }
    assert_eq!(metrics["upwrite_proxy_holds"], 0.0, "nobody is held now");
    assert!(!text.contains("Lovelace"), "no values");
    drop(client);
    until(LIMIT, "the connection to be gone", || async {
        let (_, text) = get(port, "/metrics").await;
        (page::metrics(&text)["upwrite_proxy_connections"] == 0.0).then_some(())
    })
    .await;
    world.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn readiness_follows_postgres_and_health_does_not() {
    let port = free_port();
    let more = format!("[observe]\nlisten = \"127.0.0.1:{port}\"\n");
    let world = World::start(Options { more, ..Options::default() }).await;
    let ready = |wanted: u16| async move {
        until(LIMIT, &format!("/readyz to say {wanted}"), || async {
            let (status, text) = get(port, "/readyz").await;
            (status == wanted).then_some(text)
        })
        .await
    };
    let parts = |text: &str| -> HashMap<String, bool> {
        let said: serde_json::Value = serde_json::from_str(text).unwrap();
        let parts = said["parts"].as_object().unwrap();
        parts.iter().map(|(name, part)| (name.clone(), part["ready"].as_bool().unwrap())).collect()
    };
    let said = parts(&ready(200).await);
    for part in ["postgres", "log", "proxy", "applier", "reconciler", "syncer"] {
        assert_eq!(said.get(part), Some(&true), "{part}");
    }
    world.cluster.kill9().await;
    let text = ready(503).await;
    assert_eq!(parts(&text).get("postgres"), Some(&false), "{text}");
    assert_eq!(get(port, "/healthz").await, (200, "ok\n".to_owned()));

    // Started again, it says so before it has found Postgres.
    world.upwrite.kill9();
    world.upwrite.wait_exit(LIMIT).await;
    let mut world = world;
    world.upwrite = upwrite_testkit::process::Process::spawn(world.command("run"));
    world.upwrite.wait_for_line("metrics, health and readiness are served", LIMIT).await;
    let text = ready(503).await;
    assert_eq!(parts(&text).get("proxy"), Some(&false), "{text}");
    world.cluster.restart().await;
    ready(200).await;
    world.finish().await;
}
