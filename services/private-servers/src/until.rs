//! Waiting for a condition that nothing notifies of.

use std::future::Future;
use std::time::{Duration, Instant};

use crate::Error;

/// Calls `probe` until it gives a value, and returns that.
///
/// `what` completes the sentence "waited in vain for …".
///
/// # Errors
/// `TimedOut` when `limit` has passed.
pub async fn until<T, F, P>(limit: Duration, what: &str, mut probe: F) -> Result<T, Error>
where
    F: FnMut() -> P,
    P: Future<Output = Option<T>>,
{
    let started = Instant::now();
    let mut pause = Duration::from_millis(2);
    loop {
        if let Some(value) = probe().await {
            return Ok(value);
        }
        if started.elapsed() >= limit {
            let what = format!("waited in vain for {what}");
            return Err(Error::TimedOut { what, limit, output: String::new() });
        }
        tokio::time::sleep(pause).await;
        pause = (pause * 2).min(Duration::from_millis(50));
    }
}
