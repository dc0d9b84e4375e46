//! One write call: what can be sent is sent once; each row gets a result.

use std::time::Duration;

use tokio::time::Instant;
use upwrite_events::{ErrorClass, Op};

use super::super::client::{Client, RestRequest};
use super::super::limits::MAX_ROWS_PER_CALL;
use super::super::read::{ReadTime, Reading};
use super::super::record::ReadRow;
use super::super::refusal::{VendorError, may_mean_another_row, of_answer, of_missing_answer};
use super::answer::{Written, results};
use super::report::{CallFailure, about, blame, row_result};
use super::{body, chain};
use crate::budget::TimeLimit;
use crate::clock::{Clock, until_now};
use crate::http::Method;
use crate::outcome::local;
use crate::value::Unfit;
use crate::{Call, CallReport, CallRow, RowResult};

/// How often a delete of many, all or none, is sent again without rows that turned out to be gone already.
const DELETE_ROUNDS: usize = 3;

/// What a write needs.
pub(crate) struct Writing<'a> {
    pub(crate) client: &'a Client,
    pub(crate) source: &'a str,
    pub(crate) timeout: Duration,
    pub(crate) clock: &'a Clock,
}

/// What upstream replied about the rows that were sent.
struct Replies {
    written: Vec<Written>,
    /// Rows that came back in the same answer.
    seen: Option<Vec<Option<ReadRow>>>,
}

/// A row that can be sent: its place in the call and its members as JSON.
type Sendable = (usize, String);

impl Writing<'_> {
    /// Takes no longer than the request timeout, token, repetition after 401 and read-back included: the applier's
    /// lease covers that much.
    pub(crate) async fn call(&self, call: &Call<'_>) -> CallReport {
        let begun_us = (self.clock)();
        let mut limit = TimeLimit::of_write(self.timeout);
        let mut rows: Vec<Option<RowResult>> = vec![None; call.rows.len()];
        let sendable = self.prepare(call, &mut rows);
        if !sendable.is_empty() {
            match self.write(call, &sendable, &mut limit).await {
                Ok(replies) => self.account(call, &sendable, replies, limit, &mut rows).await,
                Err(CallFailure(of_rows)) => {
                    for ((index, _), error) in sendable.iter().zip(of_rows) {
                        rows[*index] = Some(RowResult::Failed(error));
                    }
                }
            }
        }
        let missing = |index: usize| {
            let about = about(self.source, call, &call.rows[index]);
            row_result(&about, &Written::Unaccounted { status: 200 }, None)
        };
        let rows = rows.into_iter().enumerate().map(|(index, row)| row.unwrap_or_else(|| missing(index))).collect();
        CallReport { rows, seen: until_now(self.clock, begun_us) }
    }

    /// Rows as JSON. Rows whose values cannot be said upstream fail here; all or none, the others with them.
    fn prepare(&self, call: &Call<'_>, rows: &mut [Option<RowResult>]) -> Vec<Sendable> {
        let mut sendable = Vec::with_capacity(call.rows.len());
        for (index, row) in call.rows.iter().enumerate() {
            let members = if call.rows.len() > MAX_ROWS_PER_CALL {
                let reason = format!("a call of more than {MAX_ROWS_PER_CALL} rows");
                Err((None, Unfit { class: ErrorClass::Bug, sqlstate: "XX000", reason }))
            } else {
                body::members(call.table, call.op, row)
            };
            match members {
                Ok(members) => sendable.push((index, members)),
                Err((column, unfit)) => {
                    let about = about(self.source, call, row);
                    rows[index] = Some(RowResult::Failed(local(&about, column.as_deref(), &unfit)));
                }
            }
        }
        if call.atomic && sendable.len() < call.rows.len() {
            let halted = Written::Refused {
                status: 200,
                errors: vec![VendorError { code: Some("PROCESSING_HALTED".to_owned()), ..VendorError::default() }],
            };
            for (index, _) in sendable.drain(..) {
                rows[index] = Some(row_result(&about(self.source, call, &call.rows[index]), &halted, None));
            }
        }
        sendable
    }

    async fn write(&self, call: &Call<'_>, rows: &[Sendable], limit: &mut TimeLimit) -> Result<Replies, CallFailure> {
        if let ([(index, members)], Op::Insert | Op::Update) = (rows, call.op) {
            let request = chain::request(self.client, call.table, call.op, &call.rows[*index], members);
            let body = self.send(call, rows, &request, limit).await?;
            let (written, seen) = chain::read(&body, call.table, call.op);
            return Ok(Replies { written: vec![written], seen: Some(vec![seen]) });
        }
        let mut written = self.collection(call, rows, limit).await?;
        for _ in 1..DELETE_ROUNDS {
            let Some(left) = self.left_to_delete(call, rows, &written) else { break };
            let again: Vec<Sendable> = left.iter().map(|place| rows[*place].clone()).collect();
            // Nothing of the first round was applied, so a failure of this one is the failure of these rows only;
            // but then the rows that are gone are reported with it, to be found gone again.
            let results = self.collection(call, &again, limit).await?;
            for (place, result) in left.into_iter().zip(results) {
                written[place] = result;
            }
        }
        Ok(Replies { written, seen: None })
    }

    async fn collection(
        &self,
        call: &Call<'_>,
        rows: &[Sendable],
        limit: &mut TimeLimit,
    ) -> Result<Vec<Written>, CallFailure> {
        let of_call: Vec<(&CallRow, &str)> =
            rows.iter().map(|(index, members)| (&call.rows[*index], members.as_str())).collect();
        let path = "composite/sobjects";
        let request = match call.op {
            Op::Insert => RestRequest::post(path, body::collection(call.table, call.op, &of_call, call.atomic)),
            Op::Update => RestRequest {
                method: Method::PATCH,
                ..RestRequest::post(path, body::collection(call.table, call.op, &of_call, call.atomic))
            },
            Op::Delete => {
                let ids: Vec<&str> = of_call.iter().map(|(row, _)| row.key.as_str()).collect();
                RestRequest::new(Method::DELETE, path)
                    .with_query("ids", ids.join(","))
                    .with_query("allOrNone", call.atomic.to_string())
            }
        };
        Ok(results(&self.send(call, rows, &request, limit).await?, rows.len()))
    }

    /// The body of a successful answer.
    async fn send(
        &self,
        call: &Call<'_>,
        rows: &[Sendable],
        request: &RestRequest,
        limit: &mut TimeLimit,
    ) -> Result<Vec<u8>, CallFailure> {
        let started = Instant::now();
        let answer = self.client.send(request, limit).await;
        let (op, object, count) = (call.op.as_str(), call.table.object.as_str(), rows.len());
        let took_ms = u64::try_from(started.elapsed().as_millis()).unwrap_or(u64::MAX);
        let abouts = rows.iter().map(|(index, _)| about(self.source, call, &call.rows[*index]));
        let of_rows = match answer {
            Ok(answer) if answer.is_success() => {
                tracing::debug!(op, object, rows = count, took_ms, "written");
                return Ok(answer.body);
            }
            Ok(answer) => {
                tracing::warn!(op, object, rows = count, took_ms, status = answer.status, "call refused");
                abouts.map(|about| of_answer(&about, &answer).0).collect()
            }
            Err(error) => {
                tracing::warn!(op, object, rows = count, took_ms, %error, "no answer");
                abouts.map(|about| of_missing_answer(&about, &error)).collect()
            }
        };
        Err(blame(call, count, CallFailure(of_rows)))
    }

    /// Places of the rows that a delete, all or none, could not delete only because others are gone already.
    fn left_to_delete(&self, call: &Call<'_>, rows: &[Sendable], written: &[Written]) -> Option<Vec<usize>> {
        if call.op != Op::Delete || !call.atomic {
            return None;
        }
        let mut left = Vec::new();
        let mut gone = 0;
        for (place, ((index, _), written)) in rows.iter().zip(written).enumerate() {
            match row_result(&about(self.source, call, &call.rows[*index]), written, None) {
                RowResult::Applied { .. } => gone += 1,
                RowResult::Failed(error) if error.failure.class == ErrorClass::Collateral => left.push(place),
                RowResult::Failed(_) => return None,
            }
        }
        (gone > 0 && !left.is_empty()).then_some(left)
    }

    /// Results of the rows that were sent, with their images.
    async fn account(
        &self,
        call: &Call<'_>,
        sent: &[Sendable],
        replies: Replies,
        limit: TimeLimit,
        rows: &mut [Option<RowResult>],
    ) {
        let time = ReadTime::Within(limit);
        let reading = Reading { client: self.client, source: self.source, table: call.table, time };
        let chained = replies.seen.is_some();
        let mut seen = match replies.seen {
            Some(seen) => seen,
            None if call.op == Op::Delete => vec![None; sent.len()],
            None => read_back(&reading, call, sent, &replies.written).await,
        };
        for (place, ((index, _), written)) in sent.iter().zip(&replies.written).enumerate() {
            let mut about = about(self.source, call, &call.rows[*index]);
            let mut result = row_result(&about, written, seen.get_mut(place).and_then(Option::take));
            if may_mean_another_row(&about, &result) {
                let found = reading.retrieve(std::slice::from_ref(&call.rows[*index].key)).await;
                about.row_exists = matches!(found.as_deref(), Ok([Some(_)]));
                result = row_result(&about, written, None);
            }
            rows[*index] = Some(result);
        }
        tracing::trace!(rows = sent.len(), chained, "accounted for");
    }
}

/// The rows as they are now; none of them if they cannot be read: that takes nothing back.
async fn read_back(
    reading: &Reading<'_>,
    call: &Call<'_>,
    sent: &[Sendable],
    written: &[Written],
) -> Vec<Option<ReadRow>> {
    let id = |(index, written): (usize, &Written)| match written {
        Written::Done { id } if call.op == Op::Insert => id.clone(),
        Written::Done { .. } => Some(call.rows[index].key.clone()),
        _ => None,
    };
    let ids: Vec<Option<String>> = sent.iter().map(|(index, _)| *index).zip(written).map(id).collect();
    let wanted: Vec<String> = ids.iter().flatten().cloned().collect();
    if wanted.is_empty() {
        return vec![None; sent.len()];
    }
    match reading.retrieve(&wanted).await {
        Ok(found) => {
            let mut found = found.into_iter();
            ids.into_iter().map(|id| id.and_then(|_| found.next().flatten())).collect()
        }
        Err(error) => {
            tracing::warn!(class = ?error.failure.class, rows = wanted.len(), "written rows cannot be read back");
            vec![None; sent.len()]
        }
    }
}
