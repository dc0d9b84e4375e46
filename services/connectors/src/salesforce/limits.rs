//! Limits of this connector, and how they relate.

use std::time::Duration;

/// Rows of one sObject Collections call (vendor's limit).
pub(crate) const MAX_ROWS_PER_CALL: usize = 200;
/// Rows of one page: what one `RecordsObserved` holds.
pub(crate) const PAGE_ROWS: usize = upwrite_events::MAX_ROWS_PER_OBSERVATION;
/// Rows of one page of an object too wide for one query URL: each row is then read by its id.
pub(crate) const WIDE_PAGE_ROWS: usize = 800;
/// A URL, bytes. The vendor's limit is said to be near 16 KB.
pub(crate) const MAX_URL_BYTES: usize = 14_000;
/// Pause after the concurrency limit: it clears in seconds.
pub(crate) const CONCURRENCY_PENALTY: Duration = Duration::from_secs(1);
/// Pause after the daily limit (a rolling 24 h): asked again each minute.
pub(crate) const DAILY_PENALTY: Duration = Duration::from_secs(60);
/// A refusal of the credentials is remembered this long, so that held clients do not hammer the login host.
pub(crate) const REFUSED_LOGIN_REST: Duration = Duration::from_secs(10);
/// How far the vendor's clock may be behind this process's when a probe asks for records created since.
pub(crate) const PROBE_CLOCK_MARGIN: Duration = Duration::from_secs(5);
/// Value length up to which a probe filters upstream; longer ones are compared here.
pub(crate) const MAX_FILTER_CHARS: usize = 255;
/// Characters that an idempotency key needs: a UUID, `-`, and up to six digits.
pub(crate) const IDEMPOTENCY_KEY_CHARS: i64 = 43;
/// `describe` requests at the same time.
pub(crate) const CONCURRENT_DESCRIBES: usize = 4;
/// Lifetime of a JWT assertion; the vendor takes up to about five minutes.
pub(crate) const ASSERTION_SECONDS: i64 = 180;

const _: () = assert!(WIDE_PAGE_ROWS <= PAGE_ROWS && WIDE_PAGE_ROWS.is_multiple_of(MAX_ROWS_PER_CALL));
const _: () = assert!(CONCURRENCY_PENALTY.as_secs() < DAILY_PENALTY.as_secs());
const _: () = assert!(ASSERTION_SECONDS < 300);
