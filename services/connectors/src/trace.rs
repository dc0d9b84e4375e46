//! The trace that a request belongs to goes along with it.

use std::future::Future;

tokio::task_local! {
    static TRACEPARENT: String;
}

/// Does the work; requests that it makes carry this W3C `traceparent` in a header of that name. `None`: none of them does.
pub async fn with_traceparent<T>(traceparent: Option<String>, work: impl Future<Output = T>) -> T {
    match traceparent {
        Some(traceparent) => TRACEPARENT.scope(traceparent, work).await,
        None => work.await,
    }
}

/// For the header of a request that is made now.
pub(crate) fn traceparent() -> Option<String> {
    TRACEPARENT.try_with(Clone::clone).ok()
}
