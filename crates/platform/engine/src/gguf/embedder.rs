//! Computes embeddings on the thread that decodes, a bounded part in each of its turns, so that running
//! answers wait for one part at most and the two never compete for the machine's cores.
//!
//! It has a context of its own, made for the first request and made again for an input that is longer than
//! any before: a server that only chats holds no memory for it.

use std::num::NonZeroU32;

use llama_cpp_2::context::LlamaContext;
use llama_cpp_2::context::params::{LlamaContextParams, LlamaPoolingType};
use llama_cpp_2::llama_batch::LlamaBatch;

use super::embedding::{EmbedJob, normalised};
use super::loaded::{Loaded, backend};
use super::queue::Queue;
use crate::EngineError;
use crate::protocol::Embeddings;

/// Tokens of one part. llama.cpp keeps a state, and a score for every token of the vocabulary, behind each.
const PART_TOKENS: usize = 128;
/// Inputs of one part.
const PART_INPUTS: usize = 32;
/// Cells of the first context; longer ones hold a power of two.
const LEAST_CELLS: usize = 1024;

/// The work on one request.
struct Current {
    job: EmbedJob,
    /// Tokens of the first unfinished input that are computed.
    computed: usize,
    /// Sum of the states of that input.
    sum: Vec<f64>,
    vectors: Vec<Vec<f32>>,
}

/// Tokens of one input in a part.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Share {
    input: usize,
    from: usize,
    until: usize,
}

/// The side of the decoding thread that embeds.
pub(super) struct Embedder<'model> {
    loaded: &'model Loaded,
    context: Option<LlamaContext<'model>>,
    cells: usize,
    batch: LlamaBatch<'static>,
    current: Option<Current>,
}

impl<'model> Embedder<'model> {
    /// Without a context.
    pub fn new(loaded: &'model Loaded) -> Self {
        Self {
            loaded,
            context: None,
            cells: 0,
            batch: LlamaBatch::new(PART_TOKENS, 1),
            current: None,
        }
    }

    /// Whether a request is being computed.
    pub fn is_busy(&self) -> bool {
        self.current.is_some()
    }

    /// Computes the next part of the oldest request, if there is one.
    pub fn turn(&mut self, queue: &Queue) {
        if self.current.is_none() {
            self.current = queue.pop_embedding().map(|job| Current {
                computed: 0,
                sum: Vec::new(),
                vectors: Vec::with_capacity(job.inputs.len()),
                job,
            });
        }
        let Some(current) = &mut self.current else {
            return;
        };
        if current.job.answer.is_closed() {
            queue.count(|stats| stats.cancelled_total += 1);
            self.end_current();
            return;
        }
        match self.part() {
            Ok(false) => {}
            Ok(true) => {
                if let Some(done) = self.end_current() {
                    let prompt_tokens = done.job.tokens();
                    queue.count(|stats| {
                        stats.completed_total += 1;
                        stats.prompt_tokens_total += prompt_tokens;
                    });
                    let _ = done.job.answer.send(Ok(Embeddings {
                        vectors: done.vectors,
                        prompt_tokens,
                    }));
                }
            }
            Err(detail) => {
                tracing::error!(detail, "embedding failed");
                self.context = None;
                queue.count(|stats| stats.failed_total += 1);
                if let Some(failed) = self.end_current() {
                    let _ = failed.job.answer.send(Err(EngineError::Compute { detail }));
                }
            }
        }
    }

    /// Tells whoever waits that the engine ends.
    pub fn end(&mut self) {
        if let Some(left) = self.end_current() {
            let _ = left.job.answer.send(Err(EngineError::Stopped));
        }
    }

    fn end_current(&mut self) -> Option<Current> {
        if let Some(context) = &mut self.context {
            context.clear_kv_cache();
        }
        self.current.take()
    }

    /// Computes one part of the current request; answers whether that was the last.
    fn part(&mut self) -> Result<bool, String> {
        let Some(current) = &mut self.current else {
            return Ok(true);
        };
        let wanted = current.job.longest();
        if self.context.is_none() || self.cells < wanted {
            // The old one goes before the new one comes.
            self.context = None;
            self.cells = wanted.next_power_of_two().max(LEAST_CELLS);
            self.context = Some(open(self.loaded, self.cells)?);
        }
        let Some(context) = &mut self.context else {
            return Err("it has no context".to_owned());
        };
        let lengths: Vec<usize> = current.job.inputs.iter().map(Vec::len).collect();
        let shares = shares(&lengths, current.vectors.len(), current.computed);
        self.batch.clear();
        for (place, share) in shares.iter().enumerate() {
            let place = i32::try_from(place).map_err(|error| error.to_string())?;
            for at in share.from..share.until {
                let position = i32::try_from(at).map_err(|error| error.to_string())?;
                self.batch
                    .add(current.job.inputs[share.input][at], position, &[place], true)
                    .map_err(|error| error.to_string())?;
            }
        }
        context
            .decode(&mut self.batch)
            .map_err(|error| error.to_string())?;
        let mut row = 0;
        for share in &shares {
            let tokens = lengths[share.input];
            for at in share.from..share.until {
                let state = context.embeddings_ith(row).map_err(|error| error.to_string())?;
                row += 1;
                if current.job.pooling.counts(at, tokens) {
                    current.sum.resize(state.len(), 0.0);
                    for (sum, value) in current.sum.iter_mut().zip(state) {
                        *sum += f64::from(*value);
                    }
                }
            }
            current.computed = share.until;
            if share.until == tokens {
                current.vectors.push(normalised(&current.sum));
                current.sum.clear();
                current.computed = 0;
            }
        }
        if current.computed == 0 {
            context.clear_kv_cache();
        }
        Ok(current.vectors.len() == lengths.len())
    }
}

/// The next part: as many whole inputs as it takes, or the next tokens of one that is longer than a part.
fn shares(lengths: &[usize], first: usize, computed: usize) -> Vec<Share> {
    let mut shares = Vec::new();
    let mut left = PART_TOKENS;
    for (input, length) in lengths.iter().copied().enumerate().skip(first).take(PART_INPUTS) {
        let from = if input == first { computed } else { 0 };
        let until = length.min(from + left);
        if until < length && input != first {
            break;
        }
        shares.push(Share { input, from, until });
        left -= until - from;
        // What is left of a long input comes alone: the cells hold one such.
        if until < length || length > PART_TOKENS {
            break;
        }
    }
    shares
}

fn open(loaded: &Loaded, cells: usize) -> Result<LlamaContext<'_>, String> {
    let tokens = u32::try_from(PART_TOKENS).unwrap_or(u32::MAX);
    let params = LlamaContextParams::default()
        .with_n_ctx(NonZeroU32::new(u32::try_from(cells).unwrap_or(u32::MAX)))
        .with_n_batch(tokens)
        .with_n_ubatch(tokens)
        .with_n_seq_max(u32::try_from(PART_INPUTS).unwrap_or(1))
        .with_kv_unified(true)
        .with_embeddings(true)
        // Pooled here: llama.cpp would pool each part by itself.
        .with_pooling_type(LlamaPoolingType::None)
        .with_n_threads(loaded.limits.threads)
        .with_n_threads_batch(loaded.limits.threads);
    let backend = backend().map_err(|error| error.to_string())?;
    loaded
        .model
        .new_context(backend, params)
        .map_err(|error| format!("llama.cpp made no context ({error})"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn share(input: usize, from: usize, until: usize) -> Share {
        Share { input, from, until }
    }

    #[test]
    fn short_inputs_go_together_and_long_ones_alone() {
        assert_eq!(shares(&[50, 60, 30], 0, 0), [share(0, 0, 50), share(1, 0, 60)]);
        assert_eq!(shares(&[300, 5], 0, 128), [share(0, 128, 256)]);
        assert_eq!(shares(&[300, 5], 0, 256), [share(0, 256, 300)]);
        assert_eq!(shares(&[128, 1], 0, 0), [share(0, 0, 128)]);
        assert_eq!(shares(&[1; 100], 40, 0).len(), PART_INPUTS);
    }

    proptest! {
        #[test]
        fn every_token_is_computed_once_in_order(lengths in proptest::collection::vec(1_usize..400, 1..40)) {
            let (mut input, mut computed, mut parts) = (0, 0, 0);
            while input < lengths.len() {
                let part = shares(&lengths, input, computed);
                prop_assert!(!part.is_empty() && part.len() <= PART_INPUTS);
                prop_assert!(part.iter().map(|share| share.until - share.from).sum::<usize>() <= PART_TOKENS);
                for share in &part {
                    prop_assert_eq!((share.input, share.from), (input, computed));
                    prop_assert!(share.until > share.from);
                    computed = share.until;
                    if computed == lengths[input] {
                        (input, computed) = (input + 1, 0);
                    }
                }
                // Unfinished ones are never beside others, whose cells would be cleared with theirs.
                prop_assert!(computed == 0 || part.len() == 1);
                parts += 1;
            }
            prop_assert!(parts <= lengths.iter().map(|length| length.div_ceil(PART_TOKENS)).sum::<usize>());
        }
    }
}
