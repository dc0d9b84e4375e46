//! The log from where it was left to given positions, as images of one table.

use std::collections::HashMap;
use std::sync::Arc;

use futures::StreamExt as _;
use sqlx::PgConnection;
use upwrite_event_log::{EventLog, LogRecord};
use upwrite_events::{Event, MutationId, Partition, Phase, Position, RecordsObserved, Stream, TableName, TableSpec};

use super::connect::copy;
use super::encode::{Layout, LogOrder, line};
use super::error::RebuildError;
use super::positions::Positions;
use super::report::ProgressSender;
use super::scan::scan;
use super::shapes::Shapes;
use crate::merge::Image;
use crate::state::{State, Tracked};

/// Encoded images in one COPY.
const COPY_BYTES: usize = 1 << 20;

/// Reads on and on; what it has read is in a temporary table.
pub(super) struct Feed {
    log: Arc<dyn EventLog>,
    table: TableName,
    pub(super) layout: Arc<Layout>,
    pub(super) shapes: Arc<Shapes>,
    specs: HashMap<TableName, TableSpec>,
    next: Positions,
    folds: HashMap<u16, Folding>,
    pub(super) events: u64,
    /// Images with a value that the column cannot hold. They are not in the live table either.
    pub(super) refused: u64,
}

/// One partition of mutations.
struct Folding {
    state: State,
    /// Times of a partition never go back here, whatever clocks did.
    at_us: i64,
}

impl Feed {
    pub(super) fn new(
        log: Arc<dyn EventLog>,
        table: TableName,
        layout: Layout,
        specs: HashMap<TableName, TableSpec>,
        starts: Positions,
    ) -> Self {
        let (layout, shapes) = (Arc::new(layout), Arc::new(Shapes::default()));
        Self { log, table, layout, shapes, specs, next: starts, folds: HashMap::new(), events: 0, refused: 0 }
    }

    /// Appends to the temporary table `into` what stands in the log before `to` and has not been read.
    pub(super) async fn advance(
        &mut self,
        connection: &mut PgConnection,
        into: &str,
        to: &Positions,
        progress: &ProgressSender,
    ) -> Result<(), RebuildError> {
        let total = super::positions::between(&self.next, to);
        let mut done = 0;
        let mut lines = Vec::new();
        for (partition, to) in to {
            let from = self.next.get(partition).copied().unwrap_or(Position::START);
            if from >= *to {
                continue;
            }
            let mut parts = self.parts(*partition, from, *to);
            while let Some(part) = parts.next().await {
                let part = part?;
                match part.loaded {
                    PartContent::Lines(mut more) => lines.append(&mut more),
                    PartContent::Records(records) => self.fold(*partition, records, &mut lines),
                }
                if lines.len() >= COPY_BYTES {
                    self.refused += copy(connection, into, &lines).await?;
                    lines.clear();
                }
                done += part.positions;
                progress.send("reading the log", Some(&self.table), done, total);
            }
            drop(parts);
            self.next.insert(*partition, *to);
        }
        self.events += done;
        self.refused += copy(connection, into, &lines).await?;
        Ok(())
    }

    fn parts(
        &self,
        partition: Partition,
        from: Position,
        to: Position,
    ) -> futures::stream::BoxStream<'static, Result<super::scan::Part<PartContent>, upwrite_event_log::LogError>> {
        if partition.stream == Stream::Mutations {
            return scan(Arc::clone(&self.log), partition, from, to, PartContent::Records).boxed();
        }
        let (table, layout, shapes) = (self.table.clone(), Arc::clone(&self.layout), Arc::clone(&self.shapes));
        let load = move |records: Vec<LogRecord>| {
            let mut lines = Vec::with_capacity(COPY_BYTES);
            for record in records {
                observed(&mut lines, &table, &layout, &shapes, record);
            }
            PartContent::Lines(lines)
        };
        scan(Arc::clone(&self.log), partition, from, to, load).boxed()
    }

    /// Outcomes count only as the fold says, so these are taken one after another.
    fn fold(&mut self, partition: Partition, records: Vec<LogRecord>, lines: &mut Vec<u8>) {
        let specs = &self.specs;
        let folding = self
            .folds
            .entry(partition.number)
            .or_insert_with(|| Folding { state: State { specs: specs.clone(), ..State::default() }, at_us: i64::MIN });
        for record in records {
            let position = record.position.0;
            folding.at_us = folding.at_us.max(record.appended_at_us);
            let plan = folding.state.plan(vec![record]);
            for (index, (_, image)) in plan.images.iter().enumerate().filter(|(_, (table, _))| *table == self.table) {
                let order = LogOrder { at_us: folding.at_us, position, index };
                line(lines, &self.layout, &self.shapes, order, image);
            }
            for mutation in plan.touched {
                forget_released(&mut folding.state, partition, mutation);
            }
        }
    }
}

/// As the reconciler does once nothing can come any more that concerns the mutation. Returns what it amounted to.
pub(super) fn forget_released(state: &mut State, partition: Partition, mutation: MutationId) -> Option<Tracked> {
    let fold = state.folds.get_mut(&partition.number)?;
    let over = fold.get(mutation).is_some_and(|life| life.is_released() && life.phase != Phase::Voided);
    over.then(|| fold.forget(mutation)).and_then(|()| state.tracked.remove(&mutation))
}

enum PartContent {
    /// Observations, encoded.
    Lines(Vec<u8>),
    /// Mutations, still to be folded.
    Records(Vec<LogRecord>),
}

fn observed(lines: &mut Vec<u8>, table: &TableName, layout: &Layout, shapes: &Shapes, record: LogRecord) {
    let (position, at_us) = (record.position.0, record.appended_at_us);
    let Ok(Event::RecordsObserved(RecordsObserved { table: of, seen, rows, .. })) = record.event else { return };
    if of != *table {
        return;
    }
    let origin = record.partition;
    for (index, row) in rows.into_iter().enumerate() {
        let image =
            Image { key: row.key, row: row.image, vendor_version: row.vendor_version, seen, mutation: None, origin };
        line(lines, layout, shapes, LogOrder { at_us, position, index }, &image);
    }
}
