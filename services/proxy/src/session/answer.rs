//! What the client reads for a mutation: the rows that upstream made of it.

use bytes::Bytes;
use upwrite_events::MutationId;

use super::end::End;
use super::execution::CapturedStatement;
use super::flight_result::{Excess, FlightResult};
use super::life::Session;
use super::own::RETURNING;
use super::result_set::ResultSet;
use super::step::Step;
use crate::planning::Plan;
use crate::returning::{Reevaluation, Returning};
use crate::verdict::Success;
use crate::wire::{Bind, Malformed, data_row, fields, row_frame};

/// `text[]`.
const TEXT_ARRAY: u32 = 1009;

impl Session {
    /// The result of a mutation that upstream has applied.
    pub(super) async fn answer_mutation(
        &mut self,
        statement: &CapturedStatement,
        mut run: FlightResult,
        plan: &Plan,
        mutation: MutationId,
        success: Success,
    ) -> Result<Option<ResultSet>, End> {
        run.notices.iter().for_each(|notice| self.client.send(notice));
        if !run.rows.is_empty() {
            let evaluated =
                if success.reconciled { self.evaluate_again(statement, &run, plan, &success).await? } else { None };
            match evaluated {
                Some(rows) => run.rows = rows,
                None => {
                    if let Err(error) = replace_keys(statement, &mut run, plan, &success) {
                        // It is applied all the same, so this cannot fail; no server sends such a row.
                        tracing::error!(%error, %mutation, "the dry run's rows could not be given real keys");
                        run.rows.clear();
                    }
                }
            }
        }
        self.success_warning(&success);
        self.note_last_mutation(mutation);
        Ok(Some(ResultSet::new(run)))
    }

    /// Sets `upwrite.last_mutation`, without waiting for the reply.
    fn note_last_mutation(&mut self, mutation: MutationId) {
        self.server.requests().call(Step::LastMutation, &[mutation.to_string().as_bytes()]);
    }

    fn success_warning(&mut self, success: &Success) {
        if let Some(warning) = &success.warning {
            self.client.send(&warning.frame());
        }
    }

    /// Evaluates `RETURNING` on the rows as upstream made them. `None`: the dry run's rows must do.
    async fn evaluate_again(
        &mut self,
        statement: &CapturedStatement,
        run: &FlightResult,
        plan: &Plan,
        success: &Success,
    ) -> Result<Option<Vec<Bytes>>, End> {
        let Some(plain) = &statement.write.plain else { return Ok(None) };
        let Some(Returning::Reevaluate(again)) = &plain.returning else { return Ok(None) };
        let Some((name, keys)) = plan.returned_keys(plain.op, run.rows.len(), &success.keys) else { return Ok(None) };
        let catalog = self.environment.catalog.current();
        let Some(table) = catalog.by_name(&name) else { return Ok(None) };
        let bind = Bind::read(&statement.bind)?;
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
        // A row may have been changed or deleted since.
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

/// The dry run's rows with the keys that upstream assigned.
fn replace_keys(
    statement: &CapturedStatement,
    run: &mut FlightResult,
    plan: &Plan,
    success: &Success,
) -> Result<(), Malformed> {
    let placeholders = plan.placeholders(Some(&success.keys));
    if placeholders.is_empty() {
        return Ok(());
    }
    let shapes = run.shapes(&statement.bind)?;
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

struct Parameters {
    types: Vec<u32>,
    formats: Vec<u16>,
    values: Vec<Option<Bytes>>,
}

/// `$1`: the keys; then the client's own parameters that the list names.
fn parameters(again: &Reevaluation, bind: &Bind, types: &[u32], keys: &[String]) -> Option<Parameters> {
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_quoted() {
        assert_eq!(array_literal(&["a\"b".to_owned(), "c\\d,".to_owned()]), r#"{"a\"b","c\\d,"}"#);
    }
}
