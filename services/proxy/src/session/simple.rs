//! Simple queries.

use bytes::{BufMut as _, Bytes, BytesMut};

use super::end::End;
use super::execution::CapturedStatement;
use super::flight_result::Excess;
use super::life::Session;
use super::names::possible_write;
use super::own::QUERY;
use super::pending::{Expected, Reply};
use super::result_set::complete;
use crate::classify::{Kind, Statement};
use crate::error::PgError;
use crate::measure::{self, Class};
use crate::wire::{Body, Frame, frame};

impl Session {
    pub(super) async fn query(&mut self, message: &Frame) -> Result<(), End> {
        if !self.has_synced_tables {
            measure::statements(Class::Relayed, 1);
            self.relay(message, Expected::client(Reply::Query));
            self.synced();
            return Ok(());
        }
        let sql = message.raw.slice_ref(Body(message.body()).cstring()?);
        let statements = self.classify(&sql, &self.environment.catalog.current());
        if let Some(write) = possible_write(&statements).filter(|write| !write.copy) {
            let statement = CapturedStatement {
                portal: Bytes::from_static(QUERY.as_bytes()),
                bind: bind(),
                query: Some(sql),
                write: Box::new(write.clone()),
                max_rows: 0,
            };
            return self.query_captured(&statement).await;
        }
        if let Some(error) = refusal(&statements) {
            measure::statements(Class::Refused, 1);
            if self.drain().await? {
                self.fail(error).await?;
            }
            return self.finish_query().await;
        }
        self.foresee(&statements);
        self.relay(message, Expected::statements(Reply::Query, statements));
        self.synced();
        Ok(())
    }

    async fn query_captured(&mut self, statement: &CapturedStatement) -> Result<(), End> {
        if self.drain().await?
            && let Some(result) = self.run_captured(statement).await?
        {
            if !result.streamed() && result.has_rows() {
                self.client.send(&result.description.raw);
            }
            for row in &result.rows {
                self.client.send(row);
            }
            self.client.send(&complete(&result.tag));
        }
        self.finish_query().await
    }

    /// Ends the implicit transaction, as the end of a simple query does. If that fails, the query has failed.
    async fn finish_query(&mut self) -> Result<(), End> {
        self.synced();
        let ended = self.flight(Excess::Drop, |requests| requests.sync()).await?;
        self.state.synced();
        if let Some((_, error)) = &ended.failed {
            self.client.send(&error.raw);
        }
        let status = ended.status.unwrap_or(b'I');
        self.ready_for_query(status).await;
        self.client.send(&[b'Z', 0, 0, 0, 5, status]);
        Ok(())
    }
}

/// Why a query of several statements is not relayed. One that may reach a synced table, but need not, is relayed: if it
/// does, the veto in the database undoes it all.
fn refusal(statements: &[Statement]) -> Option<PgError> {
    statements.iter().find_map(|statement| match &statement.kind {
        Kind::Refused(error) => Some(error.clone()),
        Kind::Captured(write) if write.copy && write.known_target.is_some() => Some(copy_refused()),
        Kind::Captured(write) if write.known_target.is_some() => Some(PgError::unsupported(
            "a synced table cannot be changed by one of several statements in one query string",
            "Send each statement on its own.",
        )),
        _ => None,
    })
}

pub(super) fn copy_refused() -> PgError {
    PgError::unsupported("COPY into a synced table is not supported yet", "Use INSERT with many rows.")
}

/// No parameters, all results as text.
fn bind() -> Frame {
    let mut body = BytesMut::new();
    for name in [QUERY, QUERY] {
        body.extend_from_slice(name.as_bytes());
        body.put_u8(0);
    }
    body.extend_from_slice(&[0; 6]);
    Frame { tag: b'B', raw: frame(b'B', &body), first: true, last: true }
}
