//! A token taken in advance.

use std::sync::Arc;
use std::time::Duration;

use super::{Budget, Priority};

/// One request's worth, for work that is about to begin: the work need not wait for it. What is not used
/// is given back when it is dropped.
#[derive(Debug)]
pub struct Reservation {
    budget: Budget,
    used: bool,
}

impl Reservation {
    pub(super) fn is_of(&self, budget: &Budget) -> bool {
        Arc::ptr_eq(&self.budget.0, &budget.0)
    }

    pub(super) fn spend(mut self) {
        self.used = true;
    }
}

impl Drop for Reservation {
    fn drop(&mut self) {
        if !self.used {
            self.budget.bucket().give_back();
        }
    }
}

impl Budget {
    /// Reserves one request's worth, or says how long to wait before asking again.
    pub fn try_reserve(&self, priority: Priority) -> Result<Reservation, Duration> {
        self.try_take(priority)?;
        Ok(Reservation { budget: self.clone(), used: false })
    }

    /// Waits for one request's worth.
    pub async fn reserve(&self, priority: Priority) -> Reservation {
        self.take(priority).await;
        Reservation { budget: self.clone(), used: false }
    }
}
