//! Settings of a Salesforce source.

use std::time::Duration;

use upwrite_settings::{Secret, Section};

use super::limits::MAX_ROWS_PER_CALL;

/// One organisation, and what of it is synced. [`Config::new`] fills in the defaults.
#[derive(Debug, Clone)]
pub struct Config {
    /// Name of the source: the schema of its tables.
    pub source: String,
    /// `https://login.salesforce.com`, `https://test.salesforce.com` or the My Domain host. `http://` only for
    /// loopback addresses.
    pub login_url: String,
    pub auth: Auth,
    /// REST API version, `v46.0` or later.
    pub api_version: String,
    pub objects: Vec<ObjectConfig>,
    /// Of one request, from the start of connecting to the last byte of the answer.
    pub request_timeout: Duration,
    /// Of connecting, with name look-up and TLS; shorter than `request_timeout`, so that a host that does not answer
    /// is known not to have got the request.
    pub connect_timeout: Duration,
    /// How long after it was sent a request whose answer was lost may still take effect.
    pub late_effect: Duration,
    /// Rows per write call, at most 200 (the vendor's limit).
    pub max_batch: usize,
    pub max_concurrency: usize,
    /// Requests per second over all tables of this source; none: not limited.
    pub requests_per_second: Option<f64>,
}

/// How access tokens are got.
#[derive(Debug, Clone)]
pub enum Auth {
    /// Runs as the integration user of the app; only on the My Domain host.
    ClientCredentials {
        client_id: String,
        client_secret: Secret,
    },
    RefreshToken {
        client_id: String,
        client_secret: Option<Secret>,
        refresh_token: Secret,
    },
    JwtBearer {
        client_id: String,
        username: String,
        /// RSA private key, PEM.
        private_key_pem: Secret,
        /// `aud` of the assertion; by default the production or test login host, whichever `login_url` belongs to.
        audience: Option<String>,
    },
}

/// One object to sync.
#[derive(Debug, Clone)]
pub struct ObjectConfig {
    /// API name, e.g. `Contact`.
    pub object: String,
    /// Fields to sync, by API name or column name. `Id`, the version stamp and the idempotency field always are.
    /// None: all fields.
    pub columns: Option<Vec<String>>,
    /// API name of a unique text field of at least 43 characters that Upwrite fills on insert. None: a create whose
    /// answer was lost can only be searched for.
    pub idempotency_field: Option<String>,
}

impl ObjectConfig {
    pub fn new(object: impl Into<String>) -> Self {
        Self { object: object.into(), columns: None, idempotency_field: None }
    }

    pub fn with_idempotency_field(mut self, field: impl Into<String>) -> Self {
        self.idempotency_field = Some(field.into());
        self
    }
}

impl Config {
    pub fn new(login_url: impl Into<String>, auth: Auth, objects: Vec<ObjectConfig>) -> Self {
        Self {
            source: "salesforce".to_owned(),
            login_url: login_url.into(),
            auth,
            api_version: "v62.0".to_owned(),
            objects,
            request_timeout: Duration::from_secs(10),
            connect_timeout: Duration::from_secs(5),
            late_effect: Duration::from_secs(130),
            max_batch: MAX_ROWS_PER_CALL,
            max_concurrency: 8,
            requests_per_second: None,
        }
    }

    /// Reads a `[sources.<name>]`. Whatever is wrong is noted there; `None`: too little is right to go on.
    pub(super) fn read(name: &str, section: &Section<'_, '_>) -> Option<Self> {
        let login_url = section.required("login_url");
        let objects = section.list("objects");
        if objects.is_empty() {
            section.wrong("objects", "is missing: name the objects to sync");
        }
        let objects = objects.iter().map(ObjectConfig::read).collect();
        let auth = Auth::read(&section.section("auth"));
        let mut config = Self::new(login_url, auth?, objects);
        config.source = name.to_owned();
        if let Some(version) = section.string("api_version") {
            config.api_version = version;
        }
        if let Some(timeout) = section.duration("request_timeout") {
            config.request_timeout = timeout;
            config.connect_timeout = config.connect_timeout.min(timeout / 2);
        }
        if let Some(late_effect) = section.duration("late_effect") {
            config.late_effect = late_effect;
        }
        if let Some(rows) = section.number("max_batch", 1..=MAX_ROWS_PER_CALL as i64) {
            config.max_batch = usize::try_from(rows).unwrap_or(MAX_ROWS_PER_CALL);
        }
        if let Some(calls) = section.number("max_concurrency", 1..=1000i64) {
            config.max_concurrency = usize::try_from(calls).unwrap_or(config.max_concurrency);
        }
        config.requests_per_second = section.rate("requests_per_second");
        for mistake in config.validate().err().into_iter().flat_map(|mistakes| mistakes.0) {
            // The name is the section's own.
            let place = if mistake.place == "source" { "" } else { mistake.place.as_str() };
            section.wrong_at(place, mistake.problem);
        }
        Some(config)
    }
}

impl ObjectConfig {
    fn read(section: &Section<'_, '_>) -> Self {
        Self {
            columns: section.strings("columns"),
            idempotency_field: section.string("idempotency_field"),
            ..Self::new(section.required("object"))
        }
    }
}

impl Auth {
    fn read(section: &Section<'_, '_>) -> Option<Self> {
        let flow = section.required("flow");
        let client_id = section.required("client_id");
        Some(match flow.as_str() {
            "client_credentials" => {
                Self::ClientCredentials { client_id, client_secret: section.required_secret("client_secret") }
            }
            "refresh_token" => Self::RefreshToken {
                client_id,
                client_secret: section.secret("client_secret"),
                refresh_token: section.required_secret("refresh_token"),
            },
            "jwt_bearer" => Self::JwtBearer {
                client_id,
                username: section.required("username"),
                private_key_pem: section.required_secret("private_key"),
                audience: section.string("audience"),
            },
            _ => {
                section.wrong("flow", "must be \"client_credentials\", \"refresh_token\" or \"jwt_bearer\"");
                return None;
            }
        })
    }
}
