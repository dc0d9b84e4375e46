//! One budget for several processes: each takes slices of it from a place that all of them know.

use std::future::Future;
use std::time::Duration;

use tokio::time::{Instant, sleep, timeout};

use super::{Budget, Priority};

/// How long the place may take to answer.
const PATIENCE: Duration = Duration::from_secs(1);
/// While it does not answer, a process makes do with this part of the rate: as many may be at work without asking.
const ALONE: f64 = 0.25;

/// What a process asks for.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Ask {
    /// Requests per second for all processes together.
    pub rate: f64,
    /// Requests that may go at once.
    pub burst: f64,
    /// At most so many are wanted now, at least one.
    pub requests: f64,
    /// A write waits for them: it comes before reads, wherever those are.
    pub priority: Priority,
}

/// What it got.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Slice {
    /// 0: nothing, now.
    pub requests: f64,
    /// When to ask again then.
    pub wait: Duration,
}

impl Budget {
    /// Shares this budget with other processes: from here on it is filled only by what `lease` gives, in slices of up to
    /// a tenth of a second's worth. Never ends; when the future is dropped the budget is this process's alone again. While
    /// `lease` fails, a quarter of the rate is given out without it. A budget without a limit needs no sharing.
    pub async fn share<F, E>(&self, lease: impl Fn(Ask) -> F)
    where
        F: Future<Output = Result<Slice, E>>,
        E: std::fmt::Display,
    {
        let Some(rate) = self.bucket().rate else {
            return std::future::pending().await;
        };
        let _sliced = Sliced::begin(self);
        let burst = self.bucket().burst;
        let mut requests = 1.0f64;
        let mut last = Instant::now();
        let mut fails = false;
        loop {
            self.0.short.notified().await;
            let priority = {
                let mut bucket = self.bucket();
                let write = std::mem::take(&mut bucket.write_short);
                if write { Priority::Write } else { Priority::Read }
            };
            // Who uses up a slice quickly gets a larger one; what is not used is lost to others.
            let quickly = last.elapsed() < Duration::from_millis(200);
            requests = if quickly { (requests * 2.0).min(burst) } else { (requests / 2.0).max(1.0) };
            last = Instant::now();
            let slice = match timeout(PATIENCE, lease(Ask { rate, burst, requests, priority })).await {
                Ok(Ok(slice)) => {
                    fails = false;
                    slice
                }
                Ok(Err(error)) => self.alone(rate, &mut fails, &error.to_string()),
                Err(_) => self.alone(rate, &mut fails, "no answer in time"),
            };
            if slice.requests >= 1.0 {
                self.fill(slice.requests);
            } else {
                if priority == Priority::Write {
                    self.bucket().write_short = true;
                }
                sleep(slice.wait.clamp(Duration::from_millis(1), PATIENCE)).await;
                self.0.short.notify_one();
            }
            if fails {
                sleep(Duration::from_secs_f64(1.0 / (rate * ALONE)).min(PATIENCE)).await;
            }
        }
    }

    /// The place does not answer: one request, and then a pause.
    fn alone(&self, rate: f64, fails: &mut bool, error: &str) -> Slice {
        if !std::mem::replace(fails, true) {
            tracing::warn!(rate, error, "the shared rate budget cannot be asked; going on with a part of it");
        }
        Slice { requests: 1.0, wait: Duration::ZERO }
    }

    fn fill(&self, requests: f64) {
        let mut bucket = self.bucket();
        // Never more than the burst: what was left over is the oldest.
        bucket.tokens = (bucket.tokens.max(0.0) + requests).min(bucket.burst.max(requests));
        bucket.filled = Instant::now();
    }
}

/// As long as this lives the budget is filled in slices.
struct Sliced<'a>(&'a Budget);

impl<'a> Sliced<'a> {
    fn begin(budget: &'a Budget) -> Self {
        let mut bucket = budget.bucket();
        bucket.sliced = true;
        bucket.tokens = bucket.tokens.min(1.0);
        drop(bucket);
        Self(budget)
    }
}

impl Drop for Sliced<'_> {
    fn drop(&mut self) {
        let mut bucket = self.0.bucket();
        bucket.sliced = false;
        bucket.filled = Instant::now();
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use super::*;

    /// The place that all know, as the table in Postgres is one.
    fn place(rate: f64) -> Arc<Mutex<(f64, Instant)>> {
        Arc::new(Mutex::new(((rate / 10.0).max(1.0), Instant::now())))
    }

    fn lease(place: &Mutex<(f64, Instant)>, ask: Ask) -> Slice {
        let mut place = place.lock().unwrap();
        let now = Instant::now();
        place.0 = (place.0 + now.duration_since(place.1).as_secs_f64() * ask.rate).min(ask.burst);
        place.1 = now;
        let requests = place.0.min(ask.requests).floor();
        place.0 -= requests;
        Slice { requests, wait: Duration::from_secs_f64((1.0 - place.0).max(0.0) / ask.rate) }
    }

    /// Takes as fast as it can for `length`; how many that were.
    async fn greedy(budget: Budget, length: Duration) -> usize {
        let mut taken = 0;
        let _ = timeout(length, async {
            loop {
                budget.take(Priority::Write).await;
                taken += 1;
            }
        })
        .await;
        taken
    }

    #[tokio::test(start_paused = true)]
    async fn processes_together_keep_the_rate_and_one_alone_may_have_all() {
        for processes in [1, 2, 5] {
            let place = place(50.0);
            let budgets: Vec<Budget> = (0..processes).map(|_| Budget::new(Some(50.0))).collect();
            for budget in &budgets {
                let (budget, place) = (budget.clone(), Arc::clone(&place));
                tokio::spawn(async move {
                    budget.share(|ask| std::future::ready(Ok::<_, String>(lease(&place, ask)))).await;
                });
            }
            tokio::task::yield_now().await;
            let takers = budgets.iter().map(|budget| tokio::spawn(greedy(budget.clone(), Duration::from_secs(20))));
            let mut taken = 0;
            for taker in takers.collect::<Vec<_>>() {
                taken += taker.await.unwrap();
            }
            assert!((900..=1_020).contains(&taken), "{taken} by {processes} in 20 s at 50 a second");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_part_goes_on_while_the_place_is_away() {
        let budget = Budget::new(Some(40.0));
        let shared = budget.clone();
        let sharing = tokio::spawn(async move { shared.share(|_| std::future::ready(Err("away"))).await });
        tokio::task::yield_now().await;
        let taken = greedy(budget.clone(), Duration::from_secs(10)).await;
        assert!((80..=110).contains(&taken), "{taken} in 10 s, a quarter of 40 a second");
        // Nobody shares any more: all of it.
        sharing.abort();
        let _ = sharing.await;
        let taken = greedy(budget, Duration::from_secs(10)).await;
        assert!((380..=410).contains(&taken), "{taken} in 10 s at 40 a second");
    }

    #[tokio::test(start_paused = true)]
    async fn a_first_call_after_a_pause_does_not_wait() {
        let budget = Budget::new(Some(40.0));
        let (shared, place) = (budget.clone(), place(40.0));
        tokio::spawn(async move {
            shared.share(|ask| std::future::ready(Ok::<_, String>(lease(&place, ask)))).await;
        });
        tokio::task::yield_now().await;
        for _ in 0..5 {
            assert_eq!(budget.try_take(Priority::Write), Ok(()));
            sleep(Duration::from_secs(30)).await;
        }
    }
}
