//! Settings of a Salesforce source.

use std::time::Duration;

use serde::Deserialize;

use super::secret::Secret;

/// One organisation, and what of it is synced. [`Config::new`] fills the defaults; the executable parses its own
/// file and hands durations over as such.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// Name of the source: the schema of its tables.
    #[serde(default = "default_source")]
    pub source: String,
    /// `https://login.salesforce.com`, `https://test.salesforce.com` or the My Domain host. `http://` only for
    /// loopback addresses.
    pub login_url: String,
    pub auth: Auth,
    /// REST API version, `v46.0` or later.
    #[serde(default = "default_api_version")]
    pub api_version: String,
    pub objects: Vec<ObjectConfig>,
    /// Of one request, from the start of connecting to the last byte of the answer.
    #[serde(default = "default_request_timeout")]
    pub request_timeout: Duration,
    /// Of connecting, with name look-up and TLS; shorter than `request_timeout`, so that a host that does not answer
    /// is known not to have got the request.
    #[serde(default = "default_connect_timeout")]
    pub connect_timeout: Duration,
    /// How long after it was sent a request whose answer was lost may still take effect.
    #[serde(default = "default_late_effect")]
    pub late_effect: Duration,
    /// Rows per write call, at most 200 (the vendor's limit).
    #[serde(default = "default_max_batch")]
    pub max_batch: usize,
    #[serde(default = "default_max_concurrency")]
    pub max_concurrency: usize,
    /// Requests per second over all tables of this source; none: not limited.
    #[serde(default)]
    pub requests_per_second: Option<f64>,
}

/// How access tokens are got.
#[derive(Debug, Clone, Deserialize)]
#[serde(tag = "flow", rename_all = "snake_case", deny_unknown_fields)]
pub enum Auth {
    /// Runs as the integration user of the app; only on the My Domain host.
    ClientCredentials { client_id: String, client_secret: Secret },
    RefreshToken {
        client_id: String,
        #[serde(default)]
        client_secret: Option<Secret>,
        refresh_token: Secret,
    },
    JwtBearer {
        client_id: String,
        username: String,
        /// RSA private key, PEM.
        private_key_pem: Secret,
        /// `aud` of the assertion; by default the production or test login host, whichever `login_url` belongs to.
        #[serde(default)]
        audience: Option<String>,
    },
}

/// One object to sync.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ObjectConfig {
    /// API name, e.g. `Contact`.
    pub object: String,
    /// Fields to sync, by API name or column name. `Id`, the version stamp and the idempotency field always are.
    /// None: all fields.
    #[serde(default)]
    pub columns: Option<Vec<String>>,
    /// API name of a unique text field of at least 43 characters that Upwrite fills on insert. None: a create whose
    /// answer was lost can only be searched for.
    #[serde(default)]
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
            source: default_source(),
            login_url: login_url.into(),
            auth,
            api_version: default_api_version(),
            objects,
            request_timeout: default_request_timeout(),
            connect_timeout: default_connect_timeout(),
            late_effect: default_late_effect(),
            max_batch: default_max_batch(),
            max_concurrency: default_max_concurrency(),
            requests_per_second: None,
        }
    }
}

fn default_source() -> String {
    "salesforce".to_owned()
}

fn default_api_version() -> String {
    "v62.0".to_owned()
}

fn default_request_timeout() -> Duration {
    Duration::from_secs(10)
}

fn default_connect_timeout() -> Duration {
    Duration::from_secs(5)
}

fn default_late_effect() -> Duration {
    Duration::from_secs(130)
}

fn default_max_batch() -> usize {
    super::limits::MAX_ROWS_PER_CALL
}

fn default_max_concurrency() -> usize {
    8
}
