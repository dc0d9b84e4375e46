//! Waiting for a condition that nothing notifies of.

use std::future::Future;
use std::panic::Location;
use std::time::{Duration, Instant};

/// Calls `probe` until it gives a value, and returns that; panics when `limit` has passed.
///
/// `what` completes the sentence "waited in vain for …".
#[track_caller]
pub fn until<T, F, P>(limit: Duration, what: &str, mut probe: F) -> impl Future<Output = T>
where
    F: FnMut() -> P,
    P: Future<Output = Option<T>>,
{
    let caller = Location::caller();
    async move {
        let started = Instant::now();
        let mut pause = Duration::from_millis(2);
        loop {
            if let Some(value) = probe().await {
                return value;
            }
            assert!(started.elapsed() < limit, "{caller}: waited in vain for {what} ({limit:?})");
            tokio::time::sleep(pause).await;
            pause = (pause * 2).min(Duration::from_millis(50));
        }
    }
}
