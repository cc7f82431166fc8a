//! A KV cache of llama.cpp, the places in it, and the batch that is computed over it.
//!
//! llama.cpp lays a cache out in one of two ways. Where every sequence has cells of its own, the keys that
//! an answer attends to lie side by side and are read at the speed of memory; but each sequence then holds
//! room for the longest request, whether it needs it or not. Where all sequences share one pool, a lone
//! request may have all of it; but the cells of those that run together lie scattered among each other,
//! and at eight sequences of a small model attention takes 40 % of the time instead of 8 %.
//!
//! So there are two caches: one with cells of their own for requests of usual length, and one pool, which
//! holds a request of the model's whole context, for those that are longer ([`shapes`]).

use std::num::NonZeroU32;

use llama_cpp_2::context::LlamaContext;
use llama_cpp_2::context::params::LlamaContextParams;
use llama_cpp_2::llama_batch::LlamaBatch;
use llama_cpp_2::token::LlamaToken;

use super::loaded::{Limits, Loaded, backend, unsupported};
use super::prefix::{Cells, Change, Places};
use super::schedule::BATCH_TOKENS;
use crate::EngineError;

/// Sequences of a model whose cells for them are no burden, and of any other.
const MANY_SEQUENCES: u32 = 32;
const MANY_SEQUENCES_BYTES: u64 = 512 << 20;
const FEW_SEQUENCES: u32 = 8;
/// llama.cpp rounds caches up to this many cells; rounding here keeps our books equal to its.
const CELLS_MULTIPLE: u32 = 256;

/// How a cache is laid out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Shape {
    /// So many cells for each sequence.
    Own(u32),
    /// So many cells for all sequences together.
    Pool(u32),
}

impl Shape {
    /// Cells of the whole cache.
    pub fn cells(self, sequences: u32) -> u32 {
        match self {
            Self::Own(each) => each.saturating_mul(sequences),
            Self::Pool(cells) => cells,
        }
    }

    /// Sequences that it tells apart.
    fn places(self, sequences: u32) -> u32 {
        match self {
            Self::Own(_) => sequences,
            Self::Pool(_) => sequences.saturating_mul(PLACES_OF_POOL).min(PLACES_MAX),
        }
    }

    /// Tokens of the longest request that it takes.
    pub fn longest(self) -> u32 {
        match self {
            Self::Own(cells) | Self::Pool(cells) => cells,
        }
    }
}

/// Cells of its own that a sequence has when not told otherwise. Most requests are shorter, prompt and answer together;
/// where many sequences have them, the longer of these share the pool.
const fn usual_tokens(sequences: u32) -> u32 {
    if sequences > FEW_SEQUENCES { 512 } else { 1024 }
}

/// Sequences to decode at once when not told otherwise.
pub(super) fn default_sequences(cell_bytes: u64) -> u32 {
    let cells = u64::from(MANY_SEQUENCES) * u64::from(usual_tokens(MANY_SEQUENCES));
    if cells * cell_bytes <= MANY_SEQUENCES_BYTES {
        MANY_SEQUENCES
    } else {
        FEW_SEQUENCES
    }
}

/// Cells to make when not told otherwise: a request of usual length for every sequence, and one of the
/// whole context beside them.
pub(super) fn default_cells(context_tokens: u32, sequences: u32) -> u32 {
    let usual = usual_tokens(sequences);
    match context_tokens {
        short if short <= usual => round_up(short).saturating_mul(sequences),
        long => usual.saturating_mul(sequences).saturating_add(long),
    }
}

/// The caches that `cells` (at least the context) are divided into, those for shorter requests first. The
/// last takes a request of the whole context.
pub(super) fn shapes(cells: u32, context_tokens: u32, sequences: u32) -> Vec<Shape> {
    let (context, cells) = (round_up(context_tokens), round_up(cells));
    if cells / sequences >= context {
        return vec![Shape::Own(context)];
    }
    let own = (cells.saturating_sub(context) / sequences) / CELLS_MULTIPLE * CELLS_MULTIPLE;
    if own == 0 {
        return vec![Shape::Pool(cells)];
    }
    vec![Shape::Own(own), Shape::Pool(cells - own * sequences)]
}

fn round_up(cells: u32) -> u32 {
    cells
        .checked_next_multiple_of(CELLS_MULTIPLE)
        .unwrap_or(u32::MAX / CELLS_MULTIPLE * CELLS_MULTIPLE)
}

/// Places of a pool for each request that is decoded at once: what they held stays as long as the pool has room.
const PLACES_OF_POOL: u32 = 2;
/// llama.cpp's own bound on sequences.
const PLACES_MAX: u32 = 256;

/// A cache, its places (sequence ids of llama.cpp) and the next batch over them.
///
/// llama.cpp computes sequences with cells of their own in one pass over the weights only if their ids follow
/// each other; so gaps between running ones are closed.
pub(super) struct Cache<'model> {
    context: LlamaContext<'model>,
    batch: LlamaBatch<'static>,
    shape: Shape,
    places: Places,
}

impl<'model> Cache<'model> {
    /// Makes the cache and decodes one token, so that an engine that reports ready has computed.
    pub fn open(loaded: &'model Loaded, shape: Shape) -> Result<Self, EngineError> {
        let limits = loaded.limits;
        let context = loaded
            .model
            .new_context(backend()?, context_params(limits, shape))
            .map_err(|error| unsupported(format!("llama.cpp made no context ({error})")))?;
        let mut cache = Self {
            context,
            batch: LlamaBatch::new(BATCH_TOKENS, 1),
            shape,
            places: Places::new(
                shape.places(limits.max_sequences) as usize,
                match shape {
                    Shape::Own(each) => Cells::Own(each as usize),
                    Shape::Pool(all) => Cells::Shared(all as usize),
                },
                !loaded.model.is_recurrent() && !loaded.model.is_hybrid(),
            ),
        };
        cache
            .add(LlamaToken::new(0), 0, 0, true)
            .and_then(|_| cache.decode())
            .map_err(|error| unsupported(format!("its first decoding failed ({error})")))?;
        cache.clear();
        Ok(cache)
    }

    /// Whether a request of so many tokens may ever have a place.
    pub fn takes(&self, tokens: usize) -> bool {
        tokens <= self.shape.longest() as usize
    }

    /// Takes a place for a request that needs `cells`, if there is one now; answers the place and how many tokens of the
    /// prompt are there already, of the first `reusable`.
    pub fn take(&mut self, prompt: &[LlamaToken], reusable: usize, cells: usize) -> Option<(usize, usize)> {
        let taken = self.places.take(prompt, reusable, cells)?;
        self.apply(&taken.changes);
        Some((taken.place, taken.cached))
    }

    /// Makes sure that a running place has this many cells; false while they are not there.
    pub fn grow(&mut self, place: usize, cells: usize) -> bool {
        if cells <= self.places.promised_to(place) {
            return true;
        }
        let Some(changes) = self.places.grow(place, cells) else {
            return false;
        };
        self.apply(&changes);
        true
    }

    /// Whether its requests share their cells.
    pub fn is_pool(&self) -> bool {
        matches!(self.shape, Shape::Pool(_))
    }

    /// Gives a place back; what was computed there stays until the place is needed.
    pub fn give_back(&mut self, place: usize) {
        self.places.give_back(place);
    }

    /// Moves a sequence, if that makes running ones lie side by side; answers from where to where.
    pub fn close_gap(&mut self) -> Option<(usize, usize)> {
        let (from, to, changes) = self.places.close_gap()?;
        self.apply(&changes);
        Some((from, to))
    }

    fn apply(&mut self, changes: &[Change]) {
        for change in changes {
            // Neither can fail: positions lie within i32, and no part is taken off a model that cannot go back.
            match *change {
                Change::Copy { from, to } => {
                    let _ = self.context.kv_cache_seq_rm(id(to), None, None);
                    let _ = self.context.copy_kv_cache_seq(id(from), id(to), None, None);
                }
                Change::Keep { place, tokens } => {
                    let beyond = u32::try_from(tokens).ok().filter(|tokens| *tokens > 0);
                    let _ = self.context.kv_cache_seq_rm(id(place), beyond, None);
                }
            }
        }
    }

    /// Gives all places back, empty.
    pub fn clear(&mut self) {
        self.context.clear_kv_cache();
        self.batch.clear();
        self.places.clear();
    }

    /// Cells promised to running requests.
    pub fn reserved(&self) -> usize {
        self.places.promised()
    }

    /// Empties the batch.
    pub fn begin_batch(&mut self) {
        self.batch.clear();
    }

    /// Adds a token to the batch, in order of places; answers where its scores will be, if it has any.
    pub fn add(
        &mut self,
        token: LlamaToken,
        position: usize,
        place: usize,
        scores: bool,
    ) -> Result<i32, String> {
        let at = self.batch.n_tokens();
        let stands = i32::try_from(position).map_err(|error| error.to_string())?;
        self.batch
            .add(token, stands, &[id(place)], scores)
            .map_err(|error| error.to_string())?;
        self.places.note(place, position, token);
        Ok(at)
    }

    /// Computes the batch.
    pub fn decode(&mut self) -> Result<(), String> {
        self.context
            .decode(&mut self.batch)
            .map_err(|error| error.to_string())
    }

    /// The score of each token of the vocabulary, after the token that [`Self::add`] put there.
    pub fn scores(&self, at: i32) -> &[f32] {
        self.context.get_logits_ith(at)
    }
}

/// Places are bounded by llama.cpp's own limit of sequences, 256.
fn id(place: usize) -> i32 {
    i32::try_from(place).unwrap_or(i32::MAX)
}

fn context_params(limits: Limits, shape: Shape) -> LlamaContextParams {
    LlamaContextParams::default()
        .with_n_ctx(NonZeroU32::new(shape.cells(limits.max_sequences)))
        .with_n_batch(BATCH_TOKENS as u32)
        .with_n_ubatch(BATCH_TOKENS as u32)
        .with_n_seq_max(shape.places(limits.max_sequences))
        .with_kv_unified(matches!(shape, Shape::Pool(_)))
        .with_n_threads(limits.threads)
        .with_n_threads_batch(limits.threads)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn usual_requests_have_cells_of_their_own_and_long_ones_share_a_pool() {
        let default = |context, sequences| shapes(default_cells(context, sequences), context, sequences);
        assert_eq!(default(8192, 8), [Shape::Own(1024), Shape::Pool(8192)]);
        assert_eq!(default(8192, 1), [Shape::Own(8192)]);
        assert_eq!(default(8192, 32), [Shape::Own(512), Shape::Pool(8192)]);
        assert_eq!(default(1000, 8), [Shape::Own(1024)]);
        assert_eq!(default(256, 4), [Shape::Own(256)]);
        // Too few for cells of their own beside a whole context.
        assert_eq!(shapes(8192, 8192, 8), [Shape::Pool(8192)]);
        assert_eq!(shapes(9000, 8192, 8), [Shape::Pool(9216)]);
        assert_eq!(shapes(8192, 8192, 1), [Shape::Own(8192)]);
    }

    #[test]
    fn models_with_small_cells_decode_more_sequences_at_once() {
        // SmolLM2-135M: 30 layers, 3 heads of 64 numbers; Llama 3 8B: 32 layers, 8 heads of 128.
        assert_eq!(default_sequences(30 * 3 * 64 * 4), 32);
        assert_eq!(default_sequences(32 * 8 * 128 * 4), 8);
    }

    proptest! {
        #[test]
        fn every_request_has_a_cache_and_no_cell_is_made_twice(
            context in 1_u32..200_000, spare in 0_u32..200_000, sequences in 1_u32..=256,
        ) {
            let cells = round_up(context + spare);
            let shapes = shapes(cells, context, sequences);
            prop_assert!(shapes.last().is_some_and(|last| last.longest() >= context));
            prop_assert!(shapes.is_sorted_by_key(|shape| shape.longest()));
            prop_assert!(shapes.iter().all(|shape| shape.longest() % CELLS_MULTIPLE == 0));
            prop_assert!(shapes.iter().map(|shape| shape.cells(sequences)).sum::<u32>() <= cells);
        }
    }
}
