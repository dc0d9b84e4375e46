//! What a client's extended-protocol messages say. Names and SQL are bytes in the client's encoding.

use bytes::Bytes;

use super::{Body, Frame, Malformed};

#[derive(Debug, Clone)]
pub(crate) struct Parse {
    pub(crate) name: Bytes,
    pub(crate) sql: Bytes,
}

#[derive(Debug, Clone)]
pub(crate) struct Bind {
    /// Format codes of the parameters as sent: none, one for all, or one each.
    pub(crate) parameter_formats: Vec<u16>,
    pub(crate) parameters: Vec<Option<Bytes>>,
    pub(crate) result_formats: Vec<u16>,
}

/// What Describe and Close are about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum NamedObject {
    Statement(Bytes),
    Portal(Bytes),
}

impl Parse {
    pub(crate) fn read(frame: &Frame) -> Result<Self, Malformed> {
        let mut body = Body(frame.body());
        let name = frame.raw.slice_ref(body.cstring()?);
        let sql = frame.raw.slice_ref(body.cstring()?);
        Ok(Self { name, sql })
    }
}

impl Bind {
    pub(crate) fn read(frame: &Frame) -> Result<Self, Malformed> {
        let mut body = Body(frame.body());
        body.cstring()?; // portal
        body.cstring()?; // statement
        let parameter_formats = formats(&mut body)?;
        let count = body.u16()?;
        let mut parameters = Vec::new();
        for _ in 0..count {
            parameters.push(body.value()?.map(|value| frame.raw.slice_ref(value)));
        }
        let result_formats = formats(&mut body)?;
        Ok(Self { parameter_formats, parameters, result_formats })
    }

    /// Portal and statement only.
    pub(crate) fn names(frame: &Frame) -> Result<(Bytes, Bytes), Malformed> {
        let mut body = Body(frame.body());
        let portal = frame.raw.slice_ref(body.cstring()?);
        let statement = frame.raw.slice_ref(body.cstring()?);
        Ok((portal, statement))
    }

    /// The format code of parameter `index`, counted from 0.
    pub(crate) fn parameter_format(&self, index: usize) -> u16 {
        match self.parameter_formats.as_slice() {
            [] => 0,
            [all] => *all,
            each => each.get(index).copied().unwrap_or(0),
        }
    }

    /// The format code of result column `index`, counted from 0.
    pub(crate) fn result_format(&self, index: usize) -> u16 {
        match self.result_formats.as_slice() {
            [] => 0,
            [all] => *all,
            each => each.get(index).copied().unwrap_or(0),
        }
    }
}

fn formats(body: &mut Body<'_>) -> Result<Vec<u16>, Malformed> {
    let count = body.u16()?;
    (0..count).map(|_| body.u16()).collect()
}

/// Of Describe and Close.
pub(crate) fn named_object(frame: &Frame) -> Result<NamedObject, Malformed> {
    let mut body = Body(frame.body());
    let kind = body.u8()?;
    let name = frame.raw.slice_ref(body.cstring()?);
    match kind {
        b'S' => Ok(NamedObject::Statement(name)),
        b'P' => Ok(NamedObject::Portal(name)),
        _ => Err(Malformed),
    }
}
