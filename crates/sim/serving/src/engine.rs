//! What a replica can do, as numbers: how long an iteration takes and how much it can hold.
//!
//! One iteration takes `iteration + prefill × prompt tokens + sequence × decoding sequences + kv × tokens of
//! context that it reads`. The defaults are arithmetic on published figures, not a measurement: Llama 3 8B in
//! 16 bits on one A100 80 GB (2.04 TB/s, 312 TFLOP/s). Whoever knows better numbers of their own engine gives
//! those.

use serde::Serialize;

use corliss_sim_trace::SimError;

/// Largest cost of anything, in nanoseconds: a quarter of an hour. Keeps all sums far from their limits.
const MAX_COST_NS: u64 = 1_000_000_000_000;

/// One replica. All replicas are alike but for their speed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Engine {
    /// What every iteration costs, in nanoseconds. Default 7,900,000: 16.1 GB of weights read at 2.04 TB/s.
    pub iteration_ns: u64,
    /// What each token of a prompt adds, in nanoseconds. Default 103,000: 16.1 GFLOP at half of 312 TFLOP/s.
    pub prefill_token_ns: u64,
    /// What each decoding sequence adds, in nanoseconds. Default 50,000: half of a prompt's token, since its
    /// arithmetic overlaps with the reading of the weights.
    pub sequence_ns: u64,
    /// What each token of context adds that is read, in nanoseconds. Default 64: 128 KiB of keys and values
    /// read at 2.04 TB/s.
    pub kv_token_ns: u64,
    /// Tokens whose keys and values fit. Default 426,000: 128 KiB each in 90% of 80 GB less the weights.
    pub kv_tokens: u64,
    /// Most tokens of an iteration: one for each decoding sequence, the rest for pieces of prompts. Default
    /// 2,048, as vLLM has it.
    pub batch_tokens: u32,
    /// Most sequences at once. Default 256, as vLLM has it.
    pub max_sequences: u32,
    /// Whether blocks of prompts are kept for the next prompt that begins with them, as long as there is room.
    pub prefix_cache: bool,
}

impl Default for Engine {
    fn default() -> Self {
        Self {
            iteration_ns: 7_900_000,
            prefill_token_ns: 103_000,
            sequence_ns: 50_000,
            kv_token_ns: 64,
            kv_tokens: 426_000,
            batch_tokens: 2_048,
            max_sequences: 256,
            prefix_cache: true,
        }
    }
}

impl Engine {
    pub(crate) fn check(&self) -> Result<(), SimError> {
        let costs = [
            ("iteration_ns", self.iteration_ns),
            ("prefill_token_ns", self.prefill_token_ns),
            ("sequence_ns", self.sequence_ns),
            ("kv_token_ns", self.kv_token_ns),
        ];
        for (field, cost) in costs {
            if cost > MAX_COST_NS {
                return Err(SimError::setup(
                    field,
                    format!("{field} is {cost}, more than a quarter of an hour"),
                    format!("give at most {MAX_COST_NS}"),
                ));
            }
        }
        if self.iteration_ns == 0 {
            return Err(SimError::setup(
                "iteration_ns",
                "an iteration takes no time",
                "give at least a nanosecond, which is 0.001 µs",
            ));
        }
        if self.max_sequences == 0 || self.batch_tokens <= self.max_sequences {
            return Err(SimError::setup(
                "batch_tokens",
                format!(
                    "{} tokens an iteration leave no room for prompts beside {} sequences",
                    self.batch_tokens, self.max_sequences
                ),
                "give at least one sequence, and more tokens than sequences",
            ));
        }
        Ok(())
    }

    /// The same engine at another speed, in percent.
    pub(crate) fn at_speed(&self, percent: u32) -> Self {
        let scaled = |cost: u64| cost.saturating_mul(100) / u64::from(percent.max(1));
        Self {
            iteration_ns: scaled(self.iteration_ns).max(1),
            prefill_token_ns: scaled(self.prefill_token_ns),
            sequence_ns: scaled(self.sequence_ns),
            kv_token_ns: scaled(self.kv_token_ns),
            ..self.clone()
        }
    }

    /// What an iteration costs.
    pub(crate) fn cost_ns(&self, prefill_tokens: u64, sequences: u64, context: u64) -> u64 {
        let parts = [
            self.iteration_ns,
            self.prefill_token_ns.saturating_mul(prefill_tokens),
            self.sequence_ns.saturating_mul(sequences),
            self.kv_token_ns.saturating_mul(context),
        ];
        parts.into_iter().fold(0, u64::saturating_add)
    }

    /// What `count` iterations cost in which nothing but the answers of so many sequences grows.
    pub(crate) fn decode_ns(&self, count: u64, sequences: u64, context: u64) -> u64 {
        let first = u128::from(self.cost_ns(0, sequences, context));
        let growth = u128::from(self.kv_token_ns) * u128::from(sequences);
        let count = u128::from(count);
        let total = count * first + growth * (count * count.saturating_sub(1) / 2);
        u64::try_from(total).unwrap_or(u64::MAX)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn many_iterations_at_once_cost_what_they_cost_one_by_one() {
        let engine = Engine::default();
        let one_by_one: u64 = (0..500).map(|n| engine.cost_ns(0, 7, 1_000 + 7 * n)).sum();
        assert_eq!(engine.decode_ns(500, 7, 1_000), one_by_one);
        assert_eq!(engine.decode_ns(0, 7, 1_000), 0);
    }

    #[test]
    fn what_cannot_run_is_refused() {
        let refused = |engine: Engine| engine.check().is_err();
        assert!(!refused(Engine::default()));
        assert!(refused(Engine {
            iteration_ns: 0,
            ..Engine::default()
        }));
        assert!(refused(Engine {
            kv_token_ns: u64::MAX,
            ..Engine::default()
        }));
        assert!(refused(Engine {
            batch_tokens: 256,
            ..Engine::default()
        }));
        assert!(refused(Engine {
            max_sequences: 0,
            ..Engine::default()
        }));
    }
}
