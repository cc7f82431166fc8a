//! Picks the next token from the model's scores.
//!
//! The vocabulary has tens of thousands of entries and this runs for every token of every sequence on
//! the thread that decodes, between two batches, so: greedy is one pass without sorting; the weights of a
//! whole vocabulary are computed by an exponential that the compiler vectorises (the library's took two
//! milliseconds a token); nucleus sampling sorts only the few tokens that can be in the nucleus; buffers
//! stay. Sums are in a fixed order, so a seed replays bit by bit.

use std::cmp::Ordering;

use llama_cpp_2::token::LlamaToken;

use super::adjuster::{Adjuster, Adjustment};

/// How one request samples.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Sampling {
    /// 0: always the likeliest token.
    pub temperature: f32,
    /// Sum of probabilities to keep; 1 keeps all.
    pub top_p: f32,
    /// Tokens to keep; 0 keeps all.
    pub top_k: usize,
    /// Least probability of a token to keep, as a share of the likeliest one's; 0 keeps all.
    pub min_p: f32,
    /// Changes of the scores before all that, if there are any.
    pub adjustment: Option<Adjustment>,
}

/// Tokens of one block of the running sum that a draw walks through.
const BLOCK: usize = 256;
/// Weights, relative to the likeliest token's, below which nucleus sampling looks at first, then next, …
const NUCLEUS_FLOORS: [f32; 4] = [1e-3, 1e-5, 1e-8, 0.0];

/// The state of one request's sampling: its random stream and its buffers.
#[derive(Debug)]
pub(super) struct Sampler {
    sampling: Sampling,
    adjuster: Option<Adjuster>,
    random: u64,
    /// Weight of every token, relative to the likeliest one's.
    weights: Vec<f32>,
    /// Token and weight of those that are left after cutting.
    candidates: Vec<(u32, f32)>,
    /// Scores of the tokens that may come, where not all may.
    masked: Vec<f32>,
}

impl Sampler {
    /// The stream of this seed, for an answer to this prompt.
    pub fn new(mut sampling: Sampling, prompt: &[LlamaToken], seed: u64) -> Self {
        Self {
            adjuster: sampling
                .adjustment
                .take()
                .map(|wanted| Adjuster::new(wanted, prompt)),
            sampling,
            random: seed,
            weights: Vec::new(),
            candidates: Vec::new(),
            masked: Vec::new(),
        }
    }

    /// The next token, of those whose bits are set in `allowed` where it is given (at least one).
    pub fn pick(&mut self, logits: &[f32], allowed: Option<&[u32]>) -> usize {
        let mut adjuster = self.adjuster.take();
        let adjusted = match &mut adjuster {
            None => logits,
            Some(adjuster) => adjuster.adjust(logits),
        };
        let token = match allowed {
            None => self.choose(adjusted),
            Some(allowed) => {
                let mut masked = std::mem::take(&mut self.masked);
                mask(adjusted, allowed, &mut masked);
                if highest(&masked) == f32::NEG_INFINITY {
                    // The request's biases forbid all that its grammar allows; the grammar is the stronger promise.
                    mask(logits, allowed, &mut masked);
                }
                let token = self.choose(&masked);
                self.masked = masked;
                token
            }
        };
        if let Some(adjuster) = &mut adjuster {
            adjuster.answered(token);
        }
        self.adjuster = adjuster;
        token
    }

    fn choose(&mut self, logits: &[f32]) -> usize {
        let best = highest(logits);
        if self.sampling.temperature <= 0.0 || self.sampling.top_k == 1 {
            return index_of(logits, best);
        }
        weigh(logits, best, 1.0 / self.sampling.temperature, &mut self.weights);
        let whole = self.sampling.top_p >= 1.0;
        if self.sampling.min_p > 0.0 {
            return self.draw_above(self.sampling.min_p, whole);
        }
        match self.sampling.top_k {
            0 if whole => self.draw_from_all(),
            0 => {
                let wanted = self.weights.chunks(BLOCK).map(sum).sum::<f32>() * self.sampling.top_p;
                self.gather_nucleus(wanted);
                self.draw_from_nucleus(wanted)
            }
            keep => {
                self.gather_likeliest(keep);
                let total: f32 = self.candidates.iter().map(|(_, weight)| weight).sum();
                self.draw_from_nucleus(if whole {
                    f32::INFINITY
                } else {
                    total * self.sampling.top_p
                })
            }
        }
    }

    fn draw_from_all(&mut self) -> usize {
        let total: f32 = self.weights.chunks(BLOCK).map(sum).sum();
        let mut left = self.uniform() * total;
        for (block, weights) in self.weights.chunks(BLOCK).enumerate() {
            let weight = sum(weights);
            if left < weight {
                for (offset, weight) in weights.iter().enumerate() {
                    left -= weight;
                    if left < 0.0 {
                        return block * BLOCK + offset;
                    }
                }
            } else {
                left -= weight;
            }
        }
        // Rounding may leave a crumb after the last token; the likeliest one takes it.
        index_of(&self.weights, 1.0)
    }

    /// Draws from the tokens of at least this weight, cut further by `top_k` and, unless `whole`, by `top_p`.
    fn draw_above(&mut self, floor: f32, whole: bool) -> usize {
        self.gather_heavy(floor);
        match self.sampling.top_k {
            0 => {}
            keep => keep_likeliest(&mut self.candidates, keep),
        }
        let total: f32 = self.candidates.iter().map(|(_, weight)| weight).sum();
        if whole {
            return self.draw_from_candidates(total);
        }
        self.draw_from_nucleus(total * self.sampling.top_p)
    }

    /// The tokens of at least this weight.
    fn gather_heavy(&mut self, floor: f32) {
        self.candidates.clear();
        let heavy = self
            .weights
            .iter()
            .enumerate()
            .filter(|(_, weight)| **weight >= floor);
        self.candidates
            .extend(heavy.map(|(token, weight)| (token as u32, *weight)));
    }

    /// The heaviest tokens that together reach `wanted`, and a few more.
    fn gather_nucleus(&mut self, wanted: f32) {
        for floor in NUCLEUS_FLOORS {
            self.gather_heavy(floor);
            if self.candidates.iter().map(|(_, weight)| weight).sum::<f32>() >= wanted {
                break;
            }
        }
    }

    fn gather_likeliest(&mut self, keep: usize) {
        self.candidates.clear();
        self.candidates.extend(
            self.weights
                .iter()
                .enumerate()
                .map(|(token, weight)| (token as u32, *weight)),
        );
        keep_likeliest(&mut self.candidates, keep);
    }

    /// Draws from the heaviest candidates that together reach `wanted`.
    fn draw_from_nucleus(&mut self, wanted: f32) -> usize {
        self.candidates.sort_unstable_by(heavier_first);
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
        self.draw_from_candidates(kept)
    }

    /// Draws from the candidates, whose weights sum to `total`.
    fn draw_from_candidates(&mut self, total: f32) -> usize {
        let mut left = self.uniform() * total;
        for (token, weight) in &self.candidates {
            left -= weight;
            if left < 0.0 {
                return *token as usize;
            }
        }
        self.candidates.first().map_or(0, |(token, _)| *token as usize)
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

/// The scores of the tokens whose bits are set, and minus infinity for the others.
fn mask(scores: &[f32], allowed: &[u32], masked: &mut Vec<f32>) {
    masked.clear();
    masked.resize(scores.len(), f32::NEG_INFINITY);
    let blocks = masked
        .chunks_mut(u32::BITS as usize)
        .zip(scores.chunks(u32::BITS as usize));
    for ((masked, scores), bits) in blocks.zip(allowed) {
        if *bits == u32::MAX {
            masked.copy_from_slice(scores);
            continue;
        }
        let mut left = *bits;
        while left != 0 {
            let at = left.trailing_zeros() as usize;
            if let (Some(slot), Some(score)) = (masked.get_mut(at), scores.get(at)) {
                *slot = *score;
            }
            left &= left - 1;
        }
    }
}

/// Weights of all tokens: e to the power of (logit - best) * scale.
fn weigh(logits: &[f32], best: f32, scale: f32, weights: &mut Vec<f32>) {
    weights.clear();
    weights.extend(logits.iter().map(|logit| exp((logit - best) * scale)));
}

/// e to the power of x for x of at most 0, to about five digits; 0 below -87. Without branches or calls, so
/// that loops over it are vectorised.
fn exp(x: f32) -> f32 {
    const LOG2_E: f32 = std::f32::consts::LOG2_E;
    // 2^y = 2^whole * 2^part with part in [-0.5, 0.5]; adding and taking away 1.5 * 2^23 rounds to a whole.
    const ROUND: f32 = 12_582_912.0;
    let y = (x * LOG2_E).max(-126.0);
    let whole = (y + ROUND) - ROUND;
    let part = (y - whole) * std::f32::consts::LN_2;
    let series = 1.0
        + part
            * (1.0
                + part
                    * (0.5
                        + part
                            * (1.0 / 6.0
                                + part * (1.0 / 24.0 + part * (1.0 / 120.0 + part * (1.0 / 720.0))))));
    // The exponent's bits are between 1 and 127, so these are the bits of a normal number.
    let power = f32::from_bits(((whole as i32 + 127) as u32) << 23);
    if y <= -126.0 { 0.0 } else { series * power }
}

/// The sum in eight strands, which the compiler keeps in vector registers, in an order that never changes.
fn sum(values: &[f32]) -> f32 {
    let mut strands = [0.0_f32; 8];
    let chunks = values.chunks_exact(8);
    let rest: f32 = chunks.remainder().iter().sum();
    for chunk in chunks {
        for (strand, value) in strands.iter_mut().zip(chunk) {
            *strand += value;
        }
    }
    strands.iter().sum::<f32>() + rest
}

/// Leaves the heaviest `keep` (at least one), in any order.
fn keep_likeliest(candidates: &mut Vec<(u32, f32)>, keep: usize) {
    if keep < candidates.len() {
        candidates.select_nth_unstable_by(keep - 1, heavier_first);
        candidates.truncate(keep);
    }
}

fn heavier_first(left: &(u32, f32), right: &(u32, f32)) -> Ordering {
    right.1.total_cmp(&left.1).then(left.0.cmp(&right.0))
}

/// The highest score. Finding the maximum alone is vectorised by the compiler; tracking its index is not.
fn highest(logits: &[f32]) -> f32 {
    let best = logits
        .chunks(16)
        .fold([f32::NEG_INFINITY; 16], |mut best, chunk| {
            for (slot, value) in best.iter_mut().zip(chunk) {
                *slot = if *value > *slot { *value } else { *slot };
            }
            best
        });
    best.into_iter().fold(f32::NEG_INFINITY, f32::max)
}

/// The first place of a value.
fn index_of(values: &[f32], wanted: f32) -> usize {
    values.iter().position(|value| *value == wanted).unwrap_or(0)
}

/// Natural logarithms of probabilities: of one token, and of the likeliest `count`, likeliest first.
pub(super) fn log_probabilities(logits: &[f32], token: usize, count: usize) -> (f32, Vec<(usize, f32)>) {
    let best = highest(logits);
    let mut weights = [0.0_f32; BLOCK];
    let mut total = 0.0_f64;
    for block in logits.chunks(BLOCK) {
        let weights = &mut weights[..block.len()];
        for (weight, logit) in weights.iter_mut().zip(block) {
            *weight = exp(logit - best);
        }
        total += f64::from(sum(weights));
    }
    let normaliser = best + total.ln() as f32;
    let top = likeliest(logits, count)
        .into_iter()
        .map(|(token, logit)| (token as usize, logit - normaliser))
        .collect();
    let own = logits
        .get(token)
        .map_or(f32::NEG_INFINITY, |logit| logit - normaliser);
    (own, top)
}

/// The `count` highest scores, highest first. Few are asked for, so most blocks are passed over after one
/// look at their highest.
fn likeliest(logits: &[f32], count: usize) -> Vec<(u32, f32)> {
    let mut top: Vec<(u32, f32)> = Vec::with_capacity(count + 1);
    if count == 0 {
        return top;
    }
    for (block, scores) in logits.chunks(BLOCK).enumerate() {
        let enters = |top: &[(u32, f32)], score: f32| {
            top.len() < count || top.last().is_some_and(|(_, least)| score > *least)
        };
        if !enters(&top, highest(scores)) {
            continue;
        }
        for (offset, score) in scores.iter().enumerate() {
            if enters(&top, *score) {
                let entry = ((block * BLOCK + offset) as u32, *score);
                let at = top.partition_point(|other| heavier_first(other, &entry) == Ordering::Less);
                top.insert(at, entry);
                top.truncate(count);
            }
        }
    }
    top
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sampler(temperature: f32, top_p: f32, top_k: usize, seed: u64) -> Sampler {
        let sampling = Sampling {
            temperature,
            top_p,
            top_k,
            min_p: 0.0,
            adjustment: None,
        };
        Sampler::new(sampling, &[], seed)
    }

    fn with_min_p(mut sampler: Sampler, min_p: f32) -> Sampler {
        sampler.sampling.min_p = min_p;
        sampler
    }

    fn counts(mut sampler: Sampler, logits: &[f32], draws: usize) -> Vec<usize> {
        let mut counts = vec![0; logits.len()];
        for _ in 0..draws {
            counts[sampler.pick(logits, None)] += 1;
        }
        counts
    }

    #[test]
    fn temperature_zero_takes_the_first_of_the_likeliest() {
        let mut logits = vec![0.0; 50];
        logits[20] = 3.0;
        logits[41] = 3.0;
        assert_eq!(sampler(0.0, 1.0, 0, 1).pick(&logits, None), 20);
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
    fn the_exponential_is_close_enough() {
        for step in 0..20_000 {
            let x = -(step as f32) * 0.005;
            let (fast, exact) = (exp(x), x.exp());
            assert!(
                (fast - exact).abs() <= exact * 1e-5 + 1e-37,
                "{x}: {fast} is not {exact}"
            );
        }
        assert_eq!((exp(0.0), exp(-1000.0), exp(f32::NEG_INFINITY)), (1.0, 0.0, 0.0));
    }

    #[test]
    fn a_flat_vocabulary_is_drawn_from_evenly_and_a_nucleus_of_it_is_its_share() {
        let logits = vec![0.5_f32; 1000];
        let drawn = counts(sampler(1.0, 1.0, 0, 3), &logits, 50_000);
        assert!(drawn.iter().all(|count| (10..110).contains(count)), "{drawn:?}");
        let drawn = counts(sampler(1.0, 0.25, 0, 3), &logits, 50_000);
        assert_eq!(drawn.iter().filter(|count| **count > 0).count(), 250);
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
    fn min_p_keeps_what_is_near_the_likeliest_and_the_other_cuts_work_on_that() {
        // Probabilities as 8 : 4 : 2 : 1.
        let logits: Vec<f32> = [1.0_f32, 8.0, 2.0, 4.0]
            .iter()
            .map(|weight| weight.ln())
            .collect();
        let drawn = counts(with_min_p(sampler(1.0, 1.0, 0, 3), 0.2), &logits, 14_000);
        assert_eq!(drawn[0], 0);
        for (count, share) in drawn[1..].iter().zip([8_000.0, 2_000.0, 4_000.0]) {
            assert!((*count as f64 - share).abs() < 400.0, "{drawn:?}");
        }
        // Temperature comes first: at 3 all four are within a half of the likeliest.
        let drawn = counts(with_min_p(sampler(3.0, 1.0, 0, 3), 0.49), &logits, 2_000);
        assert!(drawn.iter().all(|count| *count > 0), "{drawn:?}");
        let drawn = counts(with_min_p(sampler(1.0, 1.0, 2, 3), 0.2), &logits, 2_000);
        assert_eq!((drawn[0], drawn[2]), (0, 0), "{drawn:?}");
        // 8 + 4 of the 14 that are left reach 0.8 of them.
        let drawn = counts(with_min_p(sampler(1.0, 0.8, 0, 3), 0.2), &logits, 2_000);
        assert!(drawn[2] == 0 && drawn[3] > 0, "{drawn:?}");
        let drawn = counts(with_min_p(sampler(1.0, 1.0, 0, 3), 1.0), &logits, 100);
        assert_eq!(drawn, [0, 100, 0, 0]);
    }

    #[test]
    fn adjusted_scores_are_picked_from_and_what_was_picked_counts() {
        let adjustment = Adjustment {
            bias: vec![(2, f32::NEG_INFINITY)],
            repetition: 1.0,
            frequency: 1.0,
            presence: 0.0,
        };
        let pick = |temperature| {
            let sampling = Sampling {
                temperature,
                top_p: 1.0,
                top_k: 0,
                min_p: 0.0,
                adjustment: Some(adjustment.clone()),
            };
            let mut sampler = Sampler::new(sampling, &[], 9);
            (0..300)
                .map(|_| sampler.pick(&[2.5, 1.0, 9.0], None))
                .collect::<Vec<_>>()
        };
        assert_eq!(pick(0.0)[..5], [0, 0, 1, 0, 1], "2.5, 1.5, then 0.5 is below 1.0");
        let random = pick(1.0);
        assert_eq!(random, pick(1.0));
        assert!(!random.contains(&2));
        let first = random.iter().filter(|token| **token == 0).count();
        assert!(
            (145..156).contains(&first),
            "each is held back by its own count: {first}"
        );
    }

    #[test]
    fn a_seed_replays_and_another_does_not() {
        let logits: Vec<f32> = (0..1000)
            .map(|index| ((index * 37) % 101) as f32 / 50.0)
            .collect();
        let draw = |seed| {
            let mut sampler = sampler(1.0, 0.95, 0, seed);
            (0..20).map(|_| sampler.pick(&logits, None)).collect::<Vec<_>>()
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

    #[test]
    fn the_likeliest_are_those_that_sorting_finds_and_the_sum_is_that_of_doubles() {
        let logits: Vec<f32> = (0..5000_u32)
            .map(|token| (token.wrapping_mul(2_654_435_761) >> 20) as f32 / 200.0)
            .collect();
        let mut sorted: Vec<(u32, f32)> = (0..).zip(logits.iter().copied()).collect();
        sorted.sort_by(heavier_first);
        for count in [1, 5, 20] {
            assert_eq!(likeliest(&logits, count), sorted[..count]);
        }
        assert_eq!(likeliest(&logits[..3], 20).len(), 3);
        let exact: f64 = logits.iter().map(|logit| f64::from(*logit).exp()).sum();
        let (own, _) = log_probabilities(&logits, 7, 1);
        assert!((f64::from(own) - (f64::from(logits[7]) - exact.ln())).abs() < 1e-4);
        assert_eq!(
            log_probabilities(&[0.0, f32::NEG_INFINITY], 1, 0).0,
            f32::NEG_INFINITY
        );
    }

    #[test]
    fn only_what_is_allowed_is_picked_also_where_a_bias_forbids_it() {
        let logits: Vec<f32> = (0..70_u8).map(f32::from).collect();
        let allowed = [1 << 3 | 1 << 9, 1 << 1, 0];
        let whole = Sampling {
            temperature: 1.0,
            top_p: 1.0,
            top_k: 0,
            min_p: 0.0,
            adjustment: None,
        };
        let greedy = Sampling {
            temperature: 0.0,
            ..whole.clone()
        };
        assert_eq!(
            Sampler::new(greedy.clone(), &[], 1).pick(&logits, Some(&allowed)),
            33
        );
        let all = [u32::MAX, u32::MAX, 0b11_1111];
        assert_eq!(Sampler::new(greedy.clone(), &[], 1).pick(&logits, Some(&all)), 69);
        let mut random = Sampler::new(whole, &[], 7);
        for _ in 0..200 {
            assert!([3, 9, 33].contains(&random.pick(&[0.0; 70], Some(&allowed))));
        }
        let forbidding = Sampling {
            adjustment: Some(Adjustment {
                bias: [3, 9, 33].map(|token| (token, f32::NEG_INFINITY)).to_vec(),
                repetition: 1.0,
                frequency: 0.0,
                presence: 0.0,
            }),
            ..greedy
        };
        assert_eq!(Sampler::new(forbidding, &[], 1).pick(&logits, Some(&allowed)), 33);
    }
}
