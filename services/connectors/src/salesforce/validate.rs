//! All mistakes of a configuration at once.

use std::collections::BTreeSet;
use std::fmt;
use std::time::Duration;

use super::config::{Auth, Config, ObjectConfig};
use super::limits::MAX_ROWS_PER_CALL;
use crate::Secret;
use crate::http::check_base_url;
use crate::names::is_schema_name;

/// One mistake, with its place (e.g. `objects[1].columns`).
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{place}: {problem}")]
pub struct ConfigError {
    pub place: String,
    pub problem: String,
}

/// All mistakes of one configuration; never empty.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConfigErrors(pub Vec<ConfigError>);

impl fmt::Display for ConfigErrors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, error) in self.0.iter().enumerate() {
            let separator = if index == 0 { "" } else { "; " };
            write!(f, "{separator}{error}")?;
        }
        Ok(())
    }
}

impl std::error::Error for ConfigErrors {}

struct Mistakes(Vec<ConfigError>);

impl Mistakes {
    fn add(&mut self, place: impl Into<String>, problem: impl Into<String>) {
        self.0.push(ConfigError { place: place.into(), problem: problem.into() });
    }

    fn require(&mut self, holds: bool, place: &str, problem: &str) {
        if !holds {
            self.add(place, problem);
        }
    }
}

impl Config {
    /// Checks everything that can be checked without the network.
    pub fn validate(&self) -> Result<(), ConfigErrors> {
        let mut mistakes = Mistakes(Vec::new());
        mistakes.require(
            is_schema_name(&self.source),
            "source",
            "must be a lower-case Postgres identifier that does not start with pg_ or upwrite",
        );
        check_urls(self, &mut mistakes);
        check_auth(&self.auth, &mut mistakes);
        mistakes.require(
            is_api_version(&self.api_version),
            "api_version",
            "must look like v62.0 and be v46.0 or later",
        );
        check_objects(&self.objects, &mut mistakes);
        check_numbers(self, &mut mistakes);
        if mistakes.0.is_empty() { Ok(()) } else { Err(ConfigErrors(mistakes.0)) }
    }
}

fn check_urls(config: &Config, mistakes: &mut Mistakes) {
    if let Err(problem) = check_base_url(&config.login_url) {
        return mistakes.add("login_url", problem);
    }
    let shared = ["login.salesforce.com", "test.salesforce.com"];
    if matches!(config.auth, Auth::ClientCredentials { .. })
        && shared.iter().any(|host| config.login_url.trim_end_matches('/').ends_with(host))
    {
        mistakes.add("login_url", "client_credentials needs the My Domain host (https://….my.salesforce.com)");
    }
}

fn check_auth(auth: &Auth, mistakes: &mut Mistakes) {
    let filled = |mistakes: &mut Mistakes, place: &str, text: &str| {
        mistakes.require(!text.trim().is_empty(), place, "must not be empty");
    };
    let secret = |mistakes: &mut Mistakes, place: &str, secret: &Secret| {
        mistakes.require(!secret.is_blank(), place, "must not be empty");
    };
    match auth {
        Auth::ClientCredentials { client_id, client_secret } => {
            filled(mistakes, "auth.client_id", client_id);
            secret(mistakes, "auth.client_secret", client_secret);
        }
        Auth::RefreshToken { client_id, client_secret, refresh_token } => {
            filled(mistakes, "auth.client_id", client_id);
            if let Some(text) = client_secret {
                secret(mistakes, "auth.client_secret", text);
            }
            secret(mistakes, "auth.refresh_token", refresh_token);
        }
        Auth::JwtBearer { client_id, username, private_key_pem, .. } => {
            filled(mistakes, "auth.client_id", client_id);
            filled(mistakes, "auth.username", username);
            let key = jsonwebtoken::EncodingKey::from_rsa_pem(private_key_pem.expose().as_bytes());
            mistakes.require(key.is_ok(), "auth.private_key", "must be an RSA private key in PEM");
        }
    }
}

fn check_objects(objects: &[ObjectConfig], mistakes: &mut Mistakes) {
    mistakes.require(!objects.is_empty(), "objects", "must name at least one object");
    let mut seen = BTreeSet::new();
    for (index, object) in objects.iter().enumerate() {
        let place = format!("objects[{index}]");
        if !is_api_name(&object.object) {
            mistakes.add(format!("{place}.object"), format!("`{}` is not an API name", object.object));
        } else if !seen.insert(object.object.to_ascii_lowercase()) {
            mistakes.add(format!("{place}.object"), format!("`{}` is named twice", object.object));
        }
        if let Some(columns) = &object.columns {
            if columns.is_empty() {
                mistakes.add(format!("{place}.columns"), "must not be empty (leave it out to sync all)");
            }
            for column in columns.iter().filter(|column| !is_api_name(column)) {
                mistakes.add(format!("{place}.columns"), format!("`{column}` is not a field name"));
            }
        }
        if let Some(field) = object.idempotency_field.as_deref().filter(|field| !is_api_name(field)) {
            mistakes.add(format!("{place}.idempotency_field"), format!("`{field}` is not a field name"));
        }
    }
}

fn check_numbers(config: &Config, mistakes: &mut Mistakes) {
    let request = config.request_timeout;
    let sane = request >= Duration::from_millis(10) && request <= Duration::from_secs(600);
    mistakes.require(sane, "request_timeout", "must be between 10 ms and 10 min");
    mistakes.require(
        !config.connect_timeout.is_zero() && config.connect_timeout < request,
        "connect_timeout",
        "must be positive and shorter than request_timeout",
    );
    mistakes.require(config.late_effect >= request, "late_effect", "must not be shorter than request_timeout");
    mistakes.require((1..=MAX_ROWS_PER_CALL).contains(&config.max_batch), "max_batch", "must be between 1 and 200");
    mistakes.require((1..=1_000).contains(&config.max_concurrency), "max_concurrency", "must be between 1 and 1000");
    mistakes.require(
        config.requests_per_second.is_none_or(|rate| rate.is_finite() && rate > 0.0),
        "requests_per_second",
        "must be positive",
    );
}

/// Names that are put into SOQL and URLs as they are.
pub(crate) fn is_api_name(text: &str) -> bool {
    let starts = text.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_');
    starts && text.len() <= 100 && text.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
}

fn is_api_version(text: &str) -> bool {
    text.strip_prefix('v')
        .and_then(|rest| rest.strip_suffix(".0"))
        .and_then(|number| number.parse::<u16>().ok())
        .is_some_and(|number| (46..1_000).contains(&number))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config() -> Config {
        let auth = Auth::ClientCredentials { client_id: "id".to_owned(), client_secret: Secret::new("secret") };
        Config::new("https://acme.my.salesforce.com", auth, vec![ObjectConfig::new("Contact")])
    }

    #[test]
    fn the_defaults_are_valid() {
        assert_eq!(config().validate(), Ok(()));
    }

    #[test]
    fn all_mistakes_come_together_each_with_its_place() {
        let mut broken = config();
        broken.source = "Upwrite".to_owned();
        broken.login_url = "http://example.com".to_owned();
        broken.auth = Auth::JwtBearer {
            client_id: String::new(),
            username: " ".to_owned(),
            private_key_pem: Secret::new("no key"),
            audience: None,
        };
        broken.api_version = "62".to_owned();
        broken.objects = vec![ObjectConfig::new("Contact"), ObjectConfig::new("contact"), ObjectConfig::new("a b")];
        broken.objects[0].columns = Some(vec!["x'; --".to_owned()]);
        broken.max_batch = 201;
        broken.late_effect = Duration::from_secs(1);
        broken.requests_per_second = Some(f64::NAN);
        let places: Vec<String> = broken.validate().unwrap_err().0.into_iter().map(|error| error.place).collect();
        assert_eq!(
            places,
            [
                "source",
                "login_url",
                "auth.client_id",
                "auth.username",
                "auth.private_key",
                "api_version",
                "objects[0].columns",
                "objects[1].object",
                "objects[2].object",
                "late_effect",
                "max_batch",
                "requests_per_second",
            ]
        );
    }

    #[test]
    fn client_credentials_need_the_my_domain_host() {
        let mut broken = config();
        broken.login_url = "https://login.salesforce.com".to_owned();
        assert_eq!(broken.validate().unwrap_err().0[0].place, "login_url");
    }

    const SECTION: &str = r#"
        [sales]
        login_url = "https://acme.my.salesforce.com"
        auth = { flow = "client_credentials", client_id = "a", client_secret = { env = "PATH" } }
        objects = [{ object = "Contact" }]
    "#;

    /// What is wrong with the section, replaced in part.
    fn mistakes(replace: &str, with: &str) -> Vec<String> {
        let text = SECTION.replace(replace, with);
        let read = upwrite_settings::Document::new(&text).read(|root| Config::read("sales", &root.section("sales")));
        read.err().into_iter().flatten().map(|mistake| mistake.to_string()).collect()
    }

    #[test]
    fn unknown_keys_are_refused() {
        assert_eq!(mistakes("", ""), [""; 0]);
        let unknown = mistakes("\"Contact\" }", "\"Contact\", idempotency_feild = \"x\" }");
        assert!(unknown[0].contains("idempotency_feild: unknown key; did you mean idempotency_field?"), "{unknown:?}");
    }

    #[test]
    fn what_is_found_after_reading_has_line_and_column_too() {
        let twice = mistakes("{ object = \"Contact\" }", "{ object = \"Contact\" }, { object = \"contact\" }");
        assert_eq!(twice, ["line 5, column 55: sales.objects[1].object: `contact` is named twice"]);
        let short = mistakes("objects", "late_effect = \"1s\"\nobjects");
        assert_eq!(short, ["line 5, column 23: sales.late_effect: must not be shorter than request_timeout"]);
        let plain = mistakes("https://", "http://");
        assert!(plain[0].starts_with("line 3, column 21: sales.login_url: must begin with https://"), "{plain:?}");
        let missing = mistakes("login_url = \"https://acme.my.salesforce.com\"", "");
        assert_eq!(missing.len(), 1, "what follows from it is not said: {missing:?}");
    }
}
