//! The configured objects, described.

use std::sync::Arc;

use tokio::sync::Semaphore;
use upwrite_events::{ErrorClass, Failure, Outcome, TableSpec};

use super::client::{Client, RestRequest};
use super::config::{Config, ObjectConfig};
use super::describe::{Named, ObjectDescribe, table_spec};
use super::limits::CONCURRENT_DESCRIBES;
use super::refusal::{of_answer, of_missing_answer};
use crate::budget::TimeLimit;
use crate::outcome::{About, unaccounted};
use crate::{RetryRule, UpstreamError};

/// All tables, in the order of the configuration; or the first failure of a request; or all that is wrong with the
/// configuration of the objects, in one.
pub(crate) async fn discover(client: &Arc<Client>, config: &Config) -> Result<Vec<TableSpec>, UpstreamError> {
    let permits = Arc::new(Semaphore::new(CONCURRENT_DESCRIBES));
    let mut tasks = tokio::task::JoinSet::new();
    for (index, object) in config.objects.iter().enumerate() {
        let (client, permits, name) = (Arc::clone(client), Arc::clone(&permits), object.object.clone());
        let (source, timeout) = (config.source.clone(), config.request_timeout);
        tasks.spawn(async move {
            let _permit = permits.acquire().await;
            (index, describe(&client, &source, &name, timeout).await)
        });
    }
    let mut described: Vec<Option<Result<ObjectDescribe, UpstreamError>>> = vec![None; config.objects.len()];
    while let Some(joined) = tasks.join_next().await {
        if let Ok((index, result)) = joined {
            described[index] = Some(result);
        }
    }
    collect(config, described)
}

#[expect(clippy::result_large_err, reason = "the contract's error, once per start")]
fn collect(
    config: &Config,
    described: Vec<Option<Result<ObjectDescribe, UpstreamError>>>,
) -> Result<Vec<TableSpec>, UpstreamError> {
    let named = Named::new(&config.objects);
    let mut tables = Vec::new();
    let mut problems: Vec<String> = Vec::new();
    for (object, result) in config.objects.iter().zip(described) {
        match result.unwrap_or_else(|| Err(mistaken(config, "a describe was interrupted"))) {
            Ok(description) => match table_spec(&config.source, object, &named, &description) {
                Ok(table) => tables.push(table),
                Err(more) => problems.extend(more),
            },
            Err(error) if error.failure.class == ErrorClass::UnknownTable => problems.push(missing(object)),
            Err(error) => return Err(error),
        }
    }
    if problems.is_empty() { Ok(tables) } else { Err(mistaken(config, &problems.join("; "))) }
}

fn missing(object: &ObjectConfig) -> String {
    format!("object {} does not exist, or this user may not see it", object.object)
}

fn mistaken(config: &Config, problem: &str) -> UpstreamError {
    let message = format!("source \"{}\": {problem}", config.source);
    let failure = Failure::new(ErrorClass::Unsupported, Outcome::NotApplied, "0A000", message);
    UpstreamError { failure, retry: RetryRule::Never }
}

async fn describe(
    client: &Client,
    source: &str,
    object: &str,
    timeout: std::time::Duration,
) -> Result<ObjectDescribe, UpstreamError> {
    let about = About::source(source);
    let request = RestRequest::get(format!("sobjects/{object}/describe"));
    let answer = client
        .send(&request, &mut TimeLimit::of_read(timeout))
        .await
        .map_err(|error| of_missing_answer(&about, &error))?;
    if !answer.is_success() {
        return Err(of_answer(&about, &answer).0);
    }
    serde_json::from_slice(&answer.body).map_err(|_| unaccounted(&about, answer.status, "not a describe"))
}
