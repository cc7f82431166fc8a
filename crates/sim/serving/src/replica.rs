//! One replica: an engine with continuous batching, chunked prefill and a prefix cache, under a virtual clock.
//!
//! At each boundary between iterations the next batch is made: one token for every sequence that decodes, then
//! pieces of the prompts that are under way, then prompts from the queue, first come, first served, as long as
//! the token budget, the number of sequences and the memory allow. A sequence is admitted when its whole
//! prompt and answer fit, so none is ever preempted.

use std::collections::VecDeque;

use crate::cache::BlockCache;
use crate::engine::Engine;
use crate::trace::Trace;

/// What happened to a request (its place in the trace).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Told {
    /// It left the queue; so many tokens of its prompt were cached.
    Admitted { request: usize, at_ns: u64, cached: u32 },
    /// Its prompt is computed, and the first token of its answer.
    First { request: usize, at_ns: u64 },
    /// More tokens of its answer.
    Decoded { request: usize, tokens: u64 },
    /// Its answer is complete.
    Finished { request: usize, at_ns: u64 },
}

#[derive(Debug)]
struct Sequence {
    request: usize,
    prompt: u64,
    /// Tokens of the prompt that are computed or were cached.
    done: u64,
    /// Tokens of the prompt in the iteration that goes on.
    piece: u64,
    output: u64,
    produced: u64,
    /// How many of the prompt's full blocks it uses in the cache.
    entered: usize,
    /// Memory that it has for itself, in tokens: all that is not in those blocks.
    own: u64,
}

impl Sequence {
    fn decodes(&self) -> bool {
        self.produced > 0
    }
}

#[derive(Debug)]
pub(crate) struct Replica<'t> {
    trace: &'t Trace,
    engine: Engine,
    /// The boundary that the next iteration starts at.
    clock_ns: u64,
    /// When the iteration that goes on ends; its batch is made.
    ends_ns: Option<u64>,
    waiting: VecDeque<usize>,
    running: Vec<Sequence>,
    cache: BlockCache,
    /// Memory of all sequences beside the cache, in tokens.
    own: u64,
}

impl<'t> Replica<'t> {
    pub(crate) fn new(trace: &'t Trace, engine: Engine) -> Self {
        Self {
            trace,
            engine,
            clock_ns: 0,
            ends_ns: None,
            waiting: VecDeque::new(),
            running: Vec::new(),
            cache: BlockCache::default(),
            own: 0,
        }
    }

    /// Puts a request into the queue, at a time up to which the replica was advanced. It must fit
    /// [`Engine::kv_tokens`].
    pub(crate) fn enqueue(&mut self, request: usize, now_ns: u64) {
        if self.ends_ns.is_none() && self.running.is_empty() && self.waiting.is_empty() {
            self.clock_ns = self.clock_ns.max(now_ns);
        }
        self.waiting.push_back(request);
    }

    /// Carries out every iteration that ends by then.
    pub(crate) fn advance(&mut self, until_ns: u64, told: &mut Vec<Told>) {
        loop {
            if let Some(end) = self.ends_ns {
                if end > until_ns {
                    return;
                }
                self.ends_ns = None;
                self.clock_ns = end;
                self.complete(told);
            }
            let prefill = self.make_batch(told);
            if self.running.is_empty() {
                return;
            }
            if prefill > 0 {
                let (sequences, context) = self.load();
                let cost = self.engine.cost_ns(prefill, sequences, context);
                self.ends_ns = Some(self.clock_ns.saturating_add(cost));
            } else {
                self.decode(until_ns, told);
            }
        }
    }

    /// Sequences that decode, and the tokens of context that the iteration reads.
    fn load(&self) -> (u64, u64) {
        let mut load = (0, 0);
        for sequence in &self.running {
            if sequence.decodes() {
                load.0 += 1;
                load.1 += sequence.prompt + sequence.produced;
            } else if sequence.piece > 0 {
                load.1 += sequence.done + sequence.piece;
            }
        }
        load
    }

    /// Nothing but decoding, until the first answer is complete: as many iterations as end by then, at once.
    fn decode(&mut self, until_ns: u64, told: &mut Vec<Told>) {
        let left = self
            .running
            .iter()
            .map(|sequence| sequence.output - sequence.produced);
        let most = left.min().unwrap_or(0);
        let (sequences, context) = self.load();
        let time = until_ns.saturating_sub(self.clock_ns);
        let takes = |count: u64| self.engine.decode_ns(count, sequences, context);
        let count = if takes(most) <= time {
            most
        } else {
            last_that(most, |count| takes(count) <= time)
        };
        self.clock_ns = self.clock_ns.saturating_add(takes(count));
        if count > 0 {
            for sequence in &mut self.running {
                sequence.produced += count;
                told.push(Told::Decoded {
                    request: sequence.request,
                    tokens: count,
                });
            }
            self.release(told);
        }
        if count < most {
            // The next one goes on at `until`: what arrives meanwhile is too late for it.
            let (sequences, context) = self.load();
            let cost = self.engine.cost_ns(0, sequences, context);
            self.ends_ns = Some(self.clock_ns.saturating_add(cost));
        }
    }

    /// The end of an iteration: pieces of prompts are computed, every other sequence has one more token.
    fn complete(&mut self, told: &mut Vec<Told>) {
        let at_ns = self.clock_ns;
        for sequence in &mut self.running {
            let request = sequence.request;
            if sequence.decodes() {
                sequence.produced += 1;
                told.push(Told::Decoded { request, tokens: 1 });
                continue;
            }
            sequence.done += sequence.piece;
            sequence.piece = 0;
            if self.engine.prefix_cache {
                let size = u64::from(self.trace.block_tokens());
                let blocks = full_blocks(self.trace, request);
                while let Some(block) = blocks.get(sequence.entered)
                    && (sequence.entered as u64 + 1) * size <= sequence.done
                {
                    // Somebody else may have computed it meanwhile: then ours is let go.
                    self.cache.enter(*block);
                    sequence.entered += 1;
                    sequence.own -= size;
                    self.own -= size;
                }
            }
            if sequence.done == sequence.prompt {
                sequence.produced = 1;
                told.push(Told::First { request, at_ns });
            }
        }
        self.release(told);
    }

    /// Lets complete answers go.
    fn release(&mut self, told: &mut Vec<Told>) {
        let (trace, cache, own, at_ns) = (self.trace, &mut self.cache, &mut self.own, self.clock_ns);
        self.running.retain(|sequence| {
            if sequence.produced < sequence.output {
                return true;
            }
            *own -= sequence.own;
            if let Some(entered) = full_blocks(trace, sequence.request).get(..sequence.entered) {
                cache.leave(entered);
            }
            told.push(Told::Finished {
                request: sequence.request,
                at_ns,
            });
            false
        });
    }

    /// Decides what the next iteration computes; the number of prompt tokens in it.
    fn make_batch(&mut self, told: &mut Vec<Told>) -> u64 {
        let decoding = self.running.iter().filter(|sequence| sequence.decodes()).count() as u64;
        let budget = u64::from(self.engine.batch_tokens).saturating_sub(decoding);
        let mut left = budget;
        for sequence in self.running.iter_mut().filter(|sequence| !sequence.decodes()) {
            sequence.piece = left.min(sequence.prompt - sequence.done);
            left -= sequence.piece;
        }
        while left > 0
            && self.running.len() < self.engine.max_sequences as usize
            && let Some(request) = self.waiting.front().copied()
            && let Some(mut sequence) = self.admit(request)
        {
            self.waiting.pop_front();
            told.push(Told::Admitted {
                request,
                at_ns: self.clock_ns,
                cached: u32::try_from(sequence.done).unwrap_or(u32::MAX),
            });
            sequence.piece = left.min(sequence.prompt - sequence.done);
            left -= sequence.piece;
            self.running.push(sequence);
        }
        budget - left
    }

    /// The request as a sequence with its memory, if there is room.
    fn admit(&mut self, request: usize) -> Option<Sequence> {
        let recorded = self.trace.requests().get(request)?;
        let (prompt, output) = (
            u64::from(recorded.prompt_tokens),
            u64::from(recorded.output_tokens),
        );
        let size = u64::from(self.trace.block_tokens());
        let mut blocks = full_blocks(self.trace, request);
        if blocks.len() as u64 * size == prompt {
            // The last token is computed all the same: the answer's first one follows from it.
            blocks = &blocks[..blocks.len().saturating_sub(1)];
        }
        let (hit, unused) = self.cache.matched(blocks);
        let own = prompt + output - hit as u64 * size;
        let kept = (self.cache.in_use() + unused) * size;
        if self.own + kept + own > self.engine.kv_tokens {
            return None;
        }
        for block in &blocks[..hit] {
            self.cache.enter(*block);
        }
        self.own += own;
        while self.own + self.cache.resident() * size > self.engine.kv_tokens && self.cache.evict() {}
        Some(Sequence {
            request,
            prompt,
            done: hit as u64 * size,
            piece: 0,
            output,
            produced: 0,
            entered: hit,
            own,
        })
    }
}

fn full_blocks(trace: &Trace, request: usize) -> &[u64] {
    let recorded = trace.requests().get(request);
    recorded.map_or(&[], |recorded| trace.full_blocks(recorded))
}

/// The largest number up to `most` for which `holds` does, which holds for 0 and then up to some number.
fn last_that(most: u64, holds: impl Fn(u64) -> bool) -> u64 {
    let (mut low, mut high) = (0, most);
    while low < high {
        let middle = high - (high - low) / 2;
        if holds(middle) {
            low = middle;
        } else {
            high = middle - 1;
        }
    }
    low
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// One token of prompt takes 1 ns, an iteration 100, a decoding sequence 10.
    fn engine() -> Engine {
        Engine {
            iteration_ns: 100,
            prefill_token_ns: 1,
            sequence_ns: 10,
            kv_token_ns: 0,
            kv_tokens: 10_000,
            batch_tokens: 50,
            max_sequences: 4,
            prefix_cache: true,
        }
    }

    fn trace(block_tokens: u32, requests: &[(u32, u32, &[u64])]) -> Trace {
        let mut trace = Trace::new(block_tokens);
        for (prompt, output, blocks) in requests {
            trace.push(0, *prompt, *output, blocks);
        }
        trace
    }

    fn run(trace: &Trace, engine: Engine) -> Vec<Told> {
        let mut replica = Replica::new(trace, engine);
        for request in 0..trace.requests().len() {
            replica.enqueue(request, 0);
        }
        let mut told = Vec::new();
        replica.advance(u64::MAX, &mut told);
        assert_eq!((replica.own, replica.cache.in_use()), (0, 0));
        told
    }

    #[test]
    fn a_prompt_is_computed_in_pieces_beside_what_decodes() {
        // 50 tokens, then (one decodes) 49, then the last 1.
        let trace = trace(0, &[(50, 3, &[]), (50, 1, &[])]);
        let told = run(&trace, engine());
        let expected = [
            Told::Admitted {
                request: 0,
                at_ns: 0,
                cached: 0,
            },
            Told::First {
                request: 0,
                at_ns: 150,
            },
            Told::Admitted {
                request: 1,
                at_ns: 150,
                cached: 0,
            },
            Told::Decoded {
                request: 0,
                tokens: 1,
            },
            Told::Decoded {
                request: 0,
                tokens: 1,
            },
            Told::First {
                request: 1,
                at_ns: 150 + 159 + 111,
            },
            Told::Finished {
                request: 0,
                at_ns: 420,
            },
            Told::Finished {
                request: 1,
                at_ns: 420,
            },
        ];
        assert_eq!(told, expected);
    }

    #[test]
    fn a_cached_beginning_is_not_computed_again() {
        let blocks: &[u64] = &[1, 2, 3];
        let trace = trace(10, &[(35, 1, blocks), (30, 1, blocks)]);
        let mut one_at_a_time = engine();
        one_at_a_time.max_sequences = 1;
        let told = run(&trace, one_at_a_time);
        assert!(told.contains(&Told::First {
            request: 0,
            at_ns: 135
        }));
        // All three blocks are there, but the last token is computed: 10 of 30.
        assert!(told.contains(&Told::Admitted {
            request: 1,
            at_ns: 135,
            cached: 20
        }));
        assert!(told.contains(&Told::First {
            request: 1,
            at_ns: 135 + 110
        }));
        let mut without = engine();
        (without.prefix_cache, without.max_sequences) = (false, 1);
        assert!(run(&trace, without).contains(&Told::First {
            request: 1,
            at_ns: 135 + 130
        }));
    }

    #[test]
    fn a_full_memory_makes_requests_wait() {
        let trace = trace(0, &[(40, 10, &[]), (40, 10, &[])]);
        let mut small = engine();
        small.kv_tokens = 99;
        let told = run(&trace, small);
        let finished = told
            .iter()
            .position(|told| matches!(told, Told::Finished { request: 0, .. }));
        let admitted = told
            .iter()
            .position(|told| matches!(told, Told::Admitted { request: 1, .. }));
        assert!(finished < admitted, "{told:?}");
    }

    prop_compose! {
        fn traces()(requests in prop::collection::vec((1_u32..200, 1_u32..60, 1_u64..64), 1..30)) -> Trace {
            let mut trace = Trace::new(16);
            for (prompt, output, leaf) in requests {
                let mut blocks: Vec<u64> = std::iter::successors(Some(leaf), |at| (*at > 1).then_some(at / 2)).collect();
                blocks.reverse();
                trace.push(0, prompt, output, &blocks);
            }
            trace
        }
    }

    proptest! {
        /// Looked at as often as one likes, it does the same, and every request gets all its tokens; memory is
        /// never more than there is.
        #[test]
        fn looking_changes_nothing(trace in traces(), looks in prop::collection::vec(1_u64..2_000, 0..60)) {
            let mut small = engine();
            (small.kv_tokens, small.kv_token_ns) = (600, 1);
            let count = trace.requests().len();
            let mut at_once = Replica::new(&trace, small.clone());
            let mut in_steps = Replica::new(&trace, small);
            for request in 0..count {
                at_once.enqueue(request, 0);
                in_steps.enqueue(request, 0);
            }
            let (mut whole, mut steps) = (Vec::new(), Vec::new());
            at_once.advance(u64::MAX, &mut whole);
            let mut now = 0;
            for look in looks {
                now += look;
                in_steps.advance(now, &mut steps);
                let used = in_steps.own + in_steps.cache.resident() * 16;
                prop_assert!(used <= 600, "{used}");
            }
            in_steps.advance(u64::MAX, &mut steps);
            let mut tokens = vec![0_u64; count];
            for told in &steps {
                match told {
                    Told::First { request, .. } => tokens[*request] += 1,
                    Told::Decoded { request, tokens: more } => tokens[*request] += more,
                    _ => {}
                }
            }
            let wanted: Vec<u64> = trace.requests().iter().map(|request| u64::from(request.output_tokens)).collect();
            prop_assert_eq!(tokens, wanted);
            // How decoding is told depends on the looks; the rest does not.
            let but_decoding = |told: Vec<Told>| -> Vec<Told> {
                told.into_iter().filter(|told| !matches!(told, Told::Decoded { .. })).collect()
            };
            prop_assert_eq!(but_decoding(whole), but_decoding(steps));
        }
    }
}
