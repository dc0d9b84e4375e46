//! Who publishes what: the group `publisher`, whose items are the synced tables.

use std::collections::HashMap;
use std::time::Duration;

use sqlx::PgPool;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use upwrite_events::TableName;

use super::failure::RecordsError;
use super::table::RecordsPublisher;
use crate::log::kafka::config::KafkaConfig;
use crate::{Membership, MembershipEvent};

/// A publisher that was fenced while the table is still assigned to it takes it again after so long.
const REST: Duration = Duration::from_secs(5);

/// What is to be done once a table's publisher has stopped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Then {
    /// It was not stopped.
    Nothing,
    GiveBack,
    Forget,
    Again,
}

struct Publishing {
    stop: CancellationToken,
    then: Then,
}

struct Member {
    config: KafkaConfig,
    pool: PgPool,
    tables: Vec<TableName>,
    publishing: HashMap<u16, Publishing>,
    running: JoinSet<(u16, Result<(), RecordsError>)>,
}

/// Publishes the records of those tables that the membership assigns: item n is `tables[n]`, as
/// [`super::synced_tables`] lists them. `pool` logs in as `upwrite_service`.
///
/// On `shutdown` every publisher finishes the batch that it has begun.
///
/// # Errors
/// `Mismatch` if nothing can be published as configured; `Failed` if a publisher panicked.
pub async fn run_records(
    config: KafkaConfig,
    pool: PgPool,
    tables: Vec<TableName>,
    mut membership: Box<dyn Membership>,
    shutdown: CancellationToken,
) -> Result<(), RecordsError> {
    let mut member = Member { config, pool, tables, publishing: HashMap::new(), running: JoinSet::new() };
    loop {
        tokio::select! {
            () = shutdown.cancelled() => break,
            change = membership.changed() => {
                if let Some(item) = member.change(change)? {
                    membership.give_back(item).await;
                }
            }
            Some(ended) = member.running.join_next() => {
                if let Some(item) = member.ended(ended)? {
                    membership.give_back(item).await;
                }
            }
        }
    }
    for publishing in member.publishing.values_mut() {
        publishing.stop.cancel();
        publishing.then = Then::GiveBack;
    }
    while let Some(ended) = member.running.join_next().await {
        if let Some(item) = member.ended(ended)? {
            membership.give_back(item).await;
        }
    }
    Ok(())
}

impl Member {
    /// An item that can be given back at once.
    fn change(&mut self, change: MembershipEvent) -> Result<Option<u16>, RecordsError> {
        let (item, then) = match change {
            MembershipEvent::Assigned(item) => {
                match self.publishing.get_mut(&item) {
                    // The one before has not ended yet.
                    Some(publishing) => publishing.then = Then::Again,
                    None => self.begin(item)?,
                }
                return Ok(None);
            }
            MembershipEvent::Recalled(item) => (item, Then::GiveBack),
            MembershipEvent::Lost(item) => (item, Then::Forget),
        };
        let Some(publishing) = self.publishing.get_mut(&item) else {
            return Ok((then == Then::GiveBack).then_some(item));
        };
        publishing.stop.cancel();
        publishing.then = then;
        Ok(None)
    }

    fn begin(&mut self, item: u16) -> Result<(), RecordsError> {
        // Set up since this process began: a process that began later knows it.
        let Some(table) = self.tables.get(usize::from(item)).cloned() else {
            tracing::warn!(item, "an unknown table's records are not published here");
            return Ok(());
        };
        let publisher = RecordsPublisher::new(self.config.clone(), self.pool.clone(), table)?;
        let stop = CancellationToken::new();
        self.publishing.insert(item, Publishing { stop: stop.clone(), then: Then::Nothing });
        self.running.spawn(async move { (item, keep(&publisher, &stop).await) });
        Ok(())
    }

    /// The item, if it is to be given back.
    fn ended(
        &mut self,
        ended: Result<(u16, Result<(), RecordsError>), tokio::task::JoinError>,
    ) -> Result<Option<u16>, RecordsError> {
        let (item, result) = ended.map_err(|error| RecordsError::Failed(error.to_string()))?;
        result?;
        let then = self.publishing.remove(&item).map_or(Then::Forget, |publishing| publishing.then);
        match then {
            Then::GiveBack => Ok(Some(item)),
            Then::Again | Then::Nothing => self.begin(item).map(|()| None),
            Then::Forget => Ok(None),
        }
    }
}

/// As long as the table is assigned to it.
async fn keep(publisher: &RecordsPublisher, stop: &CancellationToken) -> Result<(), RecordsError> {
    loop {
        match publisher.run(stop).await {
            Err(RecordsError::Fenced(table)) => {
                tracing::warn!(%table, "somebody else publishes its records");
                tokio::select! {
                    () = tokio::time::sleep(REST) => {}
                    () = stop.cancelled() => return Ok(()),
                }
            }
            ended => return ended,
        }
    }
}
