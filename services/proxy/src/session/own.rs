//! The proxy's own statements on the client's connection: extended protocol, names of their own, so that the client's
//! unnamed statement and portals stay what they are.

use bytes::{BufMut as _, Bytes, BytesMut};
use rand::Rng as _;
use sha2::{Digest as _, Sha256};

use super::pending::{Expected, Pending, Reply};
use crate::wire::Side;

/// What a reply to the proxy is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Step {
    /// Nobody waits for it.
    Unattended,
    Prepare,
    Rebind,
    Begin,
    Mark,
    Savepoint,
    DescribeStatement,
    DescribePortal,
    /// The client's statement.
    Statement,
    Flush,
    FlushSynced,
    Captured,
    RollbackTo,
    Release,
    Rollback,
    Raise,
    Returning,
    Sync,
}

/// The portal that all own statements use, one after the other.
const PORTAL: &str = "_upwrite_portal";
/// The client's simple query in extended form, and the portal it runs in.
pub(super) const QUERY: &str = "_upwrite_query";
/// The statement that evaluates RETURNING again.
pub(super) const RETURNING: &str = "_upwrite_returning";

/// State of the own statements of one connection.
pub(crate) struct OwnStatements {
    /// Sent with every `dry_run()`, as a bind parameter; the database has only its hash.
    secret: String,
    /// Unguessable, so that no savepoint of the client's has this name.
    savepoint: String,
    /// Replies to Parse that are missing until all are prepared.
    missing: usize,
}

impl OwnStatements {
    pub(crate) fn new() -> Self {
        let mut random = rand::rng();
        let (secret, savepoint) = (random.random::<[u8; 24]>(), random.random::<u128>());
        Self {
            secret: secret.iter().map(|byte| format!("{byte:02x}")).collect(),
            savepoint: format!("_upwrite_{savepoint:032x}"),
            missing: STATEMENTS.len(),
        }
    }

    pub(crate) fn secret_hash(&self) -> [u8; 32] {
        Sha256::digest(self.secret.as_bytes()).into()
    }

    /// `DISCARD ALL` or `DEALLOCATE ALL` is on its way.
    pub(super) fn forget(&mut self) {
        self.missing = STATEMENTS.len();
    }

    pub(super) fn parsed(&mut self) {
        self.missing = self.missing.saturating_sub(1);
    }

    fn text(&self, step: Step) -> String {
        match step {
            Step::Begin => "begin".to_owned(),
            Step::Rollback => "rollback".to_owned(),
            Step::Savepoint => format!("savepoint {}", self.savepoint),
            Step::RollbackTo => format!("rollback to savepoint {}", self.savepoint),
            Step::Release => format!("release savepoint {}", self.savepoint),
            Step::Mark => "/* proxy.mark */ select upwrite.mark()".to_owned(),
            Step::Flush => "/* proxy.flush */ select upwrite.flush()".to_owned(),
            Step::Captured => {
                "/* proxy.dry_run */ select seq, relation, op, old, new, session from upwrite.dry_run($1)".to_owned()
            }
            Step::Raise => concat!(
                "/* proxy.raise */ do $upwrite$ begin raise exception using errcode = 'UW002', ",
                "message = 'the statement failed in Upwrite; the client has been told why'; end $upwrite$"
            )
            .to_owned(),
            Step::Unattended => {
                "/* proxy.last_mutation */ select pg_catalog.set_config('upwrite.last_mutation', $1, false)".to_owned()
            }
            Step::FlushSynced => "/* proxy.flush_synced */ select upwrite.flush_synced()".to_owned(),
            // Not among STATEMENTS.
            Step::Prepare
            | Step::Rebind
            | Step::DescribeStatement
            | Step::DescribePortal
            | Step::Statement
            | Step::Returning
            | Step::Sync => String::new(),
        }
    }
}

/// The steps that have a statement of their own.
const STATEMENTS: [Step; 11] = [
    Step::Begin,
    Step::Rollback,
    Step::Savepoint,
    Step::RollbackTo,
    Step::Release,
    Step::Mark,
    Step::Flush,
    Step::FlushSynced,
    Step::Captured,
    Step::Raise,
    Step::Unattended,
];

fn name(step: Step) -> String {
    format!("_upwrite_{step:?}").to_ascii_lowercase()
}

/// Puts requests on the wire and notes the replies they will have.
pub(super) struct Requests<'a> {
    pub(super) server: &'a mut Side,
    pub(super) pending: &'a mut Pending,
    pub(super) own: &'a OwnStatements,
}

impl Requests<'_> {
    /// Prepares the own statements unless they are prepared.
    pub(super) fn prepare(&mut self) {
        if self.own.missing == 0 {
            return;
        }
        for step in STATEMENTS {
            self.close(b'S', &name(step), Step::Prepare);
            self.parse(&name(step), self.own.text(step).as_bytes(), &[], Step::Prepare);
        }
    }

    /// One own statement. Parameters are text.
    pub(super) fn call(&mut self, step: Step, parameters: &[&[u8]]) {
        let parameters: Vec<_> = parameters.iter().map(|value| Some(Bytes::copy_from_slice(value))).collect();
        self.bind(PORTAL, &name(step), &[], &parameters, &[1], step);
        self.execute(PORTAL.as_bytes(), step);
        self.close(b'P', PORTAL, step);
    }

    /// What the dry run did, and in which session. Parsed behind the client's statement: it may have put something else
    /// under this name (SQL's `DEALLOCATE` and `PREPARE` reach it), which would be handed the secret, and believed.
    pub(super) fn read_capture(&mut self) {
        let step = Step::Captured;
        self.close(b'S', &name(step), step);
        self.parse(&name(step), self.own.text(step).as_bytes(), &[], step);
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

    /// Replies so far are wanted now.
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
