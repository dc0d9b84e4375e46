//! Where an execution begins.

use std::sync::Arc;

use bytes::Bytes;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::end::End;
use super::execution::{Attempt, CapturedStatement, Next};
use super::life::Session;
use super::names::capture;
use super::pending::{Expected, Reply};
use super::result_set::{ResultSet, complete};
use super::simple::copy_refused;
use super::span::Traced;
use crate::classify::{Kind, Statement};
use crate::error::PgError;
use crate::hold::Turn;
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
        if let [Statement { kind: Kind::Refuse(error), .. }] = &*statements {
            let error = PgError::clone(error);
            return self.refuse(error).await;
        }
        match capture(&statements) {
            Some(capture) if capture.copy && capture.known_target.is_some() => {
                return self.refuse(copy_refused()).await;
            }
            Some(capture) if !capture.copy => return self.execute_captured(&name, max_rows).await,
            _ => {}
        }
        self.restore(&name);
        self.foresee(&statements);
        self.relay(frame, Expected::statements(Reply::Execute, statements));
        Ok(())
    }

    /// Runs the statement of a portal, then serves the Execute.
    async fn execute_captured(&mut self, portal: &Bytes, max_rows: i32) -> Result<(), End> {
        // Whether this is in a block must be known, not foreseen.
        if !self.server.pending.only_prepares() && !self.drain().await? {
            return Ok(());
        }
        let Some(job) = self.job(portal, max_rows) else {
            return Ok(());
        };
        let Some(result) = self.captured(&job).await? else {
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

    /// Runs a statement dry until that leads to something. `None`: the client has read an error, and what it sends up to its next Sync is skipped.
    pub(super) async fn captured(&mut self, job: &CapturedStatement) -> Result<Option<ResultSet>, End> {
        let mut attempt = Attempt {
            started: Instant::now(),
            turn: Turn::default(),
            limits: None,
            cancel: CancellationToken::new(),
            known: job.capture.known_target.is_some(),
            again: false,
            traced: Traced::begin(&job.capture),
        };
        measure::statements(Class::Captured, 1);
        let result = loop {
            match self.attempt(job, &mut attempt).await? {
                Next::RunAgain => attempt.again = true,
                Next::Done(result) => break result,
            }
            self.server.cancel.aim_at_server();
        };
        self.server.cancel.aim_at_server();
        Ok(result)
    }

    fn job(&mut self, portal: &Bytes, max_rows: i32) -> Option<CapturedStatement> {
        let found = self.names.portals.get(portal)?;
        let capture = capture(&Arc::clone(&found.statements))?.clone();
        Some(CapturedStatement {
            portal: portal.clone(),
            bind: found.bind.clone(),
            query: None,
            capture: Box::new(capture),
            max_rows,
        })
    }
}
