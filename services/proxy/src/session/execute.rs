//! Where an execution begins.

use std::sync::Arc;

use bytes::Bytes;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::end::End;
use super::execution::{CapturedStatement, Execution, Next};
use super::life::Session;
use super::names::possible_write;
use super::pending::{Expected, Reply};
use super::result_set::{ResultSet, complete};
use super::simple::copy_refused;
use super::span::StatementSpan;
use crate::classify::{Kind, Statement};
use crate::error::PgError;
use crate::hold::ClaimWait;
use crate::measure::{self, Class};
use crate::wire::{Body, Frame};

impl Session {
    /// An Execute: relayed, served from a result that is there, refused, or the beginning of a captured statement.
    pub(super) async fn execute(&mut self, frame: &Frame) -> Result<(), End> {
        let mut body = Body(frame.body());
        let name = frame.raw.slice_ref(body.cstring()?);
        let max_rows = body.i32()?;
        let Some(portal) = self.names.portals.get(&name) else {
            measure::statements(Class::Relayed, 1);
            self.block.executed += 1;
            self.relay(frame, Expected::client(Reply::Execute));
            return Ok(());
        };
        if portal.result.is_some() {
            return self.serve(&name, max_rows).await;
        }
        let statements = portal.statements.clone();
        if let [Statement { kind: Kind::Refused(error), .. }] = &*statements {
            let error = PgError::clone(error);
            return self.refuse(error).await;
        }
        match possible_write(&statements) {
            Some(write) if write.copy && write.known_target.is_some() => {
                return self.refuse(copy_refused()).await;
            }
            Some(write) if !write.copy => return self.execute_captured(&name, max_rows).await,
            _ => {}
        }
        self.restore(&name);
        self.foresee(&statements);
        self.relay(frame, Expected::statements(Reply::Execute, statements));
        Ok(())
    }

    /// Runs the captured statement of a portal, then serves the Execute.
    async fn execute_captured(&mut self, portal: &Bytes, max_rows: i32) -> Result<(), End> {
        // Whether this is in a block must be known for certain.
        if !self.server.pending.only_prepares() && !self.drain().await? {
            return Ok(());
        }
        let Some(statement) = self.captured_statement(portal, max_rows) else {
            return Ok(());
        };
        let Some(result) = self.run_captured(&statement).await? else {
            return Ok(());
        };
        let complete = result.streamed().then(|| complete(&result.tag));
        if let Some(portal) = self.names.portals.get_mut(portal) {
            portal.result = Some(result);
        }
        if let Some(complete) = complete {
            self.client.send(&complete);
            return Ok(());
        }
        self.serve(portal, max_rows).await
    }

    /// Runs a statement dry, again if its records were claimed or changed meanwhile. `None`: the client has read an error,
    /// and what it sends up to its next Sync is skipped.
    pub(super) async fn run_captured(&mut self, statement: &CapturedStatement) -> Result<Option<ResultSet>, End> {
        let mut execution = Execution {
            started: Instant::now(),
            claim_wait: ClaimWait::default(),
            limits: None,
            cancel: CancellationToken::new(),
            known: statement.write.known_target.is_some(),
            again: false,
            span: StatementSpan::begin(&statement.write),
        };
        measure::statements(Class::Captured, 1);
        let result = loop {
            match self.run_once(statement, &mut execution).await? {
                Next::RunAgain => execution.again = true,
                Next::Done(result) => break result,
            }
            self.server.cancel.aim_at_server();
        };
        self.server.cancel.aim_at_server();
        Ok(result)
    }

    fn captured_statement(&mut self, portal: &Bytes, max_rows: i32) -> Option<CapturedStatement> {
        let found = self.names.portals.get(portal)?;
        let write = possible_write(&Arc::clone(&found.statements))?.clone();
        Some(CapturedStatement {
            portal: portal.clone(),
            bind: found.bind.clone(),
            query: None,
            write: Box::new(write),
            max_rows,
        })
    }
}
