//! Where events are written: the engine and how it is reached.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use upwrite_settings::{Secret, Section};

use super::file::file;

/// The log's engine. Nothing but `connect/log.rs` asks which one it is.
#[derive(Debug, Clone)]
pub enum Engine {
    Postgres,
    Kafka(Box<Kafka>),
}

#[derive(Debug, Clone)]
pub struct Kafka {
    /// `host:port,host:port`
    pub brokers: String,
    pub topic_prefix: String,
    pub replication: u16,
    pub min_insync: u16,
    pub retention: Duration,
    /// How long a submission waits to learn from the log what became of a request without an answer.
    pub settle_timeout: Duration,
    /// Base URL of a Confluent-compatible schema registry.
    pub registry: Option<Registry>,
    /// Anything that librdkafka knows.
    pub options: BTreeMap<String, Secret>,
    /// Where the token of OAUTHBEARER is. It may be renewed after this process has started: it is read when needed.
    pub token_file: Option<PathBuf>,
}

#[derive(Debug, Clone)]
pub struct Registry {
    pub url: String,
    pub username: Option<String>,
    pub password: Option<Secret>,
    /// The authority of a private certificate.
    pub ca: Option<PathBuf>,
}

/// `max_age`: of a mutation. What the log forgets must be long over.
pub(super) fn engine(root: &Section<'_, '_>, log: &Section<'_, '_>, max_age: Duration) -> Engine {
    let section = root.section("kafka");
    match log.string("engine").as_deref() {
        None | Some("postgres") => {
            if section.is_present() {
                // Read all the same: a mistake in it is one, whichever engine is chosen for now.
                kafka(&section, max_age);
            }
            Engine::Postgres
        }
        Some("kafka") => {
            if !section.is_present() {
                root.wrong("kafka", "is missing: log.engine = \"kafka\" needs to know the brokers");
            }
            Engine::Kafka(Box::new(kafka(&section, max_age)))
        }
        Some(other) => {
            log.wrong("engine", format!("{other:?} is not an engine; there are \"postgres\" and \"kafka\""));
            Engine::Postgres
        }
    }
}

fn kafka(section: &Section<'_, '_>, max_age: Duration) -> Kafka {
    let replication = section.number("replication", 1..=32i64).unwrap_or(3);
    let min_insync = section.number("min_insync", 1..=32i64).unwrap_or(if replication > 2 { 2 } else { 1 });
    if min_insync > replication {
        section.wrong("min_insync", format!("cannot be more than replication ({replication})"));
    }
    let retention = section.duration("retention").unwrap_or(Duration::from_secs(30 * 24 * 3600));
    if retention < max_age * 2 {
        section.wrong(
            "retention",
            format!(
                "must be at least twice applier.max_age ({}): unfinished mutations are read again from the log",
                humantime::format_duration(max_age)
            ),
        );
    }
    let topic_prefix = section.string("topic_prefix").unwrap_or_else(|| "upwrite".to_owned());
    let fits = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-');
    if topic_prefix.is_empty() || topic_prefix.len() > 100 || !topic_prefix.chars().all(fits) {
        section.wrong("topic_prefix", "must be 1 to 100 letters, digits, dots, dashes or underscores");
    }
    let narrow = |number: i64| u16::try_from(number).unwrap_or(1);
    Kafka {
        brokers: section.required("brokers"),
        topic_prefix,
        replication: narrow(replication),
        min_insync: narrow(min_insync),
        retention,
        settle_timeout: section.duration("settle_timeout").unwrap_or(Duration::from_secs(5)),
        registry: registry(section),
        options: options(&section.section("options")),
        token_file: token_file(&section.section("oauth")),
    }
}

fn registry(kafka: &Section<'_, '_>) -> Option<Registry> {
    let section = kafka.section("registry");
    if !section.is_present() {
        return None;
    }
    let url = section.required("url");
    if !url.is_empty() && !url.starts_with("http://") && !url.starts_with("https://") {
        section.wrong("url", "must begin with http:// or https://");
    }
    let ca = file(&section, "ca");
    if ca.is_some() && url.starts_with("http://") {
        section.wrong("ca", "is of no use unless url begins with https://");
    }
    let (username, password) = (section.string("username"), section.secret("password"));
    if password.is_some() && username.is_none() {
        section.wrong("username", "is missing: the password is not sent without one");
    }
    Some(Registry { url, username, password, ca })
}

fn token_file(oauth: &Section<'_, '_>) -> Option<PathBuf> {
    oauth.is_present().then(|| PathBuf::from(oauth.required("token_file")))
}

/// Values as strings, or secrets from elsewhere.
fn options(section: &Section<'_, '_>) -> BTreeMap<String, Secret> {
    let names = section.names();
    names.into_iter().filter_map(|name| Some((name.clone(), section.open_or_secret(&name)?))).collect()
}
