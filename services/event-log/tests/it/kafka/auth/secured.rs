//! Brokers that encrypt and ask who clients are, and what clients need for them.

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair};
use serde_json::json;
use tokio::sync::OnceCell;
use upwrite_event_log::{KafkaConfig, kafka};
use upwrite_testkit::kafka::{Broker, Certificates, Options, tool, unique_prefix};
use upwrite_testkit::until;

use crate::harness::LIMIT;

pub(crate) const USER: &str = "upwrite";
pub(crate) const STRANGER: &str = "stranger";
/// What all names of [`upwrite_testkit::kafka::unique_prefix`] begin with.
const PREFIX: &str = "t";
pub(crate) const PASSWORD: &str = "s3cret-and-right";

/// Signs certificates.
pub(crate) struct Authority {
    issuer: Issuer<'static, KeyPair>,
    pub(crate) certificate: String,
}

/// A certificate and its key, in PEM.
pub(crate) struct Signed {
    pub(crate) certificate: String,
    pub(crate) key: String,
}

impl Authority {
    pub(crate) fn new(name: &str) -> Self {
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.distinguished_name.push(DnType::CommonName, name);
        let key = KeyPair::generate().unwrap();
        let certificate = params.self_signed(&key).unwrap().pem();
        Self { issuer: Issuer::new(params, key), certificate }
    }

    /// For that host; for a client it is a name like any other.
    pub(crate) fn sign(&self, host: &str) -> Signed {
        let mut params = CertificateParams::new([host.to_owned()]).unwrap();
        params.distinguished_name.push(DnType::CommonName, host);
        let key = KeyPair::generate().unwrap();
        let certificate = params.signed_by(&key, &self.issuer).unwrap().pem();
        Signed { certificate, key: key.serialize_pem() }
    }
}

/// A broker, and who vouches for it and its clients.
pub(crate) struct Secured {
    pub(crate) broker: Broker,
    pub(crate) authority: Authority,
}

impl Secured {
    async fn start(options: impl FnOnce(&Certificates) -> Options) -> Self {
        let authority = Authority::new("authority of a test");
        let Signed { certificate, key } = authority.sign("127.0.0.1");
        let certificates = Certificates { own: certificate, key, trusted: authority.certificate.clone() };
        Self { broker: Broker::start(options(&certificates)).await, authority }
    }

    /// The one that all tests share whose clients log in by SASL.
    pub(crate) async fn sasl() -> &'static Self {
        static SHARED: OnceCell<Secured> = OnceCell::const_new();
        let options = |certificates: &Certificates| Options::sasl_ssl(certificates, &[(USER, PASSWORD)]);
        SHARED.get_or_init(|| Self::start(options)).await
    }

    /// The one that all tests share whose clients show a certificate.
    pub(crate) async fn mutual() -> &'static Self {
        static SHARED: OnceCell<Secured> = OnceCell::const_new();
        SHARED.get_or_init(|| Self::start(Options::mutual_tls)).await
    }

    /// The one that all tests share whose clients log in by SASL and may do only what they are allowed: [`USER`] what
    /// docs/operations.md asks for, [`STRANGER`] nothing.
    pub(crate) async fn guarded() -> &'static Self {
        static SHARED: OnceCell<Secured> = OnceCell::const_new();
        let users = [(USER, PASSWORD), (STRANGER, PASSWORD)];
        let options = |certificates: &Certificates| Options::sasl_ssl(certificates, &users).with_acls();
        let start = async {
            let guarded = Self::start(options).await;
            guarded.allow(&["Create", "Describe", "DescribeConfigs", "Read", "Write"], "--topic").await;
            guarded.allow(&["Describe", "Write"], "--transactional-id").await;
            guarded.allow(&["Describe"], "--group").await;
            let config = KafkaConfig {
                options: guarded.login("PLAIN"),
                topic_prefix: unique_prefix(),
                replication: 1,
                min_insync: 1,
                ..KafkaConfig::new(guarded.broker.bootstrap())
            };
            // The broker hears of what was allowed by and by.
            until(LIMIT, "the right to make a topic", || async { kafka::prepare(&config, 1, &[]).await.ok() }).await;
            guarded
        };
        SHARED.get_or_init(|| start).await
    }

    /// Allows [`USER`] something on all names that tests use.
    async fn allow(&self, operations: &[&str], resource: &str) {
        let mut command = tool("org.apache.kafka.tools.AclCommand");
        command.args(["--bootstrap-server", &self.broker.internal(), "--add", "--resource-pattern-type", "prefixed"]);
        command.args(["--allow-principal", &format!("User:{USER}"), resource, PREFIX]);
        command.args(operations.iter().flat_map(|operation| ["--operation", operation]));
        let done = tokio::task::spawn_blocking(move || command.output()).await.unwrap().unwrap();
        assert!(
            done.status.success(),
            "{}{}",
            String::from_utf8_lossy(&done.stdout),
            String::from_utf8_lossy(&done.stderr)
        );
    }

    /// Options of a client that logs in by SASL.
    pub(crate) fn login(&self, mechanism: &str) -> BTreeMap<String, String> {
        options(&[
            ("security.protocol", "sasl_ssl"),
            ("ssl.ca.pem", &self.authority.certificate),
            ("sasl.mechanism", mechanism),
            ("sasl.username", USER),
            ("sasl.password", PASSWORD),
        ])
    }
}

pub(crate) fn options(options: &[(&str, &str)]) -> BTreeMap<String, String> {
    options.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
}

/// A token that nobody has signed, which ends at that time (seconds since 1970).
pub(crate) fn token(subject: &str, ends: u64) -> String {
    let part = |part: serde_json::Value| URL_SAFE_NO_PAD.encode(part.to_string());
    format!("{}.{}.", part(json!({"alg": "none"})), part(json!({"sub": subject, "iat": 1, "exp": ends})))
}
