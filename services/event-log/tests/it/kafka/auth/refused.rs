//! What an operator is told when brokers do not let a process in.

use std::collections::BTreeMap;
use std::io;
use std::sync::{Mutex, Once, PoisonError};
use std::time::{Duration, Instant};

use tracing_subscriber::Layer as _;
use tracing_subscriber::filter::Targets;
use tracing_subscriber::layer::SubscriberExt as _;
use upwrite_event_log::{KafkaConfig, LogError, kafka};

use super::secured::{Authority, Secured, options};
use crate::kafka::harness::KafkaHarness;

/// Within this, all that asks the brokers is told that it cannot, and why.
const BOUND: Duration = Duration::from_secs(15);
const WRONG: &str = "s3cret-but-wrong";

/// What `setup` says.
async fn refused(brokers: &str, options: BTreeMap<String, String>) -> String {
    let config = KafkaConfig { options, ..KafkaConfig::new(brokers) };
    assert_eq!(config.mistakes(), Vec::<String>::new());
    let begun = Instant::now();
    let prepared = kafka::prepare(&config, 4, &[]).await;
    assert!(begun.elapsed() < BOUND, "{:?}", begun.elapsed());
    let Err(kafka::PrepareError::Unanswered(error)) = prepared else { panic!("{prepared:?}") };
    error.to_string()
}

#[track_caller]
fn assert_tells(text: &str, expected: &[&str]) {
    assert!(expected.iter().all(|part| text.contains(part)), "{expected:?} are not all in: {text}");
    assert!(!text.contains(WRONG), "{text}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_wrong_password_is_told() {
    let secured = Secured::sasl().await;
    for mechanism in ["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"] {
        let mut options = secured.login(mechanism);
        options.insert("sasl.password".to_owned(), WRONG.to_owned());
        let begun = Instant::now();
        assert_tells(&refused(&secured.broker.bootstrap(), options).await, &["Authentication failed"]);
        // No other broker could prove better.
        assert!(begun.elapsed() < Duration::from_secs(8), "{:?}", begun.elapsed());
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_unknown_authority_and_another_host_are_told() {
    let secured = Secured::sasl().await;
    let mut options = secured.login("PLAIN");
    let elsewhere = format!("localhost:{}", secured.broker.port());
    let text = refused(&elsewhere, options.clone()).await;
    assert_tells(&text, &["localhost", "certificate verify failed", "must also name the host"]);
    options.insert("ssl.ca.pem".to_owned(), Authority::new("somebody else").certificate);
    let text = refused(&secured.broker.bootstrap(), options).await;
    assert_tells(&text, &["certificate verify failed", "ssl.ca.location"]);
}

/// The listener only hangs up.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_listener_that_wants_tls_or_sasl_is_told() {
    let secured = Secured::sasl().await;
    let (brokers, authority) = (secured.broker.bootstrap(), secured.authority.certificate.as_str());
    let tls_alone = options(&[("security.protocol", "ssl"), ("ssl.ca.pem", authority)]);
    let mut sasl_alone = secured.login("PLAIN");
    sasl_alone.insert("security.protocol".to_owned(), "sasl_plaintext".to_owned());
    let (nothing, sasl_alone, tls_alone) =
        tokio::join!(refused(&brokers, BTreeMap::new()), refused(&brokers, sasl_alone), refused(&brokers, tls_alone));
    assert_tells(&nothing, &["does this listener want TLS?", "security.protocol"]);
    assert_tells(&sasl_alone, &["does this listener want TLS?"]);
    assert_tells(&tls_alone, &["SASL", "security.protocol"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_client_without_a_certificate_is_told() {
    let secured = Secured::mutual().await;
    let tls = [("security.protocol", "ssl"), ("ssl.ca.pem", secured.authority.certificate.as_str())];
    let stranger = Authority::new("somebody else").sign("upwrite");
    let shown = [tls[0], tls[1], ("ssl.certificate.pem", &stranger.certificate), ("ssl.key.pem", &stranger.key)];
    let brokers = secured.broker.bootstrap();
    let (without, with) = tokio::join!(refused(&brokers, options(&tls)), refused(&brokers, options(&shown)));
    for told in [without, with] {
        assert_tells(&told, &["certificate", "`ssl.certificate.location`"]);
    }
}

/// Opening says it, too; and neither the wrong password nor a right one stands in any log, at any level.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn passwords_are_not_logged() {
    listen();
    let secured = Secured::sasl().await;
    let right = secured.login("SCRAM-SHA-256");
    let harness =
        KafkaHarness::secured(&secured.broker, |config| KafkaConfig { options: right.clone(), ..config }).await;
    harness.open(harness.config()).await;
    let mut wrong = right;
    wrong.insert("sasl.password".to_owned(), WRONG.to_owned());
    wrong.insert("debug".to_owned(), "security,broker,conf".to_owned());
    let refused = harness.try_open(KafkaConfig { options: wrong, ..harness.config() }).await.err();
    let Some(LogError::Unavailable(text)) = &refused else { panic!("{refused:?}") };
    assert_tells(text, &["Authentication failed"]);
    let heard = HEARD.lock().unwrap_or_else(PoisonError::into_inner);
    assert!(heard.refusals > 0, "nothing was heard");
    assert_eq!(heard.secrets, Vec::<String>::new());
}

struct Heard {
    refusals: usize,
    secrets: Vec<String>,
}

static HEARD: Mutex<Heard> = Mutex::new(Heard { refusals: 0, secrets: Vec::new() });

/// To the log of this process, whatever test writes it.
fn listen() {
    static LISTENING: Once = Once::new();
    LISTENING.call_once(|| {
        let ear = tracing_subscriber::fmt::layer().with_ansi(false).with_writer(|| Ear);
        let ours = Targets::new().with_target("upwrite_event_log", tracing::Level::TRACE);
        tracing::subscriber::set_global_default(tracing_subscriber::registry().with(ear.with_filter(ours))).unwrap();
    });
}

struct Ear;

impl io::Write for Ear {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        let text = String::from_utf8_lossy(line);
        let mut heard = HEARD.lock().unwrap_or_else(PoisonError::into_inner);
        heard.refusals += usize::from(text.contains("Authentication failed"));
        if text.contains("s3cret-") {
            heard.secrets.push(text.into_owned());
        }
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
