//! Which requests come first.

use std::cell::RefCell;
use std::future::Future;

use super::{Budget, Reservation};

/// Who asks. Writes have a client waiting: reads stand back while a write is waiting for a token.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Priority {
    Write,
    Read,
}

tokio::task_local! {
    static TERMS: Terms;
}

/// On what terms the requests of a piece of work are made.
struct Terms {
    priority: Priority,
    reservation: RefCell<Option<Reservation>>,
}

/// Does the work; requests that it makes take their tokens with this priority, and the first of them uses the
/// reservation. It goes along with the task, as the trace does ([`crate::with_traceparent`]), so that no connector can
/// forget to hand it on. Work outside any such call, or in a task spawned by it, is a read.
pub async fn with_priority<T>(
    priority: Priority,
    reservation: Option<Reservation>,
    work: impl Future<Output = T>,
) -> T {
    TERMS.scope(Terms { priority, reservation: RefCell::new(reservation) }, work).await
}

/// For a request that is made now.
pub(super) fn priority() -> Priority {
    TERMS.try_with(|terms| terms.priority).unwrap_or(Priority::Read)
}

/// What was reserved of this budget for the work, if no request has used it.
pub(super) fn reservation(budget: &Budget) -> Option<Reservation> {
    TERMS.try_with(|terms| terms.reservation.borrow_mut().take_if(|reservation| reservation.is_of(budget))).ok()?
}
