//! Sources, their objects, and who may use the tables.

use upwrite_connectors::salesforce;

use super::reader::Section;
use super::secret::{Secret, secret};

/// One upstream account. The name is the schema of its tables.
#[derive(Debug, Clone)]
pub enum Source {
    Salesforce(salesforce::Config),
}

impl Source {
    pub fn name(&self) -> &str {
        match self {
            Self::Salesforce(config) => &config.source,
        }
    }
}

/// What a role may do with synced tables.
#[derive(Debug, Clone)]
pub struct Grant {
    pub role: String,
    /// `source.table`.
    pub tables: Vec<String>,
    pub privileges: Vec<String>,
}

pub(super) fn sources(root: &Section<'_, '_>) -> Vec<Source> {
    let sections = root.sections("sources");
    if sections.is_empty() {
        root.wrong("sources", "is missing: name at least one source, [sources.salesforce]");
    }
    sections
        .iter()
        .filter_map(|(name, section)| match section.required("kind").as_str() {
            "salesforce" => salesforce(name, section).map(Source::Salesforce),
            "" => None,
            other => {
                section.wrong("kind", format!("{other:?} is not a kind of source; there is \"salesforce\""));
                None
            }
        })
        .collect()
}

fn salesforce(name: &str, section: &Section<'_, '_>) -> Option<salesforce::Config> {
    let login_url = section.required("login_url");
    let objects = section.list("objects");
    if objects.is_empty() {
        section.wrong("objects", "is missing: name the objects to sync");
    }
    let objects = objects.iter().map(object).collect();
    let auth = salesforce_auth(&section.section("auth"));
    let mut config = salesforce::Config::new(login_url, auth?, objects);
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
    if let Some(rows) = section.number("max_batch", 1..=200i64) {
        config.max_batch = usize::try_from(rows).unwrap_or(200);
    }
    if let Some(calls) = section.number("max_concurrency", 1..=1000i64) {
        config.max_concurrency = usize::try_from(calls).unwrap_or(8);
    }
    config.requests_per_second = section.rate("requests_per_second");
    Some(config)
}

fn object(section: &Section<'_, '_>) -> salesforce::ObjectConfig {
    let mut object = salesforce::ObjectConfig::new(section.required("object"));
    object.columns = section.strings("columns");
    object.idempotency_field = section.string("idempotency_field");
    object
}

fn salesforce_auth(section: &Section<'_, '_>) -> Option<salesforce::Auth> {
    let needed = |name: &str| -> Secret {
        let given = secret(section, name);
        if given.is_none() && !section.section(name).is_present() {
            section.wrong(name, "is missing");
        }
        given.unwrap_or_else(|| Secret::new(""))
    };
    let handed = |secret: Secret| salesforce::Secret::new(secret.expose());
    let flow = section.required("flow");
    let client_id = section.required("client_id");
    Some(match flow.as_str() {
        "client_credentials" => {
            salesforce::Auth::ClientCredentials { client_id, client_secret: handed(needed("client_secret")) }
        }
        "refresh_token" => salesforce::Auth::RefreshToken {
            client_id,
            client_secret: secret(section, "client_secret").map(handed),
            refresh_token: handed(needed("refresh_token")),
        },
        "jwt_bearer" => salesforce::Auth::JwtBearer {
            client_id,
            username: section.required("username"),
            private_key_pem: handed(needed("private_key")),
            audience: section.string("audience"),
        },
        _ => {
            section.wrong("flow", "must be \"client_credentials\", \"refresh_token\" or \"jwt_bearer\"");
            return None;
        }
    })
}

const PRIVILEGES: [&str; 5] = ["select", "insert", "update", "delete", "references"];

pub(super) fn grants(root: &Section<'_, '_>, sources: &[Source]) -> Vec<Grant> {
    root.list("grants").iter().map(|section| grant(section, sources)).collect()
}

fn grant(section: &Section<'_, '_>, sources: &[Source]) -> Grant {
    let role = section.required("role");
    if role.starts_with("upwrite_") {
        section.wrong("role", "Upwrite's own roles get nothing more");
    }
    let tables = section.strings("tables").unwrap_or_else(|| {
        section.wrong("tables", "is missing");
        vec![]
    });
    for table in &tables {
        let source = table.split_once('.').map(|(source, _)| source);
        if !sources.iter().any(|known| Some(known.name()) == source) {
            section.wrong("tables", format!("{table:?} is not source.table of a configured source"));
        }
    }
    let privileges = section.strings("privileges").unwrap_or_else(|| vec!["select".to_owned()]);
    for privilege in privileges.iter().filter(|privilege| !PRIVILEGES.contains(&privilege.as_str())) {
        section.wrong("privileges", format!("{privilege:?} is none of {}", PRIVILEGES.join(", ")));
    }
    Grant { role, tables, privileges }
}
