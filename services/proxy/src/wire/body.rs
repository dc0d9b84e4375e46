//! Reading a message body, every step of it checked.

/// The body is not what its message type says.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("invalid message format")]
pub(crate) struct Malformed;

/// The part of a body that has not been read yet.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Body<'a>(pub(crate) &'a [u8]);

impl<'a> Body<'a> {
    pub(crate) fn bytes(&mut self, count: usize) -> Result<&'a [u8], Malformed> {
        let (head, tail) = self.0.split_at_checked(count).ok_or(Malformed)?;
        self.0 = tail;
        Ok(head)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], Malformed> {
        self.bytes(N)?.try_into().map_err(|_| Malformed)
    }

    pub(crate) fn u8(&mut self) -> Result<u8, Malformed> {
        self.array::<1>().map(|[byte]| byte)
    }

    pub(crate) fn u16(&mut self) -> Result<u16, Malformed> {
        self.array().map(u16::from_be_bytes)
    }

    pub(crate) fn u32(&mut self) -> Result<u32, Malformed> {
        self.array().map(u32::from_be_bytes)
    }

    pub(crate) fn i32(&mut self) -> Result<i32, Malformed> {
        self.array().map(i32::from_be_bytes)
    }

    /// Without its NUL. Not necessarily UTF-8: it is in the client's encoding.
    pub(crate) fn cstring(&mut self) -> Result<&'a [u8], Malformed> {
        let end = self.0.iter().position(|byte| *byte == 0).ok_or(Malformed)?;
        let text = self.bytes(end)?;
        self.u8()?;
        Ok(text)
    }

    /// A length of 32 bits, then that many bytes; -1 is NULL.
    pub(crate) fn value(&mut self) -> Result<Option<&'a [u8]>, Malformed> {
        match self.i32()? {
            -1 => Ok(None),
            length => self.bytes(usize::try_from(length).map_err(|_| Malformed)?).map(Some),
        }
    }

    pub(crate) fn is_empty(self) -> bool {
        self.0.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_is_read_beyond_the_end() {
        let mut body = Body(&[0, 0, 0, 9, 1]);
        assert_eq!(body.value(), Err(Malformed));
        assert_eq!(Body(b"abc").cstring(), Err(Malformed));
        assert_eq!(Body(&[0xff, 0xff, 0xff, 0xfe]).value(), Err(Malformed));
    }

    #[test]
    fn null_is_not_empty() {
        let mut body = Body(&[0xff, 0xff, 0xff, 0xff, 0, 0, 0, 0]);
        assert_eq!(body.value(), Ok(None));
        assert_eq!(body.value(), Ok(Some(&[][..])));
        assert!(body.is_empty());
    }
}
