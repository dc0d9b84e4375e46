//! A token from a file that somebody else renews.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use upwrite_event_log::{EventLog, KafkaConfig, LogError, kafka};
use upwrite_events::Position;
use upwrite_testkit::until;

use super::secured::{Secured, token};
use super::works;
use crate::harness::LIMIT;
use crate::kafka::harness::KafkaHarness;
use crate::sample::{next, noted, partition};

const HOUR: u64 = 3600;

struct TokenFile {
    _folder: tempfile::TempDir,
    path: PathBuf,
}

impl TokenFile {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        Self { path: folder.path().join("token"), _folder: folder }
    }

    /// As a sidecar does it: there is never half a token. Returns when the token ends.
    fn renew(&self, seconds: u64) -> SystemTime {
        let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap().as_secs();
        let new = self.path.with_extension("new");
        std::fs::write(&new, token("upwrite", now + seconds) + "\n").unwrap();
        std::fs::rename(&new, &self.path).unwrap();
        SystemTime::UNIX_EPOCH + Duration::from_secs(now + seconds)
    }
}

fn bearer(secured: &Secured) -> BTreeMap<String, String> {
    let mut options = secured.login("OAUTHBEARER");
    options.retain(|name, _| name != "sasl.username" && name != "sasl.password");
    options
}

async fn harness(file: &TokenFile) -> KafkaHarness {
    let (secured, token_file) = (Secured::sasl().await, Some(file.path.clone()));
    file.renew(HOUR);
    KafkaHarness::secured(&secured.broker, |config| KafkaConfig { options: bearer(secured), token_file, ..config })
        .await
}

/// A log that has written its first event with a token for so few seconds, and when that ends. Again with another one where
/// a busy machine was slower.
async fn opened(harness: &KafkaHarness, file: &TokenFile, seconds: u64) -> (Arc<dyn EventLog>, SystemTime) {
    until(LIMIT, "a log that is open before its token ends", || async {
        let ends = file.renew(seconds);
        let log = harness.try_open(harness.config()).await.ok()?;
        log.append(partition(0), vec![noted("by the first")]).await.ok()?;
        Some((log, ends))
    })
    .await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_token_from_a_file() {
    let (secured, file) = (Secured::sasl().await, TokenFile::new());
    file.renew(HOUR);
    let token_file = Some(file.path.clone());
    works(secured, |config| KafkaConfig { options: bearer(secured), token_file, ..config }).await;
}

/// The file has a new token before the old one ends: nobody notices.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_token_that_is_renewed_in_time_is_read_again() {
    let file = TokenFile::new();
    let harness = harness(&file).await;
    let (log, ends) = opened(&harness, &file, 8).await;
    file.renew(HOUR);
    let mut reader = log.subscribe(partition(0), Position::START);
    next(&mut reader, 1).await;
    let after = ends + Duration::from_secs(1);
    until(LIMIT, "the first token to be over", || async {
        log.append(partition(0), vec![noted("meanwhile")]).await.unwrap();
        (SystemTime::now() > after).then_some(())
    })
    .await;
    log.append(partition(0), vec![noted("by the second")]).await.unwrap();
    let end = log.end(partition(0)).await.unwrap();
    next(&mut reader, usize::try_from(end.0).unwrap() - 1).await;
}

/// Nobody renews it: that is told, and all goes on once somebody does.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_token_that_has_expired_is_told_until_it_is_renewed() {
    let file = TokenFile::new();
    let harness = harness(&file).await;
    let (log, _) = opened(&harness, &file, 4).await;
    let told = until(LIMIT, "the token to be missed", || async {
        let error = log.append(partition(0), vec![noted("late")]).await.err()?.to_string();
        error.contains("has expired").then_some(error)
    })
    .await;
    assert!(told.contains(file.path.to_str().unwrap()), "{told}");
    file.renew(HOUR);
    until(LIMIT, "the new token to be taken", || async { log.append(partition(0), vec![noted("again")]).await.ok() })
        .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_file_without_a_token_is_told() {
    let file = TokenFile::new();
    let harness = harness(&file).await;
    let told = |path: &Path| {
        let config = KafkaConfig { token_file: Some(path.to_owned()), ..harness.config() };
        let harness = &harness;
        async move {
            let Some(LogError::Unavailable(text)) = harness.try_open(config.clone()).await.err() else {
                panic!("open")
            };
            let prepared = kafka::prepare(&config, 4, &[]).await.unwrap_err().to_string();
            assert!(text.contains(&prepared), "{text} / {prepared}");
            text
        }
    };
    let missing = file.path.with_extension("missing");
    let text = told(&missing).await;
    assert!(text.contains(missing.to_str().unwrap()) && text.contains("cannot be read"), "{text}");
    std::fs::write(&file.path, "s3cret-but-no-token").unwrap();
    let text = told(&file.path).await;
    assert!(text.contains(file.path.to_str().unwrap()) && text.contains("three parts"), "{text}");
    assert!(!text.contains("s3cret"), "{text}");
    // Signed by nobody, and yet with a signature: this one is the broker's to refuse.
    std::fs::write(&file.path, token("upwrite", u64::from(u32::MAX)) + "c2lnbmVk").unwrap();
    let text = told(&file.path).await;
    assert!(text.contains("invalid_token"), "{text}");
}
