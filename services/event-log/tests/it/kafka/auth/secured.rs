//! Brokers that encrypt and ask who clients are, and what clients need for them.

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair};
use serde_json::json;
use tokio::sync::OnceCell;
use upwrite_testkit::kafka::{Broker, Certificates, Options};

pub(crate) const USER: &str = "upwrite";
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
