//! Faults by chance. A draw depends on the seed and on how many requests were drawn for before, on nothing else.

use serde::{Deserialize, Serialize};

use super::Fault;

/// Probabilities of faults (0 to 1, together at most 1). Drawn for writes only, unless `reads`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Chaos {
    /// Seed of the draws.
    pub seed: u64,
    /// Draw for reads too.
    pub reads: bool,
    /// Probability of `lose_answer`.
    pub lose_answer: f64,
    /// Probability of `execute_late`.
    pub execute_late: f64,
    /// Longest delay of `execute_late`, milliseconds; the shortest is 1.
    pub execute_late_ms: u64,
    /// Probability of `slow`.
    pub slow: f64,
    /// Longest `slow`, milliseconds.
    pub slow_ms: u64,
    /// Probability of `server_error`, half of them applied.
    pub server_error: f64,
    /// Probability of `html_body`, half of them applied.
    pub html_body: f64,
    /// Probability of `reset`.
    pub reset: f64,
    /// Probability of `over_quota` (concurrent requests).
    pub over_quota: f64,
    /// Probability of `limit_429`.
    pub limit_429: f64,
    /// Probability of `locked`.
    pub locked: f64,
}

impl Chaos {
    /// The fault for the `number`-th draw.
    pub(super) fn draw(&self, number: u64) -> Option<Fault> {
        let first = mix(self.seed ^ mix(number));
        let second = mix(first);
        let mut left = unit(first);
        let mut hit = |probability: f64| {
            let here = left < probability;
            left -= probability;
            here
        };
        let coin = second & 1 == 1;
        let upto = |most: u64| 1 + (second >> 1) % most.max(1);
        if hit(self.lose_answer) {
            return Some(Fault::LoseAnswer);
        }
        if hit(self.execute_late) {
            return Some(Fault::ExecuteLate { delay_ms: Some(upto(self.execute_late_ms)), close_after_ms: 0 });
        }
        if hit(self.slow) {
            return Some(Fault::Slow { ms: upto(self.slow_ms) });
        }
        if hit(self.server_error) {
            return Some(Fault::ServerError { status: if coin { 500 } else { 503 }, applied: second & 2 == 2 });
        }
        if hit(self.html_body) {
            return Some(Fault::HtmlBody { status: 502, applied: coin });
        }
        if hit(self.reset) {
            return Some(Fault::Reset);
        }
        if hit(self.over_quota) {
            return Some(Fault::OverQuota { daily: false });
        }
        if hit(self.limit_429) {
            return Some(Fault::Limit429 { retry_after_s: 1 });
        }
        hit(self.locked).then_some(Fault::Locked)
    }
}

/// SplitMix64's finaliser: every bit of the input moves about half of the output.
fn mix(value: u64) -> u64 {
    let mut z = value.wrapping_add(0x9e37_79b9_7f4a_7c15);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

/// 0 (inclusive) to 1 (exclusive).
fn unit(bits: u64) -> f64 {
    (bits >> 11) as f64 / (1u64 << 53) as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn draws_repeat_with_the_seed_and_hit_as_often_as_asked() {
        let chaos = Chaos { seed: 7, lose_answer: 0.1, execute_late: 0.2, execute_late_ms: 50, ..Chaos::default() };
        let words = |chaos: &Chaos| (0..10_000).map(|n| chaos.draw(n)).collect::<Vec<_>>();
        let drawn = words(&chaos);
        assert_eq!(drawn, words(&chaos));
        assert_ne!(drawn, words(&Chaos { seed: 8, ..chaos }));
        let lost = drawn.iter().filter(|f| **f == Some(Fault::LoseAnswer)).count();
        let late = drawn.iter().flatten().filter(|f| f.word() == "execute_late").count();
        assert!((850..1150).contains(&lost), "{lost}");
        assert!((1800..2200).contains(&late), "{late}");
    }
}
