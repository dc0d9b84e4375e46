//! Reading one source: backfills, and beside them the reads by id that the reconciler asks for. A backfill takes hours; what
//! is asked for by id keeps a conflict or an unclear image open, so neither waits for the other.
//!
//! Both may see the same record at the same time, and append in either order: merging goes by version stamp and interval,
//! not by the order of appends, and an image that overlaps another is asked for again.

use std::sync::Arc;

use sqlx::PgPool;
use tokio::time::{Instant, sleep};
use upwrite_connectors::Connector;
use upwrite_events::TableSpec;

use crate::observe::Observer;
use crate::pauses::{Pause, Pauses};
use crate::{Config, SyncerError, backfill, reread, tables};

/// All that reading one source takes.
pub(crate) struct Source {
    pub(crate) pool: PgPool,
    pub(crate) observer: Arc<Observer>,
    pub(crate) connector: Arc<dyn Connector>,
}

impl Source {
    pub(crate) fn name(&self) -> &str {
        self.connector.source()
    }

    /// Records that one read may ask for.
    pub(crate) fn keys_per_read(&self, spec: &TableSpec) -> usize {
        self.connector.capabilities(spec).keys_per_read.max(1)
    }
}

/// Reads until an error that trying again cannot help.
pub(crate) async fn read(config: &Config, source: &Source) -> Result<(), SyncerError> {
    tokio::try_join!(backfills(config, source), rereads(config, source)).map(drop)
}

/// One table after another; one that fails is passed over for a while.
async fn backfills(config: &Config, source: &Source) -> Result<(), SyncerError> {
    let (mut pauses, mut listing) = (Pauses::new(config), Pause::new(config));
    loop {
        let unfinished = match tables::unfinished(&source.pool, source.name()).await {
            Ok(specs) => {
                listing = Pause::new(config);
                specs
            }
            Err(error) => {
                note(source, "tables to backfill", error)?;
                sleep(listing.next()).await;
                continue;
            }
        };
        for spec in unfinished {
            if !pauses.is_over(&spec.name, Instant::now()) {
                continue;
            }
            match backfill::run(source, &spec).await {
                Ok(()) => pauses.end(&spec.name),
                Err(error) => {
                    note(source, &spec.name.to_string(), error)?;
                    pauses.begin(spec.name, Instant::now());
                }
            }
        }
        sleep(config.poll).await;
    }
}

/// Whatever is asked for, table by table; one that fails is passed over for a while.
async fn rereads(config: &Config, source: &Source) -> Result<(), SyncerError> {
    let (mut pauses, mut listing) = (Pauses::new(config), Pause::new(config));
    loop {
        let wanted = match reread::wanted(&source.pool, source.name()).await {
            Ok(wanted) => {
                listing = Pause::new(config);
                wanted
            }
            Err(error) => {
                note(source, "records to read again", error)?;
                sleep(listing.next()).await;
                continue;
            }
        };
        let mut more = false;
        for wanted in wanted {
            if !pauses.is_over(&wanted.spec.name, Instant::now()) {
                continue;
            }
            match reread::run(source, &wanted).await {
                Ok(()) => {
                    pauses.end(&wanted.spec.name);
                    more = true;
                }
                Err(error) => {
                    note(source, &wanted.spec.name.to_string(), error)?;
                    pauses.begin(wanted.spec.name, Instant::now());
                }
            }
        }
        if !more {
            sleep(config.poll).await;
        }
    }
}

/// Passes on what is final, and says the rest.
fn note(source: &Source, what: &str, error: SyncerError) -> Result<(), SyncerError> {
    if error.is_final() {
        return Err(error);
    }
    tracing::warn!(source = source.name(), what, %error, "reading upstream failed, trying again");
    Ok(())
}
