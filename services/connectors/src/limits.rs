//! Limits that hold for every vendor.

use std::time::Duration;

/// An answer, bytes, after decompression.
pub(crate) const MAX_RESPONSE_BYTES: usize = 64 * 1024 * 1024;
/// A `Retry-After` beyond this is cut.
pub(crate) const MAX_RETRY_AFTER: Duration = Duration::from_secs(3_600);
/// Characters of vendor's text that are passed on to a client.
pub(crate) const MAX_MESSAGE_CHARS: usize = 2_000;
/// Bytes of a Postgres identifier.
pub(crate) const MAX_IDENTIFIER_BYTES: usize = 63;
/// Pause after 429 without `Retry-After`.
pub(crate) const DEFAULT_PENALTY: Duration = Duration::from_secs(5);

const _: () = assert!(MAX_RESPONSE_BYTES > upwrite_events::MAX_EVENT_BYTES);
const _: () = assert!(DEFAULT_PENALTY.as_secs() < MAX_RETRY_AFTER.as_secs());
