//! What a flight brings back, put together reply by reply. Pure.

use bytes::{Bytes, BytesMut};
use upwrite_events::MAX_EVENT_BYTES;

use super::step::Step;
use crate::planning::CapturedRow;
use crate::returning::FieldShape;
use crate::wire::{Bind, Body, Frame, Malformed, command_tag, field_shapes, fields, row_frame};

/// Images of one statement that are kept: rows before and after, some of them touched more than once, of what fits one
/// mutation.
const IMAGES_MAX_BYTES: usize = 4 * MAX_EVENT_BYTES;

/// Everything that a flight brought back.
#[derive(Default)]
pub(super) struct FlightResult {
    /// Parameter types of the client's statement.
    pub(super) parameters: Vec<u32>,
    /// RowDescription or NoData.
    pub(super) description: Option<Frame>,
    pub(super) rows: Vec<Bytes>,
    pub(super) rows_bytes: usize,
    /// There were more rows than may be kept; none were kept.
    pub(super) overflow: bool,
    /// Rows were passed on to the client already.
    pub(super) streamed: bool,
    /// Text of the statement's CommandComplete.
    pub(super) tag: Option<String>,
    pub(super) images: Vec<CapturedRow>,
    images_bytes: usize,
    pub(super) mark: Option<String>,
    pub(super) session: Option<String>,
    pub(super) notices: Vec<Bytes>,
    pub(super) failed: Option<(Step, Frame)>,
    /// An earlier request failed, and the client has read the error.
    pub(super) skipped: bool,
    /// Status after the flight's own Sync.
    pub(super) status: Option<u8>,
    /// A long row that is still coming.
    pub(super) partial: BytesMut,
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

impl FlightResult {
    /// Rows that the statement counted in its tag.
    pub(super) fn counted(&self) -> u64 {
        let number = self.tag.as_deref().and_then(|tag| tag.rsplit(' ').next());
        number.and_then(|number| number.parse().ok()).unwrap_or(0)
    }

    /// Types and formats of the rows' fields, in the formats that the client's `bind` asked for.
    pub(super) fn shapes(&self, bind: &Frame) -> Result<Vec<FieldShape>, Malformed> {
        let Some(description) = self.description.as_ref().filter(|frame| frame.tag == b'T') else {
            return Ok(Vec::new());
        };
        let bind = Bind::read(bind)?;
        field_shapes(description, |index| bind.result_format(index))
    }

    /// Takes a reply to a step.
    pub(super) fn reply(&mut self, step: Step, frame: &Frame) -> Result<(), Malformed> {
        match (step, frame.tag) {
            (Step::DescribeStatement, b't') => self.parameters = parameter_types(frame)?,
            (Step::DescribePortal, b'T' | b'n') => self.description = Some(frame.clone()),
            (Step::Statement | Step::Returning, b'C') => self.tag = Some(command_tag(frame).to_owned()),
            (Step::Mark, b'D') => self.mark = Some(single_text(&self.whole(frame)?)?),
            (Step::DryRun, b'D') if self.session.is_none() => self.session = Some(session(&self.whole(frame)?)?),
            (Step::DryRun, b'D') => self.change(frame)?,
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
    pub(super) fn assemble(&mut self, frame: &Frame) -> Option<Frame> {
        if frame.is_whole() {
            return Some(frame.clone());
        }
        self.partial.extend_from_slice(&frame.raw);
        frame.last.then(|| row_frame(self.partial.split().freeze()))
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
fn image(row: &Frame) -> Result<CapturedRow, Malformed> {
    let [Some(seq), Some(relation), Some([op]), old, new, None] = fields(row)?[..] else {
        return Err(Malformed);
    };
    Ok(CapturedRow {
        seq: i64::from_be_bytes(seq.try_into().map_err(|_| Malformed)?),
        relation: u32::from_be_bytes(relation.try_into().map_err(|_| Malformed)?),
        op: *op,
        old: old.map(<[u8]>::to_vec),
        new: new.map(<[u8]>::to_vec),
    })
}
