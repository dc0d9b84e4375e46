//! Who may connect, and how: TLS and SASL on brokers that insist on it.

mod acls;
mod refused;
pub(crate) mod secured;
mod token;

use upwrite_event_log::KafkaConfig;
use upwrite_events::Position;

use super::harness::KafkaHarness;
use super::records::world::World;
use crate::harness::{Harness as _, LIMIT};
use crate::sample::{assert_gap_free, next, noted, partition};
use secured::{Secured, Signed, options};

/// All that a deployment does with the brokers: topics are made and checked, events written and read, records published.
async fn works(secured: &'static Secured, adjust: impl FnOnce(KafkaConfig) -> KafkaConfig) -> World {
    let harness = KafkaHarness::secured(&secured.broker, adjust).await;
    let log = harness.process().await;
    log.append(partition(0), vec![noted("a"), noted("b")]).await.unwrap();
    assert_gap_free(&next(&mut log.subscribe(partition(0), Position::START), 2).await, 0);
    assert_eq!(log.read(partition(0), Position(1), 10).await.unwrap().len(), 1);
    let world = World::on(harness).await;
    let (stop, publishing) = world.publish();
    world.write(&["a", "b"]).await;
    world.write(&["a"]).await;
    world.until_empty().await;
    stop.cancel();
    assert_eq!(tokio::time::timeout(LIMIT, publishing).await.unwrap().unwrap(), Ok(()));
    world
}

async fn works_by(mechanism: &str) {
    let secured = Secured::sasl().await;
    let world = works(secured, |config| KafkaConfig { options: secured.login(mechanism), ..config }).await;
    world.assert_complete().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn plain_passwords_over_tls() {
    works_by("PLAIN").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn scram_sha_256() {
    works_by("SCRAM-SHA-256").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn scram_sha_512() {
    works_by("SCRAM-SHA-512").await;
}

/// The token that librdkafka makes itself, for brokers that take any.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn oauthbearer_without_a_file() {
    let secured = Secured::sasl().await;
    let mut options = secured.login("OAUTHBEARER");
    options.insert("enable.sasl.oauthbearer.unsecure.jwt".to_owned(), "true".to_owned());
    options.insert("sasl.oauthbearer.config".to_owned(), "principal=upwrite".to_owned());
    works(secured, |config| KafkaConfig { options, ..config }).await.assert_complete().await;
}

/// Certificates and keys in files, as a deployment has them.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn mutual_tls() {
    let secured = Secured::mutual().await;
    let Signed { certificate, key } = secured.authority.sign("upwrite");
    let folder = tempfile::tempdir().unwrap();
    let file = |name: &str, content: &str| {
        let path = folder.path().join(name);
        std::fs::write(&path, content).unwrap();
        path.to_str().unwrap().to_owned()
    };
    let (authority, certificate, key) =
        (file("ca.pem", &secured.authority.certificate), file("own.pem", &certificate), file("own.key", &key));
    let options = options(&[
        ("security.protocol", "ssl"),
        ("ssl.ca.location", &authority),
        ("ssl.certificate.location", &certificate),
        ("ssl.key.location", &key),
    ]);
    works(secured, |config| KafkaConfig { options, ..config }).await.assert_complete().await;
}
