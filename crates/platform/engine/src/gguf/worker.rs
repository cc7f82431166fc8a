//! The one thread that owns llama.cpp's context. Each turn: drop sequences whose caller left, admit new
//! ones, join everybody's next tokens into one batch, decode it, then sample and send.

use std::num::NonZeroU32;
use std::sync::{Arc, mpsc};

use corliss_diagnostics::ErrorReport;
use llama_cpp_2::context::LlamaContext;
use llama_cpp_2::context::params::LlamaContextParams;
use llama_cpp_2::llama_batch::LlamaBatch;
use llama_cpp_2::token::LlamaToken;

use super::loaded::{Limits, Loaded, backend, unsupported};
use super::queue::Queue;
use super::request::Job;
use super::sampler::{Sampler, log_probabilities};
use super::schedule::{BATCH_TOKENS, Phase, shares};
use super::text::{Piece, TextBuffer};
use crate::EngineError;
use crate::protocol::{FinishReason, GenerateEvent, TokenLogprob};

/// Decoding that fails this often in a row will not heal; the process ends and is started again.
const MAX_FAILURES: u32 = 3;

/// Starts the thread and waits until its context stands.
pub(super) fn start(loaded: Arc<Loaded>, queue: Arc<Queue>) -> Result<(), EngineError> {
    let (ready, is_ready) = mpsc::sync_channel(1);
    std::thread::Builder::new()
        .name("decode".to_owned())
        .spawn(move || run(&loaded, &queue, &ready))
        .map_err(|source| EngineError::io("cannot start the decoding thread", source))?;
    is_ready
        .recv()
        .unwrap_or_else(|_| Err(unsupported("its decoding thread ended".to_owned())))
}

/// Closes the line if the thread ends in a panic, so that nobody waits for an answer that never comes.
struct CloseOnPanic<'a>(&'a Queue);

impl Drop for CloseOnPanic<'_> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.0.fail("the decoding thread panicked".to_owned());
        }
    }
}

fn run(loaded: &Loaded, queue: &Queue, ready: &mpsc::SyncSender<Result<(), EngineError>>) {
    let _guard = CloseOnPanic(queue);
    let mut context = match open_context(loaded) {
        Ok(context) => {
            let _ = ready.send(Ok(()));
            context
        }
        Err(error) => {
            let _ = ready.send(Err(error));
            return;
        }
    };
    let mut worker = Worker {
        loaded,
        queue,
        batch: LlamaBatch::new(BATCH_TOKENS, 1),
        running: Vec::new(),
        free: (0..i32::try_from(loaded.limits.max_sequences).unwrap_or(1))
            .rev()
            .collect(),
        reserved: 0,
        failures: 0,
    };
    while worker.turn(&mut context) {}
    worker.end();
}

/// Makes the context and decodes one token, so that an engine that reports ready has computed.
fn open_context(loaded: &Loaded) -> Result<LlamaContext<'_>, EngineError> {
    let mut context = loaded
        .model
        .new_context(backend()?, context_params(loaded.limits))
        .map_err(|error| unsupported(format!("llama.cpp made no context ({error})")))?;
    let mut batch = LlamaBatch::new(1, 1);
    batch
        .add(LlamaToken::new(0), 0, &[0], true)
        .map_err(|error| unsupported(error.to_string()))?;
    context
        .decode(&mut batch)
        .map_err(|error| unsupported(format!("its first decoding failed ({error})")))?;
    context.clear_kv_cache();
    Ok(context)
}

fn context_params(limits: Limits) -> LlamaContextParams {
    LlamaContextParams::default()
        .with_n_ctx(NonZeroU32::new(limits.kv_tokens))
        .with_n_batch(BATCH_TOKENS as u32)
        .with_n_ubatch(BATCH_TOKENS as u32)
        .with_n_seq_max(limits.max_sequences)
        // One pool of cells for all sequences: a lone request may use the whole context.
        .with_kv_unified(true)
        .with_n_threads(limits.threads)
        .with_n_threads_batch(limits.threads)
}

/// A request with a place in the context.
struct Sequence {
    id: i32,
    job: Job,
    /// Prompt tokens computed.
    computed: usize,
    /// The token that was sampled last and is computed next.
    next: Option<LlamaToken>,
    generated: u32,
    sampler: Sampler,
    text: TextBuffer,
    logprobs: Vec<TokenLogprob>,
}

impl Sequence {
    fn phase(&self) -> Phase {
        match self.job.prompt.len() - self.computed {
            0 => Phase::Answer,
            waiting => Phase::Prompt(waiting),
        }
    }

    fn send(&self, event: GenerateEvent) {
        // A caller that left is noticed at the start of the next turn.
        let _ = self.job.events.send(event);
    }
}

struct Worker<'a> {
    loaded: &'a Loaded,
    queue: &'a Queue,
    batch: LlamaBatch<'static>,
    /// Oldest first.
    running: Vec<Sequence>,
    /// Sequence ids that are not in use.
    free: Vec<i32>,
    /// KV cells promised to running sequences.
    reserved: usize,
    failures: u32,
}

impl Worker<'_> {
    /// One iteration; false when it is time to end.
    fn turn(&mut self, context: &mut LlamaContext<'_>) -> bool {
        if self.running.is_empty() && !self.queue.wait() {
            return false;
        }
        if self.queue.stopped() {
            return false;
        }
        self.drop_cancelled(context);
        self.admit();
        if self.running.is_empty() {
            return true;
        }
        let wanted = match self.fill() {
            Ok(wanted) => wanted,
            Err(reason) => return self.fail_all(context, &reason),
        };
        if let Err(error) = context.decode(&mut self.batch) {
            return self.fail_all(context, &error.to_string());
        }
        self.failures = 0;
        self.advance(context, &wanted);
        self.note_reservations();
        true
    }

    fn drop_cancelled(&mut self, context: &mut LlamaContext<'_>) {
        let left: Vec<i32> = self
            .running
            .iter()
            .filter(|sequence| sequence.job.events.is_closed())
            .map(|left| left.id)
            .collect();
        for id in &left {
            self.release(context, *id);
        }
        if !left.is_empty() {
            self.queue
                .count(|stats| stats.cancelled_total += left.len() as u64);
        }
    }

    fn admit(&mut self) {
        while let Some(id) = self.free.last().copied() {
            let room = (self.loaded.limits.kv_tokens as usize).saturating_sub(self.reserved);
            let Some(job) = self.queue.pop_if(|job| job.reservation() <= room) else {
                break;
            };
            self.free.pop();
            self.reserved += job.reservation();
            let sequence = Sequence {
                id,
                computed: 0,
                next: None,
                generated: 0,
                sampler: Sampler::new(job.sampling.clone(), job.seed),
                text: TextBuffer::new(job.stops.clone()),
                logprobs: Vec::new(),
                job,
            };
            let prompt_tokens = u32::try_from(sequence.job.prompt.len()).unwrap_or(u32::MAX);
            sequence.send(GenerateEvent::Start { prompt_tokens });
            self.running.push(sequence);
        }
        self.note_reservations();
    }

    /// Fills the batch; answers, for each sequence, where its scores will be, if it has any.
    fn fill(&mut self) -> Result<Vec<Option<i32>>, String> {
        self.batch.clear();
        let phases: Vec<Phase> = self.running.iter().map(Sequence::phase).collect();
        let mut wanted = Vec::with_capacity(phases.len());
        for (sequence, share) in self.running.iter_mut().zip(shares(&phases)) {
            let mut scores = None;
            match sequence.next {
                Some(token) => {
                    // The token sampled k-th (k from 1) stands k-1 places after the prompt.
                    let position = sequence.job.prompt.len() + sequence.generated as usize - 1;
                    scores = Some(self.batch.n_tokens());
                    add(&mut self.batch, token, position, sequence.id, true)?;
                }
                None => {
                    for position in sequence.computed..sequence.computed + share {
                        let last = position + 1 == sequence.job.prompt.len();
                        if last {
                            scores = Some(self.batch.n_tokens());
                        }
                        add(
                            &mut self.batch,
                            sequence.job.prompt[position],
                            position,
                            sequence.id,
                            last,
                        )?;
                    }
                    sequence.computed += share;
                }
            }
            wanted.push(scores);
        }
        Ok(wanted)
    }

    /// Samples for every sequence that has scores, sends, and releases those that ended.
    fn advance(&mut self, context: &mut LlamaContext<'_>, wanted: &[Option<i32>]) {
        let mut ended = Vec::new();
        let mut decoded = 0_u64;
        for (sequence, scores) in self.running.iter_mut().zip(wanted) {
            let Some(scores) = scores else { continue };
            let finished = if sequence.job.max_tokens == 0 {
                Some(FinishReason::Length)
            } else {
                let before = sequence.generated;
                let finished = step(sequence, context.get_logits_ith(*scores), self.loaded);
                decoded += u64::from(sequence.generated - before);
                finished
            };
            if let Some(finish_reason) = finished {
                sequence.send(GenerateEvent::End {
                    finish_reason,
                    completion_tokens: sequence.generated,
                });
                ended.push((sequence.id, sequence.job.prompt.len() as u64));
            }
        }
        let size = u32::try_from(self.running.len()).unwrap_or(u32::MAX);
        self.queue.count(|stats| {
            *stats.batch_sizes.entry(size).or_default() += 1;
            stats.decoded_tokens_total += decoded;
            stats.completed_total += ended.len() as u64;
            stats.prompt_tokens_total += ended.iter().map(|(_, prompt)| prompt).sum::<u64>();
        });
        for (id, _) in ended {
            self.release(context, id);
        }
    }

    /// Frees a sequence's place and its cells.
    fn release(&mut self, context: &mut LlamaContext<'_>, id: i32) {
        let Some(at) = self.running.iter().position(|sequence| sequence.id == id) else {
            return;
        };
        let sequence = self.running.remove(at);
        self.reserved -= sequence.job.reservation();
        self.free.push(id);
        // Removing a whole sequence cannot fail: only partial removals can, on recurrent models.
        let _ = context.clear_kv_cache_seq(u32::try_from(id).ok(), None, None);
    }

    /// Ends every running sequence with an error; false when failures go on and the engine must end.
    fn fail_all(&mut self, context: &mut LlamaContext<'_>, reason: &str) -> bool {
        self.failures += 1;
        tracing::error!(reason, "decoding failed");
        let error = ErrorReport::of(&EngineError::Compute {
            detail: reason.to_owned(),
        });
        let failed = self.running.len() as u64;
        for sequence in std::mem::take(&mut self.running) {
            sequence.send(GenerateEvent::Error { error: error.clone() });
            self.free.push(sequence.id);
        }
        self.reserved = 0;
        context.clear_kv_cache();
        self.queue.count(|stats| stats.failed_total += failed);
        self.note_reservations();
        if self.failures >= MAX_FAILURES {
            self.queue
                .fail(format!("decoding failed {MAX_FAILURES} times in a row: {reason}"));
            return false;
        }
        true
    }

    fn note_reservations(&self) {
        let (reserved, running) = (self.reserved as u64, self.running.len() as u64);
        self.queue.count(|stats| {
            stats.kv_tokens_reserved = reserved;
            stats.running = running;
        });
    }

    fn end(&mut self) {
        let error = ErrorReport::of(&EngineError::Stopped);
        for sequence in std::mem::take(&mut self.running) {
            sequence.send(GenerateEvent::Error { error: error.clone() });
        }
        self.queue.stop();
    }
}

fn add(
    batch: &mut LlamaBatch<'_>,
    token: LlamaToken,
    at: usize,
    id: i32,
    scores: bool,
) -> Result<(), String> {
    let position = i32::try_from(at).map_err(|error| error.to_string())?;
    batch
        .add(token, position, &[id], scores)
        .map_err(|error| error.to_string())
}

/// Samples one token and sends what it adds to the answer.
fn step(sequence: &mut Sequence, logits: &[f32], loaded: &Loaded) -> Option<FinishReason> {
    let token = sequence.sampler.pick(logits);
    if loaded.ends.get(token).copied().unwrap_or(true) {
        let rest = sequence.text.flush();
        send_text(sequence, rest);
        return Some(FinishReason::Stop);
    }
    sequence.generated += 1;
    sequence.next = i32::try_from(token).ok().map(LlamaToken::new);
    let bytes = loaded.pieces.get(token).map_or(&[][..], |piece| piece);
    if let Some(count) = sequence.job.logprobs {
        sequence.logprobs.push(logprob(logits, token, count, loaded));
    }
    let last = sequence.generated >= sequence.job.max_tokens;
    match sequence.text.push(bytes) {
        Piece::Stopped(text) => {
            send_text(sequence, text);
            Some(FinishReason::Stop)
        }
        Piece::Text(text) => {
            let text = if last { text + &sequence.text.flush() } else { text };
            send_text(sequence, text);
            last.then_some(FinishReason::Length)
        }
    }
}

fn send_text(sequence: &mut Sequence, text: String) {
    if text.is_empty() && sequence.logprobs.is_empty() {
        return;
    }
    let logprobs = std::mem::take(&mut sequence.logprobs);
    sequence.send(GenerateEvent::Token { text, logprobs });
}

fn logprob(logits: &[f32], token: usize, count: usize, loaded: &Loaded) -> TokenLogprob {
    let (own, top) = log_probabilities(logits, token, count);
    let entry = |token: usize, logprob: f32, top: Vec<TokenLogprob>| {
        let bytes = loaded.pieces.get(token).map_or(&[][..], |piece| piece);
        TokenLogprob {
            id: i32::try_from(token).unwrap_or(-1),
            text: String::from_utf8_lossy(bytes).into_owned(),
            bytes: bytes.to_vec(),
            logprob,
            top,
        }
    };
    let top = top
        .into_iter()
        .map(|(token, logprob)| entry(token, logprob, Vec::new()))
        .collect();
    entry(token, own, top)
}
