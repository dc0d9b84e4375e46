//! Requests of the proxy's own, each noted with the reply that it will have.

use bytes::{BufMut as _, Bytes, BytesMut};

use super::own::{OwnStatements, PORTAL, STATEMENTS, name};
use super::pending::{Expected, Pending, Reply};
use super::step::Step;
use crate::wire::Side;

/// Puts requests on the wire and notes the replies they will have.
pub(super) struct Requests<'a> {
    pub(super) server: &'a mut Side,
    pub(super) pending: &'a mut Pending,
    pub(super) own: &'a OwnStatements,
}

impl Requests<'_> {
    /// Prepares the own statements, unless that is done.
    pub(super) fn prepare(&mut self) {
        if self.own.missing == 0 {
            return;
        }
        for step in STATEMENTS {
            self.close(b'S', name(step), Step::Prepare);
            self.parse(name(step), self.own.text(step).as_bytes(), &[], Step::Prepare);
        }
    }

    /// One own statement. Parameters are text.
    pub(super) fn call(&mut self, step: Step, parameters: &[&[u8]]) {
        let parameters: Vec<_> = parameters.iter().map(|value| Some(Bytes::copy_from_slice(value))).collect();
        self.bind(PORTAL, name(step), &[], &parameters, &[1], step);
        self.execute(PORTAL.as_bytes(), step);
        self.close(b'P', PORTAL, step);
    }

    /// What the dry run did, and in which session. Parsed behind the client's statement: it may have put something else
    /// under this name (SQL's `DEALLOCATE` and `PREPARE` reach it), which would be given the secret and whose rows would be believed.
    pub(super) fn read_dry_run(&mut self) {
        let step = Step::DryRun;
        self.close(b'S', name(step), step);
        self.parse(name(step), self.own.text(step).as_bytes(), &[], step);
        let secret = self.own.secret.clone();
        self.call(step, &[secret.as_bytes()]);
    }

    pub(super) fn parse(&mut self, name: &str, sql: &[u8], types: &[u32], step: Step) {
        self.message(b'P', Reply::Parse, step, |body| {
            put_cstring(body, name.as_bytes());
            put_cstring(body, sql);
            body.put_u16(u16::try_from(types.len()).unwrap_or(u16::MAX));
            types.iter().for_each(|oid| body.put_u32(*oid));
        });
    }

    pub(super) fn bind(
        &mut self,
        portal: &str,
        statement: &str,
        formats: &[u16],
        values: &[Option<Bytes>],
        results: &[u16],
        step: Step,
    ) {
        self.message(b'B', Reply::Bind, step, |body| {
            put_cstring(body, portal.as_bytes());
            put_cstring(body, statement.as_bytes());
            put_formats(body, formats);
            body.put_u16(u16::try_from(values.len()).unwrap_or(u16::MAX));
            for value in values {
                match value {
                    None => body.put_i32(-1),
                    Some(value) => {
                        body.put_i32(i32::try_from(value.len()).unwrap_or(i32::MAX));
                        body.extend_from_slice(value);
                    }
                }
            }
            put_formats(body, results);
        });
    }

    /// Runs a portal to its end.
    pub(super) fn execute(&mut self, portal: &[u8], step: Step) {
        self.message(b'E', Reply::Execute, step, |body| {
            put_cstring(body, portal);
            body.put_u32(0);
        });
    }

    /// `kind`: `S` statement, `P` portal.
    pub(super) fn close(&mut self, kind: u8, name: &str, step: Step) {
        self.close_bytes(kind, name.as_bytes(), step);
    }

    pub(super) fn close_bytes(&mut self, kind: u8, name: &[u8], step: Step) {
        self.message(b'C', Reply::Close, step, |body| {
            body.put_u8(kind);
            put_cstring(body, name);
        });
    }

    pub(super) fn describe(&mut self, kind: u8, name: &[u8], step: Step) {
        self.message(b'D', Reply::Describe, step, |body| {
            body.put_u8(kind);
            put_cstring(body, name);
        });
    }

    /// The client's own Bind once more.
    pub(super) fn rebind(&mut self, portal: &[u8], bind: &Bytes) {
        self.close_bytes(b'P', portal, Step::Rebind);
        self.server.send(bind);
        self.pending.push(Expected::own(Reply::Bind, Step::Rebind));
    }

    /// Asks for all replies so far.
    pub(super) fn flush(&mut self) {
        self.server.send(b"H\0\0\0\x04");
    }

    pub(super) fn sync(&mut self) {
        self.server.send(b"S\0\0\0\x04");
        self.pending.push(Expected::own(Reply::Sync, Step::Sync));
    }

    fn message(&mut self, tag: u8, reply: Reply, step: Step, fill: impl FnOnce(&mut BytesMut)) {
        let out = &mut self.server.out;
        let start = out.len();
        out.put_u8(tag);
        out.put_u32(0);
        fill(out);
        let length = u32::try_from(out.len() - start - 1).unwrap_or(u32::MAX);
        out[start + 1..start + 5].copy_from_slice(&length.to_be_bytes());
        self.pending.push(Expected::own(reply, step));
    }
}

fn put_cstring(body: &mut BytesMut, text: &[u8]) {
    body.extend_from_slice(text);
    body.put_u8(0);
}

fn put_formats(body: &mut BytesMut, formats: &[u16]) {
    body.put_u16(u16::try_from(formats.len()).unwrap_or(u16::MAX));
    formats.iter().for_each(|format| body.put_u16(*format));
}
