//! A batch as one transaction, and what is true in memory once it has committed.

mod upkeep;

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::{Duration, Instant};

use sqlx::{Connection as _, PgConnection};
use upwrite_event_log::{EventLog, LogRecord, MutationStatus, Notifier};
use upwrite_events::{MutationId, Partition, Phase, TableName};

use crate::claims::claim_early;
use crate::columns::ColumnCache;
use crate::environment::Environment;
use crate::error::doing;
use crate::finish::Ending;
use crate::load::Start;
use crate::merge::Image;
use crate::plan::Plan;
use crate::progress::Reporter;
use crate::records::RecordUpdates;
use crate::state::State;
use crate::status::Status;
use crate::write::{WriteMode, write_at_once, write_images};
use crate::{ReconcilerError, store, traced};

/// How often a batch is repeated when another transaction was in its way, before the state is read again.
const REPEATS: u32 = 20;
const REPEAT_PAUSE: Duration = Duration::from_millis(3);

/// How a batch becomes a transaction.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum CommitMode {
    /// In one statement, in the belief that its records are new.
    AtOnce,
    Stepwise(WriteMode),
}

pub(crate) struct Reconciler {
    connection: PgConnection,
    start: Start,
    partitions: Vec<Partition>,
    columns: ColumnCache,
    log: Arc<dyn EventLog>,
    notifier: Notifier,
    reporter: Reporter,
    some_parked: bool,
    /// Behind which parked image the next round of trying begins.
    parked_after: i64,
}

impl Reconciler {
    pub(crate) fn new(connection: PgConnection, start: Start, environment: &Environment) -> Self {
        Self {
            connection,
            partitions: start.positions.keys().copied().collect(),
            columns: ColumnCache::new(environment.config.outbox),
            log: Arc::clone(&environment.log),
            notifier: environment.notifier.clone(),
            reporter: Reporter::begin(environment.config.progress.clone(), &start.positions, &start.epochs),
            start,
            // There may be parked observations too: look once.
            some_parked: true,
            parked_after: 0,
        }
    }

    pub(crate) fn some_parked(&self) -> bool {
        self.some_parked
    }

    pub(crate) fn reporter(&self) -> &Reporter {
        &self.reporter
    }

    /// Whether images are parked now that none were before.
    pub(crate) async fn reconcile(&mut self, records: Vec<LogRecord>) -> Result<bool, ReconcilerError> {
        if records.is_empty() {
            return Ok(false);
        }
        let (begun, count, parked_before) = (Instant::now(), records.len(), self.some_parked);
        let mut plan = self.start.state.plan(records);
        if !plan.unknown.is_empty() {
            plan.resolve_unknown(&store::released(&mut self.connection, &plan.unknown).await?);
        }
        self.send_dead_letters(&plan).await?;
        let _spans = traced::writes(&self.start.state, &plan);
        let (mut way, mut repeats) =
            (if plan.is_ordinary() { CommitMode::AtOnce } else { CommitMode::Stepwise(WriteMode::Fast) }, 0);
        loop {
            let committed = match way {
                CommitMode::AtOnce => self.commit_at_once(&plan).await,
                CommitMode::Stepwise(mode) => self.commit(&plan, mode).await,
            };
            let Err(error) = committed else { break };
            let refused = matches!(&error, ReconcilerError::Database { source: sqlx::Error::Database(_), .. });
            let again = error.is_contention() || (refused && way != CommitMode::Stepwise(WriteMode::Careful));
            if !again || repeats == REPEATS {
                return Err(error);
            }
            tracing::debug!(%error, repeats, "the batch is written again");
            if refused {
                // Row by row from now on: what stops one row stops no other.
                way = CommitMode::Stepwise(WriteMode::Careful);
                self.columns.forget();
            } else if way == CommitMode::AtOnce {
                way = CommitMode::Stepwise(WriteMode::Fast);
            }
            if repeats > 0 {
                tokio::time::sleep(REPEAT_PAUSE * repeats).await;
            }
            repeats += 1;
        }
        self.reporter.committed(count, begun.elapsed(), &plan.positions);
        Ok(self.some_parked && !parked_before)
    }

    /// Before the position passes them: each gets there at least once.
    async fn send_dead_letters(&self, plan: &Plan) -> Result<(), ReconcilerError> {
        for letter in &plan.dead {
            self.log.dead_letter(&letter.record).await?;
            metrics::counter!("upwrite_reconciler_dead_letters_total").increment(1);
        }
        Ok(())
    }

    /// An ordinary batch's transaction, as one statement; step by step if it takes more than one.
    async fn commit_at_once(&mut self, plan: &Plan) -> Result<(), ReconcilerError> {
        let (mut shown, mut write) = (RecordUpdates::default(), None);
        for (table, images) in by_table(&plan.images) {
            write = write_at_once(&mut self.connection, &mut self.columns, &table, &images).await?;
            if write.is_none() {
                return self.commit(plan, WriteMode::Fast).await;
            }
            images.iter().for_each(|image| shown.add(&table, image, false));
        }
        let statuses = next_statuses(&self.start.state, &plan.touched, |_, before| before);
        let ending = Ending::of_batch(plan, &self.start.state, &shown, &statuses, &self.start.epochs);
        ending.execute(&mut self.connection, write).await?;
        self.committed(statuses);
        Ok(())
    }

    /// The batch's transaction, step by step. Nothing in memory changes before it has committed.
    async fn commit(&mut self, plan: &Plan, mode: WriteMode) -> Result<(), ReconcilerError> {
        let mut tx = self.connection.begin().await.map_err(doing("beginning a batch"))?;
        claim_early(&mut tx, &plan.early_claims).await?;
        let mut parked: HashMap<MutationId, usize> = HashMap::new();
        let mut rereads = plan.rereads.clone();
        let mut some_parked = self.some_parked;
        let mut shown = RecordUpdates::default();
        for (table, images) in by_table(&plan.images) {
            let written = write_images(&mut tx, &mut self.columns, &table, &images, mode).await?;
            written.shown.iter().for_each(|(index, known)| shown.add(&table, &images[*index], *known));
            for index in written.parked {
                let image = &images[index];
                store::park(&mut tx, &table, image).await?;
                some_parked = true;
                if let Some(mutation) = image.mutation {
                    *parked.entry(mutation).or_default() += 1;
                }
            }
            for conflict in written.conflicts {
                tracing::warn!(%table, sqlstate = conflict.sqlstate, "a row was refused by the synced table");
                metrics::counter!("upwrite_reconciler_conflicts_total").increment(1);
                store::report_conflict(&mut tx, &table, &images[conflict.index], &conflict).await?;
            }
            rereads.extend(written.rereads.into_iter().map(|key| (table.clone(), key)));
        }
        store::ask_rereads(&mut tx, &rereads).await?;
        store::dead_letters(&mut tx, &plan.dead).await?;
        store::outlived(&mut tx, &plan.outlived).await?;
        let statuses = next_statuses(&self.start.state, &plan.touched, |mutation, before| {
            before + parked.get(&mutation).copied().unwrap_or_default()
        });
        let ending = Ending::of_batch(plan, &self.start.state, &shown, &statuses, &self.start.epochs);
        ending.execute(&mut tx, None).await?;
        tx.commit().await.map_err(doing("committing a batch"))?;
        for (mutation, count) in parked {
            if let Some(tracked) = self.start.state.tracked.get_mut(&mutation) {
                tracked.parked += count;
            }
        }
        self.some_parked = some_parked;
        self.committed(statuses);
        Ok(())
    }

    /// Takes over what is now true, and notifies those who wait.
    fn committed(&mut self, statuses: Vec<Status>) {
        for status in statuses {
            let mutation = MutationId(status.id);
            let tracked = self.start.state.tracked.get_mut(&mutation);
            if status.finished && tracked.as_ref().is_some_and(|tracked| !tracked.status.finished) {
                Reporter::verdict(&status);
            }
            if let Some(life) = status.lifecycle.as_ref().filter(|life| life.phase.is_finished()) {
                self.notifier.verdict(MutationStatus {
                    mutation,
                    lifecycle: life.clone(),
                    finished: status.finished,
                    released: !status.has_claims(),
                });
            }
            if status.released {
                self.start.state.tracked.remove(&mutation);
                let number = u16::try_from(status.partition).unwrap_or_default();
                if let Some(fold) = self.start.state.folds.get_mut(&number) {
                    fold.forget(mutation);
                }
            } else if let Some(tracked) = tracked {
                tracked.status = status;
            }
        }
    }
}

/// The touched mutations' rows as they will be, given how many of their images will be parked.
fn next_statuses(state: &State, touched: &[MutationId], parked: impl Fn(MutationId, usize) -> usize) -> Vec<Status> {
    let statuses = touched.iter().filter_map(|mutation| {
        let tracked = state.tracked.get(mutation)?;
        let mut status = tracked.status.clone();
        let written = parked(*mutation, tracked.parked) == 0;
        let life = status.lifecycle.as_ref()?;
        status.finished |= written && life.phase.is_finished();
        // A void is remembered for a while: its request may still come, and must then do nothing.
        status.released = written && life.is_released() && life.phase != Phase::Voided;
        Some(status)
    });
    statuses.collect()
}

/// Images by table, tables in one order for every transaction, images in the log's.
fn by_table(images: &[(TableName, Image)]) -> BTreeMap<TableName, Vec<Image>> {
    let mut tables: BTreeMap<TableName, Vec<Image>> = BTreeMap::new();
    for (table, image) in images {
        tables.entry(table.clone()).or_default().push(image.clone());
    }
    tables
}
