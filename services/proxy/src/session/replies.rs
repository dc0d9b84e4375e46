//! Messages of the server: relayed, or for a step of the proxy's own.

use super::end::End;
use super::life::Session;
use super::pending::Route;
use super::step::Step;
use crate::classify::{Kind, Statement, TransactionCommand};
use crate::wire::{Frame, Incoming, command_tag};

/// SQLSTATE of the veto in the database.
const VETO: &str = "UW001";

/// Something for the proxy itself.
#[derive(Debug)]
pub(super) enum OwnReply {
    /// A reply to this step.
    Reply(Step, Frame),
    /// This step failed.
    Failed(Step, Frame),
    /// An earlier request of the client failed (it has read the error), so the server skipped the steps.
    Skipped,
    /// ReadyForQuery to a Sync of the proxy's own.
    Ready(Frame),
    /// A notice while own steps ran.
    Notice(Frame),
}

impl Session {
    pub(super) async fn incoming(&mut self, incoming: Incoming) -> Result<(), End> {
        match incoming {
            Incoming::Client(frame) => self.client_frame(frame).await,
            Incoming::Server(frame) => {
                self.server_message(frame).await;
                Ok(())
            }
        }
    }

    /// A message of the server while no step is waited for.
    pub(super) async fn server_message(&mut self, frame: Frame) {
        // Only `upwrite.last_mutation` can have a reply here.
        if let Some(OwnReply::Failed(step, error)) = self.accept(frame).await {
            tracing::warn!(?step, "a statement of the proxy's own failed");
            self.client.send(&error.raw);
            self.state.skip();
        }
    }

    /// Relays what is for the client; returns what is for the proxy.
    pub(super) async fn accept(&mut self, frame: Frame) -> Option<OwnReply> {
        let own_is_next = self.server.pending.own_is_next();
        match self.server.pending.route(&frame) {
            Route::Own { step } => return Some(OwnReply::Reply(step, frame)),
            Route::Unasked if own_is_next && frame.tag == b'N' => return Some(OwnReply::Notice(frame)),
            Route::Failed { own, dropped, skipping } => {
                for expected in dropped.into_iter().rev() {
                    if let Some(undo) = expected.undo {
                        self.names.undo(undo);
                    }
                }
                return self.failed(own, frame, skipping);
            }
            Route::Ready { own } => return self.ready(own.is_some(), frame).await,
            Route::Completed(Some((statements, which))) => {
                self.completed(&statements[which], &frame).await;
            }
            Route::Unasked if frame.tag == b'E' => self.state.end(),
            Route::Unasked | Route::Client | Route::Completed(None) => {}
        }
        self.client.send(&frame.raw);
        None
    }

    fn failed(&mut self, own: Option<Step>, frame: Frame, skipping: bool) -> Option<OwnReply> {
        if is_fatal(&frame) {
            if !self.state.hides_server_end() {
                self.state.end();
                self.client.send(&frame.raw);
            }
            return None;
        }
        match own {
            Some(step) => Some(OwnReply::Failed(step, frame)),
            None => {
                if crate::wire::error_fields(&frame).sqlstate == VETO {
                    self.refresh_catalog();
                }
                self.send_error(&frame);
                if skipping {
                    self.state.skip();
                }
                Some(OwnReply::Skipped)
            }
        }
    }

    /// A relayed statement reached a synced table: the snapshot is out of date.
    fn refresh_catalog(&self) {
        let catalog = self.environment.catalog.clone();
        tokio::spawn(async move {
            if let Err(error) = catalog.refresh().await {
                tracing::warn!(%error, "the catalog could not be read");
            }
        });
    }

    async fn ready(&mut self, own: bool, frame: Frame) -> Option<OwnReply> {
        let status = frame.body().first().copied().unwrap_or(b'I');
        if own {
            return Some(OwnReply::Ready(frame));
        }
        self.ready_for_query(status).await;
        self.client.send(&frame.raw);
        None
    }

    /// ReadyForQuery with this status is about to go to the client.
    pub(super) async fn ready_for_query(&mut self, status: u8) {
        let outlived = self.block.ready(status, !self.server.pending.has_ready());
        self.warn_outlived(outlived, "commit failed").await;
        if status == b'I' {
            self.names.transaction_ended();
        }
    }

    async fn completed(&mut self, statement: &Statement, frame: &Frame) {
        let Kind::Transaction(command) = &statement.kind else {
            return;
        };
        let outlived = self.block.completed(command, command_tag(frame));
        let reason = match command {
            TransactionCommand::RollbackTo(_) => "rollback to savepoint",
            TransactionCommand::Commit { .. } | TransactionCommand::Prepare => "commit failed",
            _ => "rollback",
        };
        self.warn_outlived(outlived, reason).await;
    }

    async fn warn_outlived(&mut self, outlived: Vec<super::block::SentMutation>, reason: &str) {
        if outlived.is_empty() {
            return;
        }
        if let Some(warning) = self.environment.submitter.outlived_rollback(&outlived, reason).await {
            self.client.send(&warning.frame());
        }
    }
}

/// After it the server closes the connection.
fn is_fatal(error: &Frame) -> bool {
    crate::wire::error_fields(error).severity == crate::error::Severity::Fatal
}
