//! The engine with a schema registry.

use std::net::SocketAddr;
use std::path::PathBuf;

use futures::StreamExt as _;
use rdkafka::message::Message as _;
use reqwest::{Client, Method};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use upwrite_event_log::kafka::Registry as Address;
use upwrite_event_log::{KafkaConfig, LogError};
use upwrite_events::{EVENT_SCHEMAS, Position, Stream, encode};
use upwrite_testkit::free_port;
use upwrite_testkit::kafka::{Registry, RegistryOptions};

use super::auth::secured::{Authority, Signed};
use super::engine::consume;
use super::harness::KafkaHarness;
use crate::harness::LIMIT;
use crate::sample::{next, noted, partition};

async fn with_registry(harness: &KafkaHarness) -> KafkaConfig {
    let url = Registry::shared().await.url();
    KafkaConfig { registry: Some(Address { url, username: None, password: None, ca: None }), ..harness.config() }
}

async fn ask(method: Method, path: &str, body: Option<Value>) -> Value {
    let url = format!("{}/{path}", Registry::shared().await.url());
    let _ = rustls::crypto::ring::default_provider().install_default();
    let mut request = Client::new().request(method, url).header("content-type", "application/json");
    if let Some(body) = body {
        request = request.body(body.to_string());
    }
    let answer = request.send().await.unwrap();
    let (status, text) = (answer.status(), answer.text().await.unwrap());
    assert!(status.is_success(), "{path}: {status} {text}");
    serde_json::from_str(&text).unwrap()
}

fn subject(config: &KafkaConfig, event: &str) -> String {
    let stream = if event == "RecordsObserved" { Stream::Observations } else { Stream::Mutations };
    format!("{}-upwrite.v1.{event}", config.topic(stream))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn schemas_are_registered_and_values_refer_to_them() {
    let harness = KafkaHarness::shared().await;
    let config = with_registry(&harness).await;
    let log = harness.open(config.clone()).await;
    for schema in EVENT_SCHEMAS {
        let found =
            ask(Method::GET, &format!("subjects/{}/versions/latest", subject(&config, schema.event)), None).await;
        let registered: Value = serde_json::from_str(found["schema"].as_str().unwrap()).unwrap();
        assert_eq!(registered["name"], schema.event);
        let compatibility = ask(Method::GET, &format!("config/{}", subject(&config, schema.event)), None).await;
        assert_eq!(compatibility["compatibilityLevel"], "FULL_TRANSITIVE");
    }
    let event = noted("a");
    log.append(partition(0), vec![event.clone()]).await.unwrap();
    let written = consume(&harness, &config.topic(Stream::Mutations), 0, 1);
    let latest =
        ask(Method::GET, &format!("subjects/{}/versions/latest", subject(&config, "MutationVoided")), None).await;
    let id = u32::try_from(latest["id"].as_u64().unwrap()).unwrap();
    let expected = [&[0], &id.to_be_bytes()[..], &encode(&event).unwrap()[10..]].concat();
    assert_eq!(written[0].payload().unwrap(), expected);
    // By a process with the registry, by one without (its headers say what it is), and by a second start.
    for config in [config.clone(), harness.config(), config] {
        let records = next(&mut harness.open(config).await.subscribe(partition(0), Position::START), 1).await;
        assert_eq!(records[0].event.as_ref().unwrap(), &event);
    }
}

/// Without our headers, the registry alone says what a record is.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn records_without_headers_are_told_apart_by_the_registry() {
    let harness = KafkaHarness::shared().await;
    let config = with_registry(&harness).await;
    let log = harness.open(config.clone()).await;
    let topic = config.topic(Stream::Mutations);
    let register = |namespace: &str| {
        let schema = json!({"type": "record", "name": "Order", "namespace": namespace, "fields": []}).to_string();
        let path = format!("subjects/{topic}-{namespace}.Order/versions");
        async move {
            let answer = ask(Method::POST, &path, Some(json!({"schema": schema, "schemaType": "AVRO"}))).await;
            u32::try_from(answer["id"].as_u64().unwrap()).unwrap()
        }
    };
    let (foreign, newer) = (register("shop").await, register("upwrite.v1").await);
    let framed = |id: u32| [&[0], &id.to_be_bytes()[..]].concat();
    harness.write(&topic, 0, &[], &framed(foreign)).await;
    harness.write(&topic, 0, &[], &framed(0x7fff_ffff)).await;
    log.append(partition(0), vec![noted("ours")]).await.unwrap();
    harness.write(&topic, 0, &[], &framed(newer)).await;
    let mut reader = log.subscribe(partition(0), Position::START);
    let records = next(&mut reader, 3).await;
    let reasons: Vec<_> = records.iter().map(|record| record.event.as_ref().err().map(|e| e.reason.as_str())).collect();
    assert!(reasons[0].unwrap().contains("foreign schema shop.Order"), "{reasons:?}");
    assert!(reasons[1].unwrap().contains("has no schema"), "{reasons:?}");
    assert_eq!(reasons[2], None);
    let stopped = tokio::time::timeout(LIMIT, reader.next()).await.unwrap();
    assert!(matches!(&stopped, Some(Err(LogError::Newer(text))) if text.contains("upwrite.v1.Order")), "{stopped:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_schema_that_breaks_with_what_is_registered_is_refused_at_start() {
    let harness = KafkaHarness::shared().await;
    let config = with_registry(&harness).await;
    // What is in the field: a version with a field of another type.
    let field = json!({"name": "reason", "type": "long"});
    let schema = json!({"type": "record", "name": "MutationVoided", "namespace": "upwrite.v1", "fields": [field]});
    let path = format!("subjects/{}/versions", subject(&config, "MutationVoided"));
    ask(Method::POST, &path, Some(json!({"schema": schema.to_string(), "schemaType": "AVRO"}))).await;
    let opened = harness.try_open(config).await.err();
    let Some(LogError::Mismatch(text)) = &opened else { panic!("{opened:?}") };
    assert!(text.contains("upwrite.v1.MutationVoided refuses version 1"), "{text}");
}

/// A private authority, named by `ca`; and what is told when another one, or none, is.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_registry_with_a_private_certificate() {
    let harness = KafkaHarness::shared().await;
    let authority = Authority::new("authority of a test");
    let Signed { certificate, key } = authority.sign("127.0.0.1");
    let folder = tempfile::tempdir().unwrap();
    let file = |name: &str, content: &str| {
        let path = folder.path().join(name);
        std::fs::write(&path, content).unwrap();
        path
    };
    let (port, certificate, key) = (free_port(), file("own.pem", &certificate), file("own.key", &key));
    let settings = [
        ("QUARKUS_HTTP_SSL_PORT", port.to_string()),
        ("QUARKUS_HTTP_SSL_CERTIFICATE_FILES", certificate.display().to_string()),
        ("QUARKUS_HTTP_SSL_CERTIFICATE_KEY_FILES", key.display().to_string()),
    ];
    let settings = settings.map(|(name, value)| (name.to_owned(), value)).into();
    let registry = Registry::try_start(RegistryOptions { settings }).await.unwrap();
    let open = registry.url();
    let (_, path) = open.trim_start_matches("http://").split_once('/').unwrap();
    let at = |ca: Option<PathBuf>| {
        let url = format!("https://127.0.0.1:{port}/{path}");
        KafkaConfig { registry: Some(Address { url, username: None, password: None, ca }), ..harness.config() }
    };
    let log = harness.open(at(Some(file("ca.pem", &authority.certificate)))).await;
    log.append(partition(0), vec![noted("a")]).await.unwrap();
    for ca in [Some(file("other.pem", &Authority::new("somebody else").certificate)), None] {
        let refused = harness.try_open(at(ca)).await.err();
        assert!(matches!(&refused, Some(LogError::Unavailable(text)) if text.contains("certificate")), "{refused:?}");
    }
    let refused = harness.try_open(at(Some(file("empty.pem", "")))).await.err();
    assert!(matches!(&refused, Some(LogError::Mismatch(text)) if text.contains("empty.pem")), "{refused:?}");
}

/// Basic authentication, as a gate before the registry asks for it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_registry_that_asks_for_a_password() {
    let harness = KafkaHarness::shared().await;
    let registry = Registry::shared().await.url();
    let (host, path) = registry.trim_start_matches("http://").split_once('/').unwrap();
    let gate = gate(host.to_owned()).await;
    let with = |password: &str| {
        let (url, username, password) = (format!("http://{gate}/{path}"), "upwrite".to_owned(), password.to_owned());
        let registry = Some(Address { url, username: Some(username), password: Some(password), ca: None });
        KafkaConfig { registry, ..harness.config() }
    };
    let log = harness.open(with("s3cret-and-right")).await;
    log.append(partition(0), vec![noted("a")]).await.unwrap();
    let refused = harness.try_open(with("s3cret-but-wrong")).await.err();
    let Some(LogError::Mismatch(text)) = &refused else { panic!("{refused:?}") };
    assert!(text.contains("status 401") && !text.contains("s3cret"), "{text}");
}

/// Lets connections through whose first request has the right password; its address.
async fn gate(registry: String) -> SocketAddr {
    // upwrite:s3cret-and-right
    const RIGHT: &str = "authorization: Basic dXB3cml0ZTpzM2NyZXQtYW5kLXJpZ2h0";
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((mut client, _)) = listener.accept().await {
            let registry = registry.clone();
            tokio::spawn(async move {
                let mut head = Vec::new();
                while !head.windows(4).any(|end| end == b"\r\n\r\n") {
                    if client.read_buf(&mut head).await.unwrap() == 0 {
                        return;
                    }
                }
                if !String::from_utf8_lossy(&head).contains(RIGHT) {
                    let answer = "HTTP/1.1 401 Unauthorized\r\nContent-Length: 0\r\nConnection: close\r\n\r\n";
                    client.write_all(answer.as_bytes()).await.unwrap();
                    return;
                }
                let mut server = TcpStream::connect(&registry).await.unwrap();
                server.write_all(&head).await.unwrap();
                // Either side may have hung up.
                let _ = tokio::io::copy_bidirectional(&mut client, &mut server).await;
            });
        }
    });
    address
}
