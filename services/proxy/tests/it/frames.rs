//! Frame by frame: what drivers send, and what they must read.

use tokio::io::AsyncWriteExt as _;

use crate::raw::{Raw, message, sqlstate, startup};
use crate::site::Site;
use crate::upstream::Upstream;

async fn session(site: &Site) -> Raw {
    let mut raw = Raw::connect(site.address).await;
    let database = site.database.clone();
    raw.send(&startup(0, &[("user", crate::site::USER), ("database", &database)])).await;
    crate::scram::login(&mut raw, crate::site::PASSWORD).await;
    raw.tags().await;
    raw
}

fn parse(name: &str, sql: &str) -> Vec<u8> {
    message(b'P', format!("{name}\0{sql}\0\0\0").as_bytes())
}

fn bind(portal: &str, statement: &str) -> Vec<u8> {
    message(b'B', format!("{portal}\0{statement}\0\0\0\0\0\0\0").as_bytes())
}

fn describe(kind: char, name: &str) -> Vec<u8> {
    message(b'D', format!("{kind}{name}\0").as_bytes())
}

fn execute(portal: &str, max_rows: u32) -> Vec<u8> {
    message(b'E', &[portal.as_bytes(), &[0], &max_rows.to_be_bytes()].concat())
}

fn query(sql: &str) -> Vec<u8> {
    message(b'Q', format!("{sql}\0").as_bytes())
}

const SYNC: &[u8] = b"S\0\0\0\x04";
const FLUSH: &[u8] = b"H\0\0\0\x04";
const INSERT: &str = "INSERT INTO sf.contact (last_name) VALUES ('A') RETURNING id";

async fn exchange(raw: &mut Raw, messages: &[&[u8]]) -> String {
    raw.send(&messages.concat()).await;
    raw.tags().await
}

/// C3: asyncpg's fetchrow.
#[tokio::test]
async fn one_row_at_a_time() {
    let upstream = Upstream::new().await;
    let mut raw = session(&upstream.site).await;
    let tags = exchange(&mut raw, &[&parse("", INSERT), &describe('S', ""), SYNC]).await;
    assert_eq!(tags, "1tTZI");
    let tags = exchange(&mut raw, &[&bind("", ""), &execute("", 1), SYNC]).await;
    assert_eq!(tags, "2DsZI");
    // C4: the unnamed statement is still there.
    let tags = exchange(&mut raw, &[&bind("", ""), &execute("", 0), SYNC]).await;
    assert_eq!(tags, "2DCZI");
    let tags =
        exchange(&mut raw, &[&bind("p", ""), &execute("p", 1), &execute("p", 1), &describe('P', "p"), SYNC]).await;
    assert_eq!(tags, "2DsCTZI");
    assert_eq!(upstream.requests(), 3);
}

/// C1: psycopg's pipeline mode and cursors of node-postgres: answers before Sync.
#[tokio::test]
async fn answers_come_before_sync() {
    let upstream = Upstream::new().await;
    let mut raw = session(&upstream.site).await;
    for _ in 0..3 {
        raw.send(&[&parse("", INSERT)[..], &bind("", ""), &describe('P', ""), &execute("", 0), FLUSH].concat()).await;
        for tag in *b"12TDC" {
            assert_eq!(char::from(raw.message().await.0), char::from(tag));
        }
    }
    raw.send(SYNC).await;
    assert_eq!(raw.tags().await, "ZI");
}

/// C2: a batch of many Executes before one Sync; the third fails upstream.
#[tokio::test]
async fn a_failing_entry_skips_the_rest_up_to_sync() {
    let upstream = Upstream::new().await;
    let mut raw = session(&upstream.site).await;
    let insert = "INSERT INTO sf.contact (last_name) VALUES ";
    let messages = [
        &parse("ok", &format!("{insert}('A')"))[..],
        &parse("no", &format!("{insert}('Refused')")),
        &bind("", "ok"),
        &execute("", 0),
        &bind("", "no"),
        &execute("", 0),
        &bind("", "ok"),
        &execute("", 0),
        SYNC,
        &bind("", "ok"),
        &execute("", 0),
        SYNC,
    ];
    raw.send(&messages.concat()).await;
    for tag in *b"112C2" {
        assert_eq!(char::from(raw.message().await.0), char::from(tag));
    }
    // The first entry stands: an error that looks like a rollback would make the client repeat it (G3).
    let (tag, body) = raw.message().await;
    assert_eq!((tag, sqlstate(&body).as_str()), (b'E', "40003"));
    let told = String::from_utf8_lossy(&body).into_owned();
    assert!(told.contains("Applied: ") && told.contains("23514"), "{told}");
    assert_eq!(raw.tags().await, "ZI");
    assert_eq!(raw.tags().await, "2CZI");
    assert_eq!(upstream.requests(), 3);
}

/// Alone before its Sync, the same statement fails with its own SQLSTATE.
#[tokio::test]
async fn what_stands_is_forgotten_with_ready_for_query() {
    let upstream = Upstream::new().await;
    let mut raw = session(&upstream.site).await;
    assert_eq!(exchange(&mut raw, &[&query(INSERT)]).await, "TDCZI");
    raw.send(&query(&INSERT.replace("'A'", "'Refused'"))).await;
    let (tag, body) = raw.message().await;
    assert_eq!((tag, sqlstate(&body).as_str()), (b'E', "23514"));
    assert_eq!(raw.tags().await, "ZI");
}

/// C6: pgjdbc's autosave, in one flight; and the answers of a failed block.
#[tokio::test]
async fn a_block_in_one_flight() {
    let upstream = Upstream::new().await;
    let mut raw = session(&upstream.site).await;
    let begin = [&parse("", "BEGIN")[..], &bind("", ""), &execute("", 0)].concat();
    let savepoint = [&parse("", "SAVEPOINT s")[..], &bind("", ""), &execute("", 0)].concat();
    let insert = [&parse("", INSERT)[..], &bind("", ""), &describe('P', ""), &execute("", 0)].concat();
    assert_eq!(exchange(&mut raw, &[&begin, &savepoint, &insert, SYNC]).await, "12C12C12TDCZT");
    let refused = INSERT.replace("'A'", "'Refused'");
    let refused = [&parse("", &refused)[..], &bind("", ""), &execute("", 0), &begin].concat();
    assert_eq!(exchange(&mut raw, &[&refused, SYNC]).await, "12EZE");
    assert_eq!(exchange(&mut raw, &[&query("ROLLBACK TO s")]).await, "CZT".replace('C', "NC"));
    assert_eq!(exchange(&mut raw, &[&query(INSERT)]).await, "TDCZT");
    raw.send(&query("COMMIT")).await;
    let (tag, body) = raw.message().await;
    assert_eq!((tag, &body[..]), (b'C', &b"COMMIT\0"[..]));
    raw.tags().await;
    assert_eq!(upstream.requests(), 3);
}

/// A synced mutation behind a local write of the same pipeline would lose the write.
#[tokio::test]
async fn a_pipeline_does_not_mix() {
    let upstream = Upstream::new().await;
    let mut raw = session(&upstream.site).await;
    exchange(&mut raw, &[&query("CREATE TABLE note (text text)")]).await;
    let local = [&parse("", "INSERT INTO note VALUES ('x')")[..], &bind("", ""), &execute("", 0)].concat();
    let synced = [&parse("", INSERT)[..], &bind("", ""), &execute("", 0)].concat();
    raw.send(&[&local[..], &synced, SYNC].concat()).await;
    for tag in *b"12C12" {
        assert_eq!(char::from(raw.message().await.0), char::from(tag));
    }
    let (tag, body) = raw.message().await;
    assert_eq!((tag, sqlstate(&body).as_str()), (b'E', "0A000"));
    assert_eq!(raw.tags().await, "ZI");
    raw.send(&query("SELECT 1 FROM note")).await;
    assert_eq!(raw.tags().await, "TCZI");
    // The other way round each stands by itself.
    assert_eq!(exchange(&mut raw, &[&synced, &local, SYNC]).await, "12DC12CZI");
    assert_eq!(exchange(&mut raw, &[&query("SELECT 1 FROM note")]).await, "TDCZI");
}

/// C10, C11: stray messages, empty queries, bare Sync.
#[tokio::test]
async fn odd_messages_are_answered_as_postgres_does() {
    let site = Site::new().await;
    let mut raw = session(&site).await;
    let stray = [message(b'f', b"no\0"), message(b'c', b""), message(b'd', b"x")].concat();
    assert_eq!(exchange(&mut raw, &[&stray, &query("")]).await, "IZI");
    assert_eq!(exchange(&mut raw, &[&query("-- ping")]).await, "IZI");
    assert_eq!(exchange(&mut raw, &[SYNC]).await, "ZI");
    assert_eq!(exchange(&mut raw, &[&parse("", ""), &bind("", ""), &execute("", 0), SYNC]).await, "12IZI");
    assert_eq!(exchange(&mut raw, &[&bind("", "none"), &execute("", 0), SYNC]).await, "EZI");
    raw.stream.write_all(&message(b'p', b"late\0")).await.unwrap();
    let (tag, body) = raw.message().await;
    assert_eq!((tag, sqlstate(&body).as_str()), (b'E', "08P01"));
    assert!(raw.rest().await.is_empty());
}

/// An error of an earlier request that comes while the proxy waits for something else still reaches the client.
#[tokio::test]
async fn an_error_before_a_capture_is_told() {
    let upstream = Upstream::new().await;
    let mut raw = session(&upstream.site).await;
    let failing = [&parse("", "SELECT 1 / 0")[..], &bind("", ""), &execute("", 0)].concat();
    let synced = [&parse("", INSERT)[..], &bind("", ""), &execute("", 0)].concat();
    // Bind folds the constants.
    assert_eq!(exchange(&mut raw, &[&failing, &synced, SYNC]).await, "1EZI");
    assert_eq!(
        exchange(&mut raw, &[&parse("x", "SELEC"), &bind("", "x"), &execute("", 0), SYNC, &synced, SYNC]).await,
        "EZI"
    );
    assert_eq!(raw.tags().await, "12DCZI");
    assert_eq!(upstream.requests(), 1);
}
