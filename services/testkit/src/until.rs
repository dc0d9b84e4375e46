//! Waiting for a condition that nothing notifies of.

use std::future::Future;
use std::panic::Location;
use std::time::Duration;

/// Calls `probe` until it gives a value, and returns that; panics when `limit` has passed.
///
/// `what` completes the sentence "waited in vain for …".
#[track_caller]
pub fn until<T, F, P>(limit: Duration, what: &str, probe: F) -> impl Future<Output = T>
where
    F: FnMut() -> P,
    P: Future<Output = Option<T>>,
{
    let caller = Location::caller();
    async move {
        let waited = upwrite_private_servers::until(limit, what, probe).await;
        waited.unwrap_or_else(|error| panic!("{caller}: {error}"))
    }
}
