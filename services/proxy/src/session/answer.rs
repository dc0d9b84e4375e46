//! What the client reads for a captured statement, frame by frame as PostgreSQL would have sent it.

use bytes::Bytes;
use upwrite_events::{Ack, MutationId};

use super::Session;
use super::captured::Job;
use super::end::End;
use super::flight::{Excess, Returned};
use super::names::Served;
use super::own::{RETURNING, Step};
use crate::capture::Plan;
use crate::classify::Capture;
use crate::error::PgError;
use crate::returning::{Again, FieldShape, Returning};
use crate::verdict::Success;
use crate::wire::{Bind, Malformed, data_row, field_shapes, fields, row_frame, with_count};

/// `text[]`.
const TEXT_ARRAY: u32 = 1009;

/// A statement's result.
#[derive(Debug)]
pub(super) struct Answer {
    pub(super) served: Served,
    /// Its rows have gone to the client already.
    pub(super) streamed: bool,
}

impl Session {
    /// Runs the statement of a portal, then answers the Execute.
    pub(super) async fn execute_captured(&mut self, portal: &Bytes, max_rows: i32) -> Result<(), End> {
        // Whether this is in a block must be known, not foreseen.
        if !self.pending.only_prepares() && !self.drain().await? {
            return Ok(());
        }
        let Some(job) = self.job(portal, max_rows) else {
            return Ok(());
        };
        let Some(answer) = self.captured(&job).await? else {
            return Ok(());
        };
        let streamed = answer.streamed;
        let tag = answer.served.tag.clone();
        if let Some(portal) = self.names.portals.get_mut(portal) {
            portal.served = Some(answer.served);
        }
        if streamed {
            self.link.client.send(&complete(&tag));
            return Ok(());
        }
        self.serve(portal, max_rows).await
    }

    /// Answers an Execute from the result: so many rows, then their count or PortalSuspended.
    pub(super) async fn serve(&mut self, portal: &Bytes, max_rows: i32) -> Result<(), End> {
        if !self.drain_for_answer().await? {
            return Ok(());
        }
        let Some(served) = self.names.portals.get_mut(portal).and_then(|portal| portal.served.as_mut()) else {
            return Ok(());
        };
        let client = &mut self.link.client;
        let limit = usize::try_from(max_rows).ok().filter(|limit| *limit > 0);
        let count = limit.map_or(served.rows.len(), |limit| limit.min(served.rows.len()));
        let whole = count == served.rows.len() && limit.is_none_or(|limit| count < limit);
        let first = !std::mem::replace(&mut served.begun, true);
        let rows = served.description.tag == b'T';
        for row in served.rows.drain(..count) {
            client.send(&row);
        }
        match (whole, rows, first) {
            (false, ..) => client.send(b"s\0\0\0\x04"),
            // Without rows to return, the count is of rows changed; and all at once, the tag is the statement's own.
            (true, false, true) => client.send(&complete(&served.tag)),
            (true, true, true) if limit.is_none() => client.send(&complete(&served.tag)),
            (true, ..) => client.send(&with_count(&served.tag, count)),
        }
        Ok(())
    }

    /// Replies of unattended steps need not be waited for: they are not the client's.
    async fn drain_for_answer(&mut self) -> Result<bool, End> {
        if self.pending.only_own() { Ok(!self.skipping) } else { self.drain().await }
    }

    /// The dry run's own result is the answer.
    pub(super) async fn answer_dry(&mut self, job: &Job, run: Returned) -> Result<Option<Answer>, End> {
        if run.overflow {
            return self.fail(too_large(job)).await;
        }
        run.notices.iter().for_each(|notice| self.link.client.send(notice));
        Ok(Some(answer(run)))
    }

    /// Before the append: whether the answer could be given afterwards.
    pub(super) fn check_answer(&self, job: &Job, run: &Returned, plan: &Plan) -> Result<(), PgError> {
        if run.overflow || run.streamed {
            return Err(too_large(job));
        }
        let again =
            matches!(job.capture.plain.as_ref().and_then(|plain| plain.returning.as_ref()), Some(Returning::Again(_)));
        let placeholders = plan.placeholders(None);
        if !run.rows.is_empty() && !placeholders.is_empty() && plan.session.settings.ack == Ack::Accepted {
            return Err(PgError::unsupported(
                "with upwrite.ack = accepted, keys that upstream assigns cannot be returned",
                "Leave RETURNING out, or SET upwrite.ack = 'applied'.",
            ));
        }
        if run.rows.is_empty() || again || placeholders.is_empty() {
            return Ok(());
        }
        if job.capture.hides_keys {
            return Err(Capture::refuse_hidden_keys());
        }
        let internal = |_: Malformed| PgError::error("XX000", "a row of the dry run cannot be read");
        let shapes = self.shapes(job, run).map_err(internal)?;
        for row in &run.rows {
            for (field, shape) in fields(&row_frame(row.clone())).map_err(internal)?.into_iter().zip(&shapes) {
                if let Some(field) = field {
                    placeholders.check(field, *shape)?;
                }
            }
        }
        Ok(())
    }

    pub(super) async fn answer_mutation(
        &mut self,
        job: &Job,
        mut run: Returned,
        plan: &Plan,
        mutation: MutationId,
        success: Success,
    ) -> Result<Option<Answer>, End> {
        run.notices.iter().for_each(|notice| self.link.client.send(notice));
        if !run.rows.is_empty() {
            let evaluated =
                if success.reconciled { self.evaluate_again(job, &run, plan, &success).await? } else { None };
            match evaluated {
                Some(rows) => run.rows = rows,
                None => {
                    if let Err(error) = self.replace_keys(job, &mut run, plan, &success) {
                        // Applied all the same; no server has ever sent such a row.
                        tracing::error!(%error, %mutation, "the dry run's rows could not be given real keys");
                        run.rows.clear();
                    }
                }
            }
        }
        self.success_warning(&success);
        self.note_last_mutation(mutation);
        Ok(Some(answer(run)))
    }

    fn shapes(&self, job: &Job, run: &Returned) -> Result<Vec<FieldShape>, Malformed> {
        let Some(description) = run.description.as_ref().filter(|_| run.has_row_description()) else {
            return Ok(Vec::new());
        };
        let bind = Bind::read(&job.bind)?;
        field_shapes(description, |index| bind.result_format(index))
    }

    fn replace_keys(&self, job: &Job, run: &mut Returned, plan: &Plan, success: &Success) -> Result<(), Malformed> {
        let placeholders = plan.placeholders(Some(&success.keys));
        if placeholders.is_empty() {
            return Ok(());
        }
        let shapes = self.shapes(job, run)?;
        for row in &mut run.rows {
            let frame = row_frame(row.clone());
            let values: Vec<_> = fields(&frame)?
                .into_iter()
                .zip(&shapes)
                .map(|(field, shape)| field.map(|field| placeholders.replace(field, *shape)))
                .collect();
            *row = data_row(&values);
        }
        Ok(())
    }

    /// `RETURNING` on the rows as they came to be. `None`: from the dry run's rows, then.
    async fn evaluate_again(
        &mut self,
        job: &Job,
        run: &Returned,
        plan: &Plan,
        success: &Success,
    ) -> Result<Option<Vec<Bytes>>, End> {
        let Some(plain) = &job.capture.plain else { return Ok(None) };
        let Some(Returning::Again(again)) = &plain.returning else { return Ok(None) };
        let Some((name, keys)) = plan.returned_keys(plain.op, run.rows.len(), &success.keys) else { return Ok(None) };
        let catalog = self.shared.catalog.current();
        let Some(table) = catalog.by_name(&name) else { return Ok(None) };
        let bind = Bind::read(&job.bind)?;
        let Some(parameters) = parameters(again, &bind, &run.parameters, &keys) else { return Ok(None) };
        let sql = again.sql(table);
        let in_block = self.block.open;
        let evaluated = self
            .flight(Excess::Drop, |requests| {
                if in_block {
                    requests.call(Step::Savepoint, &[]);
                }
                requests.close(b'S', RETURNING, Step::Returning);
                requests.parse(RETURNING, sql.as_bytes(), &parameters.types, Step::Returning);
                let Parameters { formats, values, .. } = &parameters;
                requests.bind(RETURNING, RETURNING, formats, values, &bind.result_formats, Step::Returning);
                requests.execute(RETURNING.as_bytes(), Step::Returning);
                requests.close(b'P', RETURNING, Step::Returning);
                if in_block {
                    requests.call(Step::Release, &[]);
                }
            })
            .await?;
        if let Some((_, error)) = &evaluated.failed {
            tracing::warn!(error = %crate::wire::error_fields(error), "RETURNING could not be evaluated again");
            self.forget_failure(in_block).await?;
            return Ok(None);
        }
        // Somebody may have changed or deleted a row since.
        let complete = !evaluated.overflow && evaluated.rows.len() == run.rows.len();
        Ok(complete.then_some(evaluated.rows))
    }

    /// The client's transaction goes on as if the step had not been.
    async fn forget_failure(&mut self, in_block: bool) -> Result<(), End> {
        self.flight(Excess::Drop, |requests| {
            requests.sync();
            if in_block {
                requests.call(Step::RollbackTo, &[]);
                requests.call(Step::Release, &[]);
            }
        })
        .await?;
        Ok(())
    }
}

struct Parameters {
    types: Vec<u32>,
    formats: Vec<u16>,
    values: Vec<Option<Bytes>>,
}

/// `$1`: the keys; then the client's own parameters that the list names.
fn parameters(again: &Again, bind: &Bind, types: &[u32], keys: &[String]) -> Option<Parameters> {
    let mut parameters =
        Parameters { types: vec![TEXT_ARRAY], formats: vec![0], values: vec![Some(Bytes::from(array_literal(keys)))] };
    for number in &again.params {
        let index = usize::from(number.checked_sub(1)?);
        parameters.types.push(*types.get(index)?);
        parameters.formats.push(bind.parameter_format(index));
        parameters.values.push(bind.parameters.get(index)?.clone());
    }
    Some(parameters)
}

fn array_literal(items: &[String]) -> String {
    let quoted = items.iter().map(|item| format!("\"{}\"", item.replace('\\', "\\\\").replace('"', "\\\"")));
    format!("{{{}}}", quoted.collect::<Vec<_>>().join(","))
}

fn answer(run: Returned) -> Answer {
    let description = run.description.unwrap_or_else(no_data);
    let served = Served { rows: run.rows.into(), tag: run.tag.unwrap_or_default(), description, begun: run.streamed };
    Answer { served, streamed: run.streamed }
}

fn no_data() -> crate::wire::Frame {
    crate::wire::Frame { tag: b'n', raw: Bytes::from_static(b"n\0\0\0\x04"), first: true, last: true }
}

/// A CommandComplete with exactly this tag.
pub(super) fn complete(tag: &str) -> Bytes {
    crate::wire::frame(b'C', format!("{tag}\0").as_bytes())
}

fn too_large(job: &Job) -> PgError {
    let error = PgError::error("54000", "the result is larger than Upwrite keeps for a statement that it captures");
    if job.max_rows > 0 {
        error.with_hint("Fetch all rows at once, or return fewer.")
    } else {
        error.with_hint("Return fewer rows or columns.")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_quoted() {
        assert_eq!(array_literal(&["a\"b".to_owned(), "c\\d,".to_owned()]), r#"{"a\"b","c\\d,"}"#);
    }
}
