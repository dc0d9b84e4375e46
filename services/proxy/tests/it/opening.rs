//! What comes before a session: encryption, garbage, protocol versions.

use std::sync::Arc;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use crate::raw::{Raw, message, sqlstate, startup};
use crate::site::{Site, USER};

const SSL_REQUEST: [u8; 8] = [0, 0, 0, 8, 0x04, 0xd2, 0x16, 0x2f];
const GSS_REQUEST: [u8; 8] = [0, 0, 0, 8, 0x04, 0xd2, 0x16, 0x30];

#[tokio::test]
async fn garbage_closes_the_connection() {
    let site = Site::new().await;
    for garbage in [
        &b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"[..],
        &[0xff; 64],
        &[0; 64],
        &[0, 0, 0, 8, 0, 2, 0, 0],
        &[0x16, 0x03, 0x01, 0, 5, 1, 2, 3, 4, 5],
    ] {
        let mut raw = Raw::connect(site.address).await;
        raw.send(garbage).await;
        let answer = raw.rest().await;
        assert!(answer.is_empty() || answer[0] == b'E' || answer[0] == 0x15, "{garbage:?} -> {answer:?}");
    }
    site.client().await.simple_query("SELECT 1").await.unwrap();
}

#[tokio::test]
async fn plaintext_behind_an_ssl_request_is_never_read_as_encrypted() {
    let site = Site::new().await;
    let mut raw = Raw::connect(site.address).await;
    let smuggled = [&SSL_REQUEST[..], &startup(0, &[("user", USER)])].concat();
    raw.send(&smuggled).await;
    let answer = raw.rest().await;
    assert_eq!((answer[0], sqlstate(&answer[5..]).as_str()), (b'E', "08P01"));
}

#[tokio::test]
async fn gss_is_declined_and_replication_refused() {
    let site = Site::new().await;
    let mut raw = Raw::connect(site.address).await;
    raw.send(&GSS_REQUEST).await;
    assert_eq!(raw.stream.read_u8().await.unwrap(), b'N');
    raw.send(&startup(0, &[("user", USER), ("replication", "database")])).await;
    let (tag, body) = raw.message().await;
    assert_eq!((tag, sqlstate(&body).as_str()), (b'E', "0A000"));
}

#[tokio::test]
async fn unknown_protocol_options_are_negotiated() {
    let site = Site::new().await;
    let mut raw = Raw::connect(site.address).await;
    raw.send(&startup(9999, &[("user", USER), ("_pq_.magic", "1")])).await;
    let (tag, body) = raw.message().await;
    assert_eq!(tag, b'v');
    assert_eq!(body[..8], [0, 3, 0, 2, 0, 0, 0, 1]);
    assert_eq!(&body[8..], b"_pq_.magic\0");
    assert_eq!(raw.message().await.0, b'R');
}

#[tokio::test]
async fn before_login_messages_are_short() {
    let site = Site::new().await;
    let mut raw = Raw::connect(site.address).await;
    raw.send(&startup(0, &[("user", USER)])).await;
    assert_eq!(raw.message().await.0, b'R');
    raw.send(b"p\x10\0\0\0").await;
    assert!(raw.rest().await.is_empty());

    let mut raw = Raw::connect(site.address).await;
    raw.send(&startup(0, &[("user", USER)])).await;
    assert_eq!(raw.message().await.0, b'R');
    raw.send(&message(b'p', b"SCRAM-SHA-256\0\x7f\xff\xff\xffn,,n=,r=x")).await;
    let (tag, body) = raw.message().await;
    assert_eq!((tag, sqlstate(&body).as_str()), (b'E', "08P01"));
}

#[tokio::test]
async fn tls_is_offered_on_request_and_directly() {
    let site = Site::new().await;
    for direct in [false, true] {
        let mut raw = Raw::connect(site.address).await;
        if !direct {
            raw.send(&SSL_REQUEST).await;
            assert_eq!(raw.stream.read_u8().await.unwrap(), b'S');
        }
        let mut stream = connector(direct).connect("localhost".try_into().unwrap(), raw.stream).await.unwrap();
        stream.write_all(&startup(0, &[("user", USER)])).await.unwrap();
        let mut answer = vec![0; 64];
        let count = stream.read(&mut answer).await.unwrap();
        let text = String::from_utf8_lossy(&answer[..count]).into_owned();
        assert!(text.starts_with('R') && text.contains("SCRAM-SHA-256-PLUS\0SCRAM-SHA-256\0"), "{text:?}");
    }
    // Direct TLS without the protocol's name could be meant for any protocol.
    let raw = Raw::connect(site.address).await;
    let connected = connector(false).connect("localhost".try_into().unwrap(), raw.stream).await;
    if let Ok(mut stream) = connected {
        let mut rest = Vec::new();
        let _ = stream.read_to_end(&mut rest).await;
        assert!(rest.is_empty());
    }
}

#[tokio::test]
async fn slow_logins_end() {
    let site = Site::with(|config| config.limits.login_timeout = std::time::Duration::from_millis(300)).await;
    let mut raw = Raw::connect(site.address).await;
    raw.send(&[0, 0]).await;
    assert!(raw.rest().await.is_empty());
}

fn connector(alpn: bool) -> tokio_rustls::TlsConnector {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let mut config = rustls::ClientConfig::builder_with_provider(provider.clone())
        .with_safe_default_protocol_versions()
        .unwrap()
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(crate::anyone::Anyone(provider)))
        .with_no_client_auth();
    if alpn {
        config.alpn_protocols = vec![b"postgresql".to_vec()];
    }
    tokio_rustls::TlsConnector::from(Arc::new(config))
}

/// libpq binds SCRAM to the proxy's certificate.
#[tokio::test]
async fn psql_logs_in_with_channel_binding() {
    let site = Site::new().await;
    let psql = upwrite_testkit::postgres::psql().unwrap();
    let target = format!(
        "host=127.0.0.1 port={} user={USER} dbname={} sslmode=require channel_binding=require",
        site.address.port(),
        site.database
    );
    let run = move || {
        std::process::Command::new(psql)
            .env("PGPASSWORD", crate::site::PASSWORD)
            .args(["-X", "-At", "-c", "\\conninfo", "-c", "SELECT session_user", &target])
            .output()
            .unwrap()
    };
    let output = tokio::task::spawn_blocking(run).await.unwrap();
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(said.ends_with(&format!("{USER}\n")), "{said} {}", String::from_utf8_lossy(&output.stderr));
}
