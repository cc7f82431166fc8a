//! Picks the next token from the model's scores.
//!
//! The vocabulary has tens of thousands of entries and this runs for every token of every sequence on
//! the thread that decodes, so: greedy is one pass without sorting; sampling first drops tokens that are
//! too unlikely to matter (one pass, usually leaving some hundreds) and works on the rest; buffers stay.

use std::cmp::Ordering;

/// How one request samples.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Sampling {
    /// 0: always the likeliest token.
    pub temperature: f32,
    /// Sum of probabilities to keep; 1 keeps all.
    pub top_p: f32,
    /// Tokens to keep; 0 keeps all.
    pub top_k: usize,
}

/// A token so far below the best one that all such tokens together weigh less than a millionth.
const NEGLIGIBLE: f32 = 25.0;

/// The state of one request's sampling: its random stream and its buffer.
#[derive(Debug)]
pub(super) struct Sampler {
    sampling: Sampling,
    random: u64,
    /// Token and score, later token and weight.
    candidates: Vec<(u32, f32)>,
}

impl Sampler {
    /// The stream of this seed.
    pub fn new(sampling: Sampling, seed: u64) -> Self {
        Self { sampling, random: seed, candidates: Vec::new() }
    }

    /// The next token.
    pub fn pick(&mut self, logits: &[f32]) -> usize {
        let best = likeliest(logits);
        if self.sampling.temperature <= 0.0 || self.sampling.top_k == 1 {
            return best;
        }
        self.gather(logits, logits[best]);
        self.keep_top_k();
        let total = self.keep_top_p();
        let mut left = self.uniform() * total;
        for (token, weight) in &self.candidates {
            left -= weight;
            if left < 0.0 {
                return *token as usize;
            }
        }
        // Rounding may leave a crumb after the last one.
        self.candidates.last().map_or(best, |(token, _)| *token as usize)
    }

    /// Tokens that matter, with their weights relative to the best.
    fn gather(&mut self, logits: &[f32], best: f32) {
        let temperature = self.sampling.temperature;
        let floor = best - NEGLIGIBLE * temperature;
        self.candidates.clear();
        for (token, logit) in logits.iter().enumerate() {
            if *logit >= floor {
                let weight = ((logit - best) / temperature).exp();
                self.candidates.push((token as u32, weight));
            }
        }
    }

    fn keep_top_k(&mut self) {
        let keep = self.sampling.top_k;
        if keep > 0 && keep < self.candidates.len() {
            self.candidates.select_nth_unstable_by(keep - 1, heavier_first);
            self.candidates.truncate(keep);
            // Selection leaves an order of its own; by token id the same candidates draw the same token.
            self.candidates.sort_unstable_by_key(|(token, _)| *token);
        }
    }

    /// The weight of what is kept.
    fn keep_top_p(&mut self) -> f32 {
        let total: f32 = self.candidates.iter().map(|(_, weight)| weight).sum();
        if self.sampling.top_p >= 1.0 {
            return total;
        }
        self.candidates.sort_unstable_by(heavier_first);
        let wanted = total * self.sampling.top_p;
        let mut kept = 0.0;
        let mut count = 0;
        for (_, weight) in &self.candidates {
            kept += weight;
            count += 1;
            if kept >= wanted {
                break;
            }
        }
        self.candidates.truncate(count);
        kept
    }

    /// SplitMix64, as a number in [0, 1).
    fn uniform(&mut self) -> f32 {
        self.random = self.random.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut word = self.random;
        word = (word ^ (word >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        word = (word ^ (word >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        word ^= word >> 31;
        (word >> 40) as f32 / (1_u64 << 24) as f32
    }
}

fn heavier_first(left: &(u32, f32), right: &(u32, f32)) -> Ordering {
    right.1.total_cmp(&left.1).then(left.0.cmp(&right.0))
}

/// The index of the highest score; of equals, the first. Two passes: finding the maximum alone is
/// vectorised by the compiler, tracking its index is not.
fn likeliest(logits: &[f32]) -> usize {
    let highest = logits.chunks(16).fold([f32::NEG_INFINITY; 16], |mut best, chunk| {
        for (slot, value) in best.iter_mut().zip(chunk) {
            *slot = if *value > *slot { *value } else { *slot };
        }
        best
    });
    let highest = highest.into_iter().fold(f32::NEG_INFINITY, f32::max);
    logits.iter().position(|value| *value == highest).unwrap_or(0)
}

/// Natural logarithms of probabilities: of one token, and of the likeliest `count`.
pub(super) fn log_probabilities(logits: &[f32], token: usize, count: usize) -> (f32, Vec<(usize, f32)>) {
    let best = logits[likeliest(logits)];
    let sum: f64 = logits.iter().map(|logit| f64::from((logit - best).exp())).sum();
    let normaliser = best + sum.ln() as f32;
    let mut top: Vec<(u32, f32)> = Vec::new();
    if count > 0 {
        top = logits.iter().enumerate().map(|(token, logit)| (token as u32, *logit)).collect();
        if count < top.len() {
            top.select_nth_unstable_by(count - 1, heavier_first);
            top.truncate(count);
        }
        top.sort_unstable_by(heavier_first);
    }
    let top = top.into_iter().map(|(token, logit)| (token as usize, logit - normaliser)).collect();
    (logits.get(token).map_or(f32::NEG_INFINITY, |logit| logit - normaliser), top)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sampler(temperature: f32, top_p: f32, top_k: usize, seed: u64) -> Sampler {
        Sampler::new(Sampling { temperature, top_p, top_k }, seed)
    }

    fn counts(mut sampler: Sampler, logits: &[f32], draws: usize) -> Vec<usize> {
        let mut counts = vec![0; logits.len()];
        for _ in 0..draws {
            counts[sampler.pick(logits)] += 1;
        }
        counts
    }

    #[test]
    fn temperature_zero_takes_the_first_of_the_likeliest() {
        let mut logits = vec![0.0; 50];
        logits[20] = 3.0;
        logits[41] = 3.0;
        assert_eq!(sampler(0.0, 1.0, 0, 1).pick(&logits), 20);
    }

    #[test]
    fn draws_follow_the_probabilities() {
        let logits = [0.0_f32, (2.0_f32).ln(), (5.0_f32).ln()];
        let drawn = counts(sampler(1.0, 1.0, 0, 42), &logits, 80_000);
        for (count, share) in drawn.iter().zip([10_000.0, 20_000.0, 50_000.0]) {
            assert!((*count as f64 - share).abs() < 1_000.0, "{drawn:?}");
        }
    }

    #[test]
    fn top_k_and_top_p_cut_the_tail() {
        let logits = [1.0_f32, 4.0, 3.0, 2.0];
        let drawn = counts(sampler(5.0, 1.0, 2, 7), &logits, 2_000);
        assert_eq!((drawn[0], drawn[3]), (0, 0));
        assert!(drawn[1] > 0 && drawn[2] > 0);
        let drawn = counts(sampler(1.0, 0.5, 0, 7), &logits, 500);
        assert_eq!(drawn, [0, 500, 0, 0], "the likeliest alone holds more than half");
    }

    #[test]
    fn a_seed_replays_and_another_does_not() {
        let logits: Vec<f32> = (0..1000).map(|index| ((index * 37) % 101) as f32 / 50.0).collect();
        let draw = |seed| {
            let mut sampler = sampler(1.0, 0.95, 0, seed);
            (0..20).map(|_| sampler.pick(&logits)).collect::<Vec<_>>()
        };
        assert_eq!(draw(5), draw(5));
        assert_ne!(draw(5), draw(6));
    }

    #[test]
    fn log_probabilities_sum_to_one() {
        let logits = [0.5_f32, 2.0, -1.0, 0.0];
        let (chosen, top) = log_probabilities(&logits, 2, 4);
        assert!((top.iter().map(|(_, value)| value.exp()).sum::<f32>() - 1.0).abs() < 1e-5);
        assert_eq!(top[0].0, 1);
        assert_eq!(top[3], (2, chosen));
        assert_eq!(log_probabilities(&logits, 1, 0).1, []);
    }
}
