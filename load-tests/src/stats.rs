use std::time::Duration;

/// Durations of the same thing.
#[derive(Debug, Default)]
pub(crate) struct Sample(Vec<Duration>);

impl Sample {
    pub(crate) fn add(&mut self, duration: Duration) {
        self.0.push(duration);
    }

    pub(crate) fn extend(&mut self, other: Self) {
        self.0.extend(other.0);
    }

    /// The value that `percent` of the sample do not exceed.
    pub(crate) fn percentile(&self, percent: usize) -> Duration {
        let mut sorted = self.0.clone();
        sorted.sort_unstable();
        let index = (sorted.len().saturating_sub(1) * percent).div_ceil(100);
        sorted.get(index).copied().unwrap_or_default()
    }

    pub(crate) fn line(&self, what: &str) -> String {
        let ms = |percent| format!("{:>8.3}", self.percentile(percent).as_secs_f64() * 1e3);
        format!("{what:<58} p50 {} ms   p90 {} ms   p99 {} ms", ms(50), ms(90), ms(99))
    }
}

pub(crate) fn ratio(what: &str, over: &Sample, under: &Sample) -> String {
    let of = |percent| over.percentile(percent).as_secs_f64() / under.percentile(percent).as_secs_f64();
    format!("{what:<58} p50 {:>8.2} x    p99 {:>8.2} x", of(50), of(99))
}
