//! The schema registry: ids of our schemas, and what ids of others stand for.

use std::collections::HashMap;
use std::error::Error;
use std::path::{Path, PathBuf};
use std::sync::{PoisonError, RwLock};
use std::time::Duration;

use futures::{StreamExt as _, TryStreamExt as _, stream};
use reqwest::{Certificate, Method, RequestBuilder, StatusCode};
use serde_json::{Value, json};
use upwrite_events::{EVENT_SCHEMAS, EventSchema, Stream, schema_identity, single_object_head};

use super::config::{KafkaConfig, Registry};
use super::frame::Head;

const PATIENCE: Duration = Duration::from_secs(10);
/// Before each further try at what collided with another process.
const COLLISION_PAUSES: [Duration; 4] =
    [Duration::from_millis(50), Duration::from_millis(150), Duration::from_millis(400), Duration::from_secs(1)];
/// Subjects that are looked after at the same time, at start.
const AT_ONCE: usize = 8;
/// Foreign ids that are remembered.
const MAX_REMEMBERED: usize = 4096;
const NAMESPACE: &str = "upwrite.v1.";

#[derive(Debug, Clone, thiserror::Error)]
pub(crate) enum RegistryError {
    #[error("{0}")]
    Unreachable(String),
    #[error("certificates in {path} cannot be used: {reason}")]
    Certificates { path: PathBuf, reason: String },
    /// The registry compared it with the versions that it has.
    #[error("{subject} refuses version {version} of the schema as incompatible (FULL_TRANSITIVE): {reason}")]
    Incompatible { subject: String, version: u16, reason: String },
    #[error("{request} was answered with status {status}: {body}")]
    Refused { request: String, status: u16, body: String },
}

/// What a schema id stands for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum SchemaOrigin {
    Ours(Head),
    /// In our namespace, and not one of ours.
    Newer(String),
    Foreign(String),
    Unregistered,
}

pub(crate) struct SchemaRegistry {
    registry: Registry,
    http: reqwest::Client,
    /// (topic, event, version) → id.
    ids: RwLock<HashMap<(String, &'static str, u16), u32>>,
    by_id: RwLock<HashMap<u32, SchemaOrigin>>,
}

impl SchemaRegistry {
    pub(crate) fn new(registry: Registry) -> Result<Self, RegistryError> {
        // Without a provider no client can be made. Err: there is one already.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let mut http = reqwest::Client::builder().timeout(PATIENCE).redirect(reqwest::redirect::Policy::none());
        if let Some(ca) = &registry.ca {
            http = http.tls_certs_only(certificates(ca)?);
        }
        let http = http.build().map_err(|error| RegistryError::Unreachable(with_causes(&error)))?;
        Ok(Self { registry, http, ids: RwLock::default(), by_id: RwLock::default() })
    }

    /// Registers every schema under the subjects of its topic, with FULL_TRANSITIVE compatibility.
    ///
    /// # Errors
    /// Also if a schema breaks with those that are registered.
    pub(crate) async fn register_all(&self, config: &KafkaConfig) -> Result<(), RegistryError> {
        let mut events: Vec<&'static str> = EVENT_SCHEMAS.iter().map(|schema| schema.event).collect();
        events.dedup();
        let registering: Vec<_> = events.into_iter().map(|event| self.register_event(config, event)).collect();
        stream::iter(registering).buffer_unordered(AT_ONCE).try_collect().await
    }

    /// Its versions one after another.
    async fn register_event(&self, config: &KafkaConfig, event: &'static str) -> Result<(), RegistryError> {
        let stream = if event == "RecordsObserved" { Stream::Observations } else { Stream::Mutations };
        for schema in EVENT_SCHEMAS.iter().filter(|schema| schema.event == event) {
            self.registered(&config.topic(stream), schema).await?;
        }
        Ok(())
    }

    /// The schema's id in that topic's subject; registers it unless it is.
    pub(crate) async fn registered(&self, topic: &str, schema: &EventSchema) -> Result<u32, RegistryError> {
        let key = (topic.to_owned(), schema.event, schema.version);
        if let Some(id) = self.ids.read().unwrap_or_else(PoisonError::into_inner).get(&key) {
            return Ok(*id);
        }
        let id = self.register(topic, schema).await?;
        self.ids.write().unwrap_or_else(PoisonError::into_inner).insert(key, id);
        if let Some(head) = single_object_head(schema.event, schema.version) {
            self.remember(id, SchemaOrigin::Ours(head));
        }
        Ok(id)
    }

    async fn register(&self, topic: &str, schema: &EventSchema) -> Result<u32, RegistryError> {
        // TopicRecordNameStrategy.
        let subject = format!("{topic}-{NAMESPACE}{}", schema.event);
        let path = format!("config/{subject}");
        let (status, body) = self.insist(Method::PUT, &path, json!({"compatibility": "FULL_TRANSITIVE"})).await?;
        if !status.is_success() {
            return Err(refused(&path, status, &body));
        }
        let path = format!("subjects/{subject}/versions");
        let asked = json!({"schema": schema.text, "schemaType": "AVRO"});
        let (status, body) = self.insist(Method::POST, &path, asked).await?;
        if status == StatusCode::CONFLICT {
            return Err(RegistryError::Incompatible { subject, version: schema.version, reason: shortened(&body) });
        }
        let id =
            serde_json::from_str::<Value>(&body).ok().and_then(|body| u32::try_from(body.get("id")?.as_u64()?).ok());
        match id {
            Some(id) if status.is_success() => Ok(id),
            _ => Err(refused(&path, status, &body)),
        }
    }

    /// As `ask`, again where the answer is that of a collision: all processes of a deployment may start at the same time
    /// and register the same subjects.
    async fn insist(&self, method: Method, path: &str, body: Value) -> Result<(StatusCode, String), RegistryError> {
        let mut pauses = COLLISION_PAUSES.iter();
        loop {
            let (status, answer) = self.ask(method.clone(), path, Some(body.clone())).await?;
            let collided = status == StatusCode::CONFLICT || status.is_server_error();
            match pauses.next().filter(|_| collided) {
                Some(pause) => tokio::time::sleep(*pause).await,
                None => return Ok((status, answer)),
            }
        }
    }

    /// What is known of an id without asking.
    pub(crate) fn known(&self, id: u32) -> Option<Head> {
        match self.by_id.read().unwrap_or_else(PoisonError::into_inner).get(&id) {
            Some(SchemaOrigin::Ours(head)) => Some(*head),
            _ => None,
        }
    }

    pub(crate) async fn fetch(&self, id: u32) -> Result<SchemaOrigin, RegistryError> {
        if let Some(found) = self.by_id.read().unwrap_or_else(PoisonError::into_inner).get(&id) {
            return Ok(found.clone());
        }
        let path = format!("schemas/ids/{id}");
        let (status, body) = self.ask(Method::GET, &path, None).await?;
        if status == StatusCode::NOT_FOUND {
            // Not remembered: it may be registered later.
            return Ok(SchemaOrigin::Unregistered);
        }
        if !status.is_success() {
            return Err(refused(&path, status, &body));
        }
        let text =
            serde_json::from_str::<Value>(&body).ok().and_then(|body| Some(body.get("schema")?.as_str()?.to_owned()));
        let found = identify(text.as_deref().unwrap_or_default());
        self.remember(id, found.clone());
        Ok(found)
    }

    fn remember(&self, id: u32, found: SchemaOrigin) {
        let mut by_id = self.by_id.write().unwrap_or_else(PoisonError::into_inner);
        if by_id.len() >= MAX_REMEMBERED {
            by_id.retain(|_, found| matches!(found, SchemaOrigin::Ours(_)));
        }
        by_id.insert(id, found);
    }

    async fn ask(
        &self,
        method: Method,
        path: &str,
        body: Option<Value>,
    ) -> Result<(StatusCode, String), RegistryError> {
        let unreachable = |error: reqwest::Error| RegistryError::Unreachable(with_causes(&error.without_url()));
        let url = format!("{}/{path}", self.registry.url.trim_end_matches('/'));
        let mut request: RequestBuilder = self.http.request(method, url).header("accept", "application/json");
        if let Some(user) = &self.registry.username {
            request = request.basic_auth(user, self.registry.password.as_ref());
        }
        if let Some(body) = body {
            request = request.header("content-type", "application/json").body(body.to_string());
        }
        let answer = request.send().await.map_err(unreachable)?;
        Ok((answer.status(), answer.text().await.map_err(unreachable)?))
    }
}

fn certificates(path: &Path) -> Result<Vec<Certificate>, RegistryError> {
    let unusable = |reason: String| RegistryError::Certificates { path: path.to_owned(), reason };
    let pem = std::fs::read(path).map_err(|error| unusable(error.to_string()))?;
    let certificates = Certificate::from_pem_bundle(&pem).map_err(|error| unusable(with_causes(&error)))?;
    if certificates.is_empty() {
        return Err(unusable("there are none".to_owned()));
    }
    Ok(certificates)
}

/// What is wrong with a connection is said by the innermost: reqwest itself only says that there was an error.
fn with_causes(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text.push_str(&format!(": {error}"));
        cause = error.source();
    }
    text
}

fn identify(text: &str) -> SchemaOrigin {
    let Some((name, head)) = schema_identity(text) else {
        return SchemaOrigin::Foreign("(not an Avro record)".to_owned());
    };
    let ours = |schema: &&EventSchema| single_object_head(schema.event, schema.version) == Some(head);
    match name.strip_prefix(NAMESPACE) {
        _ if EVENT_SCHEMAS.iter().any(|schema| ours(&schema)) => SchemaOrigin::Ours(head),
        Some(_) => SchemaOrigin::Newer(name),
        None => SchemaOrigin::Foreign(name),
    }
}

fn refused(request: &str, status: StatusCode, body: &str) -> RegistryError {
    RegistryError::Refused { request: request.to_owned(), status: status.as_u16(), body: shortened(body) }
}

fn shortened(body: &str) -> String {
    body.chars().take(500).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn schemas_are_known_newer_or_foreign() {
        let ours = EVENT_SCHEMAS.iter().find(|schema| schema.event == "MutationVoided").unwrap();
        assert_eq!(identify(ours.text), SchemaOrigin::Ours(single_object_head("MutationVoided", 1).unwrap()));
        let newer = r#"{"type":"record","name":"MutationVoided","namespace":"upwrite.v1","fields":[]}"#;
        assert_eq!(identify(newer), SchemaOrigin::Newer("upwrite.v1.MutationVoided".to_owned()));
        let foreign = r#"{"type":"record","name":"Order","namespace":"shop","fields":[]}"#;
        assert_eq!(identify(foreign), SchemaOrigin::Foreign("shop.Order".to_owned()));
        assert!(matches!(identify("\"string\""), SchemaOrigin::Foreign(_)));
    }
}
