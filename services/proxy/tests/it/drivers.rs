//! Drivers of other languages, whose protocol habits differ (hazards, part C).

use std::path::PathBuf;
use std::process::Command;

use crate::site::{PASSWORD, PREPARED_PASSWORD, USER};
use crate::upstream::Upstream;

async fn run(mut command: Command, upstream: &Upstream, password: &str) {
    let site = &upstream.site;
    command.args([&site.address.port().to_string(), &site.database, USER, password]);
    let output = tokio::task::spawn_blocking(move || command.output().unwrap()).await.unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    assert_eq!(said, "done\n", "{}", String::from_utf8_lossy(&output.stderr));
}

fn script(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/it").join(name)
}

#[tokio::test(flavor = "multi_thread")]
async fn psycopg_and_asyncpg() {
    let upstream = Upstream::new().await;
    let python = tokio::task::spawn_blocking(upwrite_testkit::python).await.unwrap();
    let mut command = Command::new(python);
    command.arg(script("drivers.py"));
    run(command, &upstream, PASSWORD).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn node_postgres_and_postgres_js() {
    let upstream = Upstream::new().await;
    let command = tokio::task::spawn_blocking(|| upwrite_testkit::node(script("drivers.js"))).await.unwrap();
    // postgres.js does not prepare passwords (RFC 4013) as the others do.
    run(command, &upstream, PREPARED_PASSWORD).await;
}
