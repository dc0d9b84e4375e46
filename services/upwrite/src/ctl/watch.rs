//! Mutations as they change; a server that goes away for a while is waited for.

use std::time::Duration;

use futures::StreamExt as _;
use tokio::time::Instant;
use upwrite_control::{Client, ClientConfig, ClientError, v1};

use super::exit::Failure;
use super::{mutations, page};
use crate::signals::Signals;

/// How long a server that went away is waited for.
const PATIENCE: Duration = Duration::from_secs(60);
const PAUSE: Duration = Duration::from_secs(1);

/// Until interrupted (which is success), or until the server is gone for good.
pub(super) async fn watch(
    client: Client,
    server: ClientConfig,
    filter: v1::MutationFilter,
    resume_token: String,
    json: bool,
) -> Result<(), Failure> {
    let mut signals = Signals::listen()?;
    tokio::select! {
        ended = follow(client, server, filter, resume_token, json) => ended,
        _ = signals.next() => Ok(()),
    }
}

async fn follow(
    client: Client,
    server: ClientConfig,
    filter: v1::MutationFilter,
    mut resume_token: String,
    json: bool,
) -> Result<(), Failure> {
    let mut connected = Some(client);
    let mut since = Instant::now();
    loop {
        let error = match attempt(connected.take(), &server, &filter, &mut resume_token, &mut since, json).await {
            Err(Failure::Client(ClientError::Unreachable(why))) => why,
            other => return other,
        };
        if since.elapsed() > PATIENCE {
            return Err(ClientError::Unreachable(error).into());
        }
        eprintln!("upwrite ctl: {error}; trying again");
        tokio::time::sleep(PAUSE).await;
    }
}

/// Until the stream breaks. `since`: when something was last heard.
async fn attempt(
    connected: Option<Client>,
    server: &ClientConfig,
    filter: &v1::MutationFilter,
    resume_token: &mut String,
    since: &mut Instant,
    json: bool,
) -> Result<(), Failure> {
    let mut client = match connected {
        Some(client) => client,
        None => Client::connect(server.clone()).await?,
    };
    let request = v1::WatchMutationsRequest { filter: Some(filter.clone()), resume_token: resume_token.clone() };
    let mut changes = client.watch_mutations(request).await?;
    *since = Instant::now();
    while let Some(change) = changes.next().await {
        *since = Instant::now();
        let change = change?;
        if json {
            page::print(&page::json(&change))?;
        } else if let Some(mutation) = &change.mutation {
            page::print(&mutations::line(mutation))?;
        }
        if !change.resume_token.is_empty() {
            *resume_token = change.resume_token;
        }
    }
    Err(ClientError::Unreachable("the control API ended the watch".to_owned()).into())
}
