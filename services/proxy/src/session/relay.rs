//! Messages of the client.

use std::sync::Arc;

use bytes::Bytes;

use super::end::End;
use super::life::Session;
use super::names::{Portal, Prepared, owned, unknown};
use super::pending::{Expected, Reply};
use crate::catalog::Catalog;
use crate::classify::{Kind, SessionCommand, Statement};
use crate::error::PgError;
use crate::measure::{self, Class};
use crate::wire::{Bind, Frame, NamedObject, Parse, named_object};

impl Session {
    pub(super) async fn client_frame(&mut self, frame: Frame) -> Result<(), End> {
        if self.state.is_skipping() && !matches!(frame.tag, b'S' | b'X') {
            return Ok(());
        }
        match frame.tag {
            b'P' => self.parse(&frame),
            b'B' => self.bind(frame),
            b'D' => self.describe(&frame).await,
            b'E' => self.execute(&frame).await,
            b'C' => self.close(&frame),
            b'S' => {
                self.state.synced();
                self.server.send(&frame.raw);
                self.server.pending.push_sync();
                self.synced();
                Ok(())
            }
            b'Q' => self.query(&frame).await,
            b'F' => {
                self.relay(&frame, Expected::client(Reply::Query));
                self.synced();
                Ok(())
            }
            b'c' | b'f' => {
                self.server.send(&frame.raw);
                self.server.pending.copy_ended();
                Ok(())
            }
            b'X' => Err(End::ClientGone),
            b'H' | b'd' => {
                self.server.send(&frame.raw);
                Ok(())
            }
            tag => Err(End::Violation(PgError::fatal("08P01", format!("invalid frontend message type {tag}")))),
        }
    }

    /// A Sync: what was executed so far is a transaction of its own.
    pub(super) fn synced(&mut self) {
        self.block.synced();
        self.names.epoch += 1;
    }

    pub(super) fn relay(&mut self, frame: &Frame, expected: Expected) {
        self.server.relay(frame, expected);
    }

    /// What the SQL may do. Bytes that are not UTF-8 are replaced for that: they can only be in names and literals.
    pub(super) fn classify(&self, sql: &[u8], catalog: &Catalog) -> Arc<[Statement]> {
        self.environment.classifier.classify(&String::from_utf8_lossy(sql), catalog)
    }

    fn parse(&mut self, frame: &Frame) -> Result<(), End> {
        let mut expected = Expected::client(Reply::Parse);
        if self.has_synced_tables {
            let Parse { name, sql } = Parse::read(frame)?;
            let catalog = self.environment.catalog.current();
            let statements = self.classify(&sql, &catalog);
            let prepared = Prepared { sql: owned(&sql), generation: catalog.generation, statements };
            expected.undo = Some(self.names.define(name, prepared));
        }
        self.relay(frame, expected);
        Ok(())
    }

    fn bind(&mut self, frame: Frame) -> Result<(), End> {
        if self.has_synced_tables {
            let (portal, statement) = Bind::names(&frame)?;
            let statements = self.current_statements(&statement);
            let bind = frame.clone();
            let epoch = self.names.epoch;
            let bound = Portal { statements, bind, lost: false, result: None, epoch };
            self.names.portals.insert(owned(&portal), bound);
        }
        self.relay(&frame, Expected::client(Reply::Bind));
        Ok(())
    }

    /// The statements of a prepared name, as classified by the current catalog.
    fn current_statements(&mut self, name: &Bytes) -> Arc<[Statement]> {
        let catalog = self.environment.catalog.current();
        let Some(prepared) = self.names.statement(name) else {
            return unknown();
        };
        if prepared.generation != catalog.generation {
            prepared.generation = catalog.generation;
            prepared.statements =
                self.environment.classifier.classify(&String::from_utf8_lossy(&prepared.sql), &catalog);
        }
        prepared.statements.clone()
    }

    async fn describe(&mut self, frame: &Frame) -> Result<(), End> {
        if let NamedObject::Portal(name) = named_object(frame)?
            && let Some(portal) = self.names.portals.get(&name)
        {
            if let Some(result) = &portal.result {
                let description = result.description.raw.clone();
                if self.drain().await? {
                    self.client.send(&description);
                }
                return Ok(());
            }
            self.restore(&name);
        }
        self.relay(frame, Expected::client(Reply::Describe));
        Ok(())
    }

    /// Binds a portal again that the server lost.
    pub(super) fn restore(&mut self, name: &Bytes) {
        let Some(portal) = self.names.portals.get_mut(name).filter(|portal| portal.lost) else {
            return;
        };
        portal.lost = false;
        let bind = portal.bind.raw.clone();
        self.server.requests().rebind(name, &bind);
    }

    fn close(&mut self, frame: &Frame) -> Result<(), End> {
        match named_object(frame)? {
            NamedObject::Statement(name) => self.names.close_statement(&name),
            NamedObject::Portal(name) => {
                self.names.portals.remove(&name);
            }
        }
        self.relay(frame, Expected::client(Reply::Close));
        Ok(())
    }

    /// What the statements will do to the session once they succeed.
    pub(super) fn foresee(&mut self, statements: &[Statement]) {
        measure::statements(Class::Relayed, statements.len());
        if !self.block.open {
            self.block.executed += 1;
        }
        for statement in statements {
            match &statement.kind {
                Kind::Transaction(command) => self.block.foresee(command),
                Kind::Session(SessionCommand::DiscardAll | SessionCommand::DeallocateAll) => {
                    self.server.own.forget();
                    self.names.forget_statements();
                }
                _ => {}
            }
        }
    }
}
