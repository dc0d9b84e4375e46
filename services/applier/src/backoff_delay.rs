//! How long to wait before attempt n. The only file that knows the `backoff` package.

use std::time::Duration;

use backoff::ExponentialBackoffBuilder;
use backoff::backoff::Backoff;

use crate::Config;

/// Delays that double up to a limit, with some chance in them so that many rows do not come back at once.
#[derive(Debug, Clone)]
pub(crate) struct Delays {
    base: Duration,
    max: Duration,
    jitter: f64,
}

impl Delays {
    pub(crate) fn new(config: &Config) -> Self {
        Self { base: config.backoff_base, max: config.backoff_max, jitter: config.backoff_jitter.clamp(0.0, 1.0) }
    }

    /// The delay after the `failures`-th failure in a row, counted from 1.
    pub(crate) fn after(&self, failures: u32) -> Duration {
        let doublings = failures.saturating_sub(1).min(16);
        let start = self.base.saturating_mul(1 << doublings).min(self.max);
        ExponentialBackoffBuilder::new()
            .with_initial_interval(start)
            .with_max_interval(self.max)
            .with_randomization_factor(self.jitter)
            .with_max_elapsed_time(None)
            .build()
            .next_backoff()
            .unwrap_or(self.max)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn delays_double_up_to_the_limit() {
        let delays = Delays { base: Duration::from_millis(100), max: Duration::from_secs(1), jitter: 0.0 };
        let ms: Vec<_> = [1, 2, 3, 4, 5, 99].map(|n| delays.after(n).as_millis()).into();
        assert_eq!(ms, [100, 200, 400, 800, 1000, 1000]);
    }

    #[test]
    fn chance_stays_within_its_share() {
        let delays = Delays { base: Duration::from_millis(100), max: Duration::from_secs(1), jitter: 0.5 };
        for _ in 0..100 {
            let delay = delays.after(1);
            assert!((50..=151).contains(&delay.as_millis()), "{delay:?}");
        }
    }
}
