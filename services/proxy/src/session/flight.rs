//! Requests of the proxy's own that go out together, and what comes back.

use bytes::{Bytes, BytesMut};
use upwrite_events::MAX_EVENT_BYTES;

use super::Session;
use super::end::End;
use super::own::{Requests, Step};
use super::replies::Own;
use crate::capture::Image;
use crate::wire::{Body, Frame, Malformed, command_tag, fields, row_frame};

/// Notices of one statement that are kept.
const NOTICES_MAX: usize = 1_000;
/// Images of one statement that are kept: rows before and after, some of them touched more than once, of what fits one
/// mutation.
const IMAGES_MAX_BYTES: usize = 4 * MAX_EVENT_BYTES;

/// Everything that a flight brought back.
#[derive(Default)]
pub(super) struct Returned {
    /// Parameter types of the client's statement.
    pub(super) parameters: Vec<u32>,
    /// RowDescription or NoData.
    pub(super) description: Option<Frame>,
    pub(super) rows: Vec<Bytes>,
    rows_bytes: usize,
    /// There were more rows than may be kept; none were kept.
    pub(super) overflow: bool,
    /// Rows were passed on to the client already.
    pub(super) streamed: bool,
    /// Text of the statement's CommandComplete.
    pub(super) tag: Option<String>,
    pub(super) images: Vec<Image>,
    images_bytes: usize,
    pub(super) mark: Option<String>,
    pub(super) session: Option<String>,
    pub(super) notices: Vec<Bytes>,
    pub(super) failed: Option<(Step, Frame)>,
    /// An earlier request failed, and the client has been told.
    pub(super) skipped: bool,
    /// Status after the flight's own Sync.
    pub(super) status: Option<u8>,
    /// A long row that is still coming.
    partial: BytesMut,
}

/// What to do with rows beyond the limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Excess {
    Drop,
    /// Pass everything on as it comes.
    Stream {
        describe: bool,
    },
}

impl Returned {
    /// Rows that the statement counted in its tag.
    pub(super) fn counted(&self) -> u64 {
        let number = self.tag.as_deref().and_then(|tag| tag.rsplit(' ').next());
        number.and_then(|number| number.parse().ok()).unwrap_or(0)
    }

    pub(super) fn has_row_description(&self) -> bool {
        self.description.as_ref().is_some_and(|frame| frame.tag == b'T')
    }

    fn reply(&mut self, step: Step, frame: &Frame) -> Result<(), Malformed> {
        match (step, frame.tag) {
            (Step::DescribeStatement, b't') => self.parameters = parameter_types(frame)?,
            (Step::DescribePortal, b'T' | b'n') => self.description = Some(frame.clone()),
            (Step::Statement | Step::Returning, b'C') => self.tag = Some(command_tag(frame).to_owned()),
            (Step::Mark, b'D') => self.mark = Some(single_text(&self.whole(frame)?)?),
            (Step::Captured, b'D') if self.session.is_none() => self.session = Some(session(&self.whole(frame)?)?),
            (Step::Captured, b'D') => self.change(frame)?,
            _ => {}
        }
        Ok(())
    }

    /// A change of `upwrite.dry_run()`. Beyond the limit none are kept: the statement will be refused.
    fn change(&mut self, frame: &Frame) -> Result<(), Malformed> {
        self.images_bytes = self.images_bytes.saturating_add(frame.raw.len());
        if self.too_many_images() {
            self.images = Vec::new();
            self.partial = BytesMut::new();
        } else if let Some(row) = self.assemble(frame) {
            self.images.push(image(&row)?);
        }
        Ok(())
    }

    pub(super) fn too_many_images(&self) -> bool {
        self.images_bytes > IMAGES_MAX_BYTES
    }

    fn whole(&self, frame: &Frame) -> Result<Frame, Malformed> {
        if frame.is_whole() { Ok(frame.clone()) } else { Err(Malformed) }
    }

    /// Puts the pieces of a long row together.
    fn assemble(&mut self, frame: &Frame) -> Option<Frame> {
        if frame.is_whole() {
            return Some(frame.clone());
        }
        self.partial.extend_from_slice(&frame.raw);
        frame.last.then(|| row_frame(self.partial.split().freeze()))
    }
}

impl Session {
    /// Sends what `build` puts together, and waits for the replies to all of it.
    pub(super) async fn flight(
        &mut self,
        excess: Excess,
        build: impl FnOnce(&mut Requests<'_>),
    ) -> Result<Returned, End> {
        let mut requests = self.requests();
        build(&mut requests);
        requests.flush();
        let mut returned = Returned::default();
        while self.pending.has_own() {
            let frame = self.server_frame().await?;
            match self.accept(frame).await {
                None => {}
                Some(Own::Reply(Step::Prepare, frame)) if frame.tag == b'1' => self.own.parsed(),
                Some(Own::Reply(Step::Statement | Step::Returning, frame)) if frame.tag == b'D' => {
                    self.row(&mut returned, &frame, excess);
                }
                Some(Own::Reply(Step::Statement, frame)) if frame.tag == b'G' => {
                    // COPY in disguise; the client cannot be asked for data here.
                    self.link.server.send(b"f\0\0\0\x23COPY is not possible this way\0\0");
                }
                Some(Own::Reply(step, frame)) => returned.reply(step, &frame).map_err(|_| End::ServerGone)?,
                Some(Own::Failed(Step::Unattended, frame)) => {
                    tracing::warn!(error = %crate::wire::error_fields(&frame), "upwrite.last_mutation was not set");
                    returned.failed = Some((Step::Unattended, frame));
                }
                Some(Own::Failed(step, frame)) => {
                    if step == Step::Prepare {
                        self.own.forget();
                    }
                    returned.failed = Some((step, frame));
                }
                Some(Own::Skipped) => returned.skipped = true,
                Some(Own::Ready(frame)) => returned.status = frame.body().first().copied(),
                Some(Own::Notice(frame)) if returned.notices.len() < NOTICES_MAX => returned.notices.push(frame.raw),
                Some(Own::Notice(_)) => {}
            }
        }
        Ok(returned)
    }

    fn row(&mut self, returned: &mut Returned, frame: &Frame, excess: Excess) {
        if returned.streamed {
            self.link.client.send(&frame.raw);
            return;
        }
        returned.rows_bytes += frame.raw.len();
        if returned.overflow {
            return;
        }
        if returned.rows_bytes <= self.shared.limits.buffered_result_bytes {
            if let Some(row) = returned.assemble(frame) {
                returned.rows.push(row.raw);
            }
            return;
        }
        match excess {
            Excess::Drop => {
                returned.overflow = true;
                returned.rows = Vec::new();
                returned.partial = BytesMut::new();
            }
            Excess::Stream { describe } => {
                returned.streamed = true;
                if let Some(description) = returned.description.as_ref().filter(|_| describe) {
                    self.link.client.send(&description.raw);
                }
                for row in returned.rows.drain(..) {
                    self.link.client.send(&row);
                }
                self.link.client.send(&returned.partial.split());
                self.link.client.send(&frame.raw);
            }
        }
    }

    /// Ends the state in which the server skips. In autocommit also a transaction of the proxy's own.
    pub(super) async fn recover(&mut self, rollback: bool) -> Result<(), End> {
        self.flight(Excess::Drop, |requests| {
            requests.sync();
            if rollback {
                requests.call(Step::Rollback, &[]);
            }
        })
        .await?;
        Ok(())
    }
}

fn parameter_types(frame: &Frame) -> Result<Vec<u32>, Malformed> {
    let mut body = Body(frame.body());
    let count = body.u16()?;
    (0..count).map(|_| body.u32()).collect()
}

fn single_text(row: &Frame) -> Result<String, Malformed> {
    match fields(row)?.as_slice() {
        [Some(text)] => Ok(String::from_utf8_lossy(text).into_owned()),
        _ => Err(Malformed),
    }
}

/// The first row of `upwrite.dry_run()`.
fn session(row: &Frame) -> Result<String, Malformed> {
    match fields(row)?.as_slice() {
        [.., Some(text)] => Ok(String::from_utf8_lossy(text).into_owned()),
        _ => Err(Malformed),
    }
}

/// Every other row, in binary formats: seq int8, relation oid, op "char", old and new bytea.
fn image(row: &Frame) -> Result<Image, Malformed> {
    let [Some(seq), Some(relation), Some([op]), old, new, None] = fields(row)?[..] else {
        return Err(Malformed);
    };
    Ok(Image {
        seq: i64::from_be_bytes(seq.try_into().map_err(|_| Malformed)?),
        relation: u32::from_be_bytes(relation.try_into().map_err(|_| Malformed)?),
        op: *op,
        old: old.map(<[u8]>::to_vec),
        new: new.map(<[u8]>::to_vec),
    })
}
