//! Free TCP ports.

use std::net::TcpListener;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU16, Ordering};

use crate::Error;

/// Below the range from which Linux takes the local ports of outgoing connections (32768 and up): a port in that
/// range may be gone when a killed server wants it back.
const FIRST: u16 = 20_000;
const COUNT: u16 = 12_000;

/// A TCP port on 127.0.0.1 that nobody listens on. Never the same one twice in a process; other processes start
/// their search elsewhere.
///
/// # Errors
/// `NoPort` if all are taken.
pub fn free_port() -> Result<u16, Error> {
    static NEXT: OnceLock<AtomicU16> = OnceLock::new();
    let next = NEXT.get_or_init(|| AtomicU16::new((uuid::Uuid::new_v4().as_u128() % u128::from(COUNT)) as u16));
    for _ in 0..COUNT {
        let port = FIRST + next.fetch_add(1, Ordering::Relaxed) % COUNT;
        if TcpListener::bind(("127.0.0.1", port)).is_ok() {
            return Ok(port);
        }
    }
    Err(Error::NoPort { first: FIRST, last: FIRST + COUNT - 1 })
}
