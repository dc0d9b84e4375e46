//! What brokers allow to whom.

use upwrite_event_log::{KafkaConfig, LogError, kafka};

use super::secured::{STRANGER, Secured};
use super::works;
use crate::kafka::harness::KafkaHarness;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_the_documentation_asks_for_is_enough() {
    let guarded = Secured::guarded().await;
    let world = works(guarded, |config| KafkaConfig { options: guarded.login("PLAIN"), ..config }).await;
    world.assert_complete().await;
}

/// Topics that a user may not see are there; that they were missing would send the operator the wrong way.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_not_allowed_is_told() {
    let guarded = Secured::guarded().await;
    let allowed = |config| KafkaConfig { options: guarded.login("SCRAM-SHA-256"), ..config };
    let harness = KafkaHarness::secured(&guarded.broker, allowed).await;
    harness.open(harness.config()).await;
    let mut options = guarded.login("PLAIN");
    options.insert("sasl.username".to_owned(), STRANGER.to_owned());
    let config = KafkaConfig { options, ..harness.config() };
    let told = |text: &str| text.contains("authorization failed") && text.contains("docs/operations.md");
    let opened = harness.try_open(config.clone()).await.err();
    let Some(LogError::Unavailable(text)) = &opened else { panic!("{opened:?}") };
    assert!(told(text) && text.contains(&harness.config().topic_prefix), "{text}");
    let new = KafkaConfig { topic_prefix: "new".to_owned(), ..config };
    let text = kafka::prepare(&new, 1, &[]).await.unwrap_err().to_string();
    assert!(told(&text) && text.contains("new.mutations"), "{text}");
}
