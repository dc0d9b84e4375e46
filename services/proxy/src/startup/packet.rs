//! The messages before a session, which have no type byte.

use bytes::{Buf as _, Bytes, BytesMut};

use super::error::LoginError;
use crate::error::PgError;
use crate::wire::Body;

/// `MAX_STARTUP_PACKET_LENGTH` of PostgreSQL.
const PACKET_MAX_BYTES: usize = 10_000;
const SSL_REQUEST: u32 = 80_877_103;
const GSS_REQUEST: u32 = 80_877_104;
const CANCEL_REQUEST: u32 = 80_877_102;
/// The newest minor version of protocol 3 that the proxy speaks with clients.
const MINOR_MAX: u32 = 2;

#[derive(Debug)]
pub(super) enum Packet {
    Ssl,
    Gss,
    Cancel { pid: u32, key: Bytes },
    Startup(Startup),
}

/// A StartupMessage of protocol 3.
#[derive(Debug, Clone)]
pub(crate) struct Startup {
    /// As the client asked.
    pub(crate) minor: u32,
    pub(crate) user: String,
    pub(crate) database: String,
    /// All others, in their order, `_pq_.` options apart.
    pub(crate) parameters: Vec<(Bytes, Bytes)>,
    /// Protocol options, none of which is known here.
    pub(crate) options: Vec<String>,
}

impl Startup {
    /// What the session will be spoken in.
    pub(crate) fn minor_spoken(&self) -> u32 {
        self.minor.min(MINOR_MAX)
    }

    /// Whether the client does not get all that it asked for, which a message must say.
    pub(crate) fn must_negotiate(&self) -> bool {
        self.minor > MINOR_MAX || !self.options.is_empty()
    }

    pub(crate) fn parameter(&self, name: &str) -> Option<&[u8]> {
        self.parameters.iter().find(|(key, _)| key == name.as_bytes()).map(|(_, value)| value.as_ref())
    }
}

/// The next packet in the buffer, or `None` if it is not complete.
pub(super) fn take(buffer: &mut BytesMut) -> Result<Option<Packet>, LoginError> {
    let Some(length) = buffer.first_chunk::<4>() else {
        return Ok(None);
    };
    let length = usize::try_from(u32::from_be_bytes(*length)).unwrap_or(usize::MAX);
    if !(8..=PACKET_MAX_BYTES).contains(&length) {
        return Err(PgError::fatal("08P01", "invalid length of startup packet").into());
    }
    if buffer.len() < length {
        return Ok(None);
    }
    let mut packet = buffer.split_to(length).freeze();
    packet.advance(4);
    let code = packet.get_u32();
    match code {
        SSL_REQUEST if packet.is_empty() => Ok(Some(Packet::Ssl)),
        GSS_REQUEST if packet.is_empty() => Ok(Some(Packet::Gss)),
        CANCEL_REQUEST if packet.len() >= 8 => Ok(Some(Packet::Cancel { pid: packet.get_u32(), key: packet })),
        _ if code >> 16 == 3 => startup(code & 0xffff, &packet).map(|startup| Some(Packet::Startup(startup))),
        _ => Err(PgError::fatal(
            "0A000",
            format!(
                "unsupported frontend protocol {}.{}: server supports 3.0 to 3.{MINOR_MAX}",
                code >> 16,
                code & 0xffff
            ),
        )
        .into()),
    }
}

fn startup(minor: u32, packet: &Bytes) -> Result<Startup, LoginError> {
    let mut body = Body(packet);
    let mut startup =
        Startup { minor, user: String::new(), database: String::new(), parameters: Vec::new(), options: Vec::new() };
    loop {
        let name = body.cstring()?;
        if name.is_empty() {
            break;
        }
        let value = body.cstring()?;
        match name {
            b"user" => startup.user = text(value)?,
            b"database" => startup.database = text(value)?,
            _ if name.starts_with(b"_pq_.") => startup.options.push(String::from_utf8_lossy(name).into_owned()),
            _ => startup.parameters.push((packet.slice_ref(name), packet.slice_ref(value))),
        }
    }
    if !body.is_empty() {
        return Err(PgError::fatal("08P01", "invalid startup packet layout: expected terminator as last byte").into());
    }
    if startup.user.is_empty() {
        return Err(PgError::fatal("28000", "no PostgreSQL user name specified in startup packet").into());
    }
    if startup.database.is_empty() {
        startup.database.clone_from(&startup.user);
    }
    Ok(startup)
}

fn text(value: &[u8]) -> Result<String, LoginError> {
    let not_utf8 = |_| PgError::fatal("08P01", "user and database names must be UTF-8");
    Ok(String::from_utf8(value.to_vec()).map_err(not_utf8)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn packet(code: u32, body: &[u8]) -> BytesMut {
        let length = u32::try_from(body.len() + 8).unwrap();
        BytesMut::from(&[&length.to_be_bytes()[..], &code.to_be_bytes(), body].concat()[..])
    }

    #[test]
    fn a_startup_message_is_read() {
        let body = b"user\0ann\0_pq_.x\0on\0application_name\0t\0\0";
        let Ok(Some(Packet::Startup(startup))) = take(&mut packet(3 << 16 | 9999, body)) else {
            panic!("a startup message");
        };
        assert_eq!((startup.user.as_str(), startup.database.as_str()), ("ann", "ann"));
        assert_eq!((startup.minor_spoken(), startup.must_negotiate()), (2, true));
        assert_eq!(startup.parameter("application_name"), Some(&b"t"[..]));
    }

    #[test]
    fn what_is_no_startup_message_is_refused() {
        for bytes in [&b"GET / HTTP/1.1\r\n"[..], &[0, 0, 0, 7, 0, 3, 0, 0], &[0, 0, 0, 8, 0, 2, 0, 0]] {
            assert!(matches!(take(&mut BytesMut::from(bytes)), Err(LoginError::Refused(_))), "{bytes:?}");
        }
        for body in [&b"user\0ann\0"[..], b"user\0ann", b"\0", b"user\0ann\0\0x"] {
            assert!(matches!(take(&mut packet(3 << 16, body)), Err(LoginError::Refused(_))), "{body:?}");
        }
    }
}
