//! The one thread that owns llama.cpp's contexts. Each turn: drop sequences whose caller left, admit new
//! ones, join everybody's next tokens into one batch for each cache, decode it, then sample and send.

use std::ops::Range;
use std::sync::{Arc, mpsc};

use corliss_diagnostics::ErrorReport;
use llama_cpp_2::token::LlamaToken;
use llguidance::toktrie::SimpleVob;

use super::cache::{Cache, shapes};
use super::embedder::Embedder;
use super::loaded::{Loaded, unsupported};
use super::logprobs;
use super::queue::Queue;
use super::request::Job;
use super::sampler::Sampler;
use super::schedule::{Phase, shares};
use super::text::{Piece, TextBuffer};
use super::tools::{CallReader, Part};
use crate::EngineError;
use crate::protocol::{FinishReason, GenerateEvent, TokenLogprob};

/// Decoding that fails this often in a row will not heal; the process ends and is started again.
const MAX_FAILURES: u32 = 3;

/// Starts the thread and waits until its caches stand.
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
    let caches = match open_caches(loaded) {
        Ok(caches) => {
            let _ = ready.send(Ok(()));
            caches
        }
        Err(error) => {
            let _ = ready.send(Err(error));
            return;
        }
    };
    let mut worker = Worker {
        loaded,
        queue,
        caches,
        running: Vec::new(),
        embedder: Embedder::new(loaded),
        failures: 0,
    };
    while worker.turn() {}
    worker.end();
}

fn open_caches(loaded: &Loaded) -> Result<Vec<Cache<'_>>, EngineError> {
    let limits = loaded.limits;
    shapes(limits.kv_tokens, limits.context_tokens, limits.max_sequences)
        .into_iter()
        .map(|shape| Cache::open(loaded, shape))
        .collect()
}

/// A request with a place in a cache.
struct Sequence {
    /// Which of the worker's caches.
    cache: usize,
    place: usize,
    job: Job,
    /// Prompt tokens computed.
    computed: usize,
    /// The token that was sampled last and is computed next.
    next: Option<LlamaToken>,
    generated: u32,
    sampler: Sampler,
    text: TextBuffer,
    calls: Option<CallReader>,
    logprobs: Vec<TokenLogprob>,
    finished: Option<Ending>,
}

/// How an answer ended.
enum Ending {
    Complete(FinishReason),
    /// Its format took too much work to follow.
    Lost(String),
}

/// What of a sequence is in a batch.
struct Added {
    /// Tokens of its prompt.
    prompt: Range<usize>,
    /// Where in the batch its first token is, and the scores after it if it has any.
    first: i32,
    /// Where the scores are from which its next token is sampled.
    scores: Option<i32>,
}

impl Sequence {
    fn new(job: Job, at: Admitted) -> Self {
        Self {
            cache: at.cache,
            place: at.place,
            computed: at.cached,
            next: None,
            generated: 0,
            sampler: Sampler::new(job.sampling.clone(), &job.prompt, job.seed),
            text: TextBuffer::new(job.stops.clone()),
            calls: job.calls.map(CallReader::new),
            logprobs: Vec::new(),
            finished: None,
            job,
        }
    }

    fn phase(&self) -> Phase {
        match self.job.prompt.len() - self.computed {
            0 => Phase::Answer,
            waiting if self.job.scores_prompt() => Phase::ScoredPrompt(waiting),
            waiting => Phase::Prompt(waiting),
        }
    }

    /// Adds the next tokens to the cache's batch.
    fn add_to(&mut self, cache: &mut Cache<'_>, share: usize) -> Result<Added, String> {
        let prompt = &self.job.prompt;
        if let Some(token) = self.next {
            // The token sampled k-th (k from 1) stands k-1 places after the prompt.
            let position = prompt.len() + self.generated as usize - 1;
            let at = cache.add(token, position, self.place, true)?;
            return Ok(Added {
                prompt: prompt.len()..prompt.len(),
                first: at,
                scores: Some(at),
            });
        }
        let all_scored = self.job.scores_prompt();
        let added = self.computed..self.computed + share;
        let (mut first, mut scores) = (None, None);
        for position in added.clone() {
            let last = position + 1 == prompt.len();
            let at = cache.add(prompt[position], position, self.place, last || all_scored)?;
            first = first.or(Some(at));
            scores = last.then_some(at);
        }
        self.computed += share;
        Ok(Added {
            prompt: added,
            first: first.unwrap_or_default(),
            scores,
        })
    }

    /// Sends the part of the prompt that is known now, if it is to be echoed: each token's scores stand
    /// behind the token before it.
    fn echo(&mut self, added: &Added, cache: &Cache<'_>, loaded: &Loaded) {
        let Some(echo) = &mut self.job.echo else {
            return;
        };
        if added.prompt.is_empty() {
            return;
        }
        let prompt = &self.job.prompt;
        let id = |at: usize| usize::try_from(prompt[at].0).unwrap_or(usize::MAX);
        let mut known = added.prompt.end;
        if let Some(count) = self.job.logprobs {
            if added.prompt.start == 0 {
                self.logprobs.push(logprobs::unscored(id(0), echo.piece(0)));
            }
            known = (known + 1).min(prompt.len());
            for (scores, at) in (added.first..).zip(added.prompt.start + 1..known) {
                let scored = logprobs::scored(cache.scores(scores), id(at), echo.piece(at), count, loaded);
                self.logprobs.push(scored);
            }
        }
        let text = echo.take(known);
        send_text(self, text);
    }

    /// Samples the next token and sends what it adds to the answer; answers whether it added any.
    fn advance(&mut self, scores: &[f32], loaded: &Loaded) -> bool {
        if self.job.max_tokens == 0 {
            self.finished = Some(Ending::Complete(FinishReason::Length));
            return false;
        }
        let before = self.generated;
        self.finished = match step(self, scores, loaded) {
            Ok(finished) => finished.map(|reason| Ending::Complete(self.told(reason))),
            Err(reason) => Some(Ending::Lost(reason)),
        };
        self.generated > before
    }

    /// Sends what is left of an answer with calls; it ended because of them if there are any and it is whole.
    fn told(&mut self, reason: FinishReason) -> FinishReason {
        let Some(calls) = &mut self.calls else {
            return reason;
        };
        let (rest, made) = (calls.finish(), calls.calls());
        send_parts(self, rest);
        match reason {
            FinishReason::Stop if made > 0 => FinishReason::ToolCalls,
            other => other,
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
    /// Those for shorter requests first.
    caches: Vec<Cache<'a>>,
    /// Oldest first.
    running: Vec<Sequence>,
    embedder: Embedder<'a>,
    failures: u32,
}

impl Worker<'_> {
    /// One iteration; false when it is time to end.
    fn turn(&mut self) -> bool {
        if self.running.is_empty() && !self.embedder.is_busy() && !self.queue.wait() {
            return false;
        }
        if self.queue.stopped() {
            return false;
        }
        self.drop_cancelled();
        self.admit();
        self.close_gaps();
        let phases: Vec<Phase> = self.running.iter().map(Sequence::phase).collect();
        let shares = shares(&phases);
        for cache in 0..self.caches.len() {
            if let Err(reason) = self.compute(cache, &shares) {
                return self.fail_all(&reason);
            }
        }
        self.failures = 0;
        self.finish();
        self.embedder.turn(self.queue);
        true
    }

    fn drop_cancelled(&mut self) {
        let left = self.release(|sequence| sequence.job.events.is_closed());
        if !left.is_empty() {
            self.queue
                .count(|stats| stats.cancelled_total += left.len() as u64);
        }
    }

    fn admit(&mut self) {
        while self.running.len() < self.loaded.limits.max_sequences as usize {
            let mut taken = None;
            let caches = &mut self.caches;
            let job = self.queue.pop_if(|job| {
                taken = take_place(caches, job);
                taken.is_some()
            });
            let (Some(job), Some(at)) = (job, taken) else {
                break;
            };
            let sequence = Sequence::new(job, at);
            let count = |tokens: usize| u32::try_from(tokens).unwrap_or(u32::MAX);
            sequence.send(GenerateEvent::Start {
                prompt_tokens: count(sequence.job.prompt.len()),
                cached_tokens: count(at.cached),
            });
            self.queue.count(|stats| {
                stats.admitted_prompt_tokens_total += sequence.job.prompt.len() as u64;
                stats.cached_prompt_tokens_total += at.cached as u64;
            });
            self.running.push(sequence);
        }
        self.note_reservations();
    }

    fn close_gaps(&mut self) {
        for (at, cache) in self.caches.iter_mut().enumerate() {
            let Some((from, to)) = cache.close_gap() else {
                continue;
            };
            let moved = |one: &&mut Sequence| one.cache == at && one.place == from;
            if let Some(sequence) = self.running.iter_mut().find(moved) {
                sequence.place = to;
            }
        }
    }

    /// Decodes the next tokens of one cache's sequences, given each sequence's share of the turn, and goes
    /// on from their scores.
    fn compute(&mut self, cache: usize, shares: &[usize]) -> Result<(), String> {
        let mut members: Vec<usize> = (0..self.running.len())
            .filter(|at| self.running[*at].cache == cache && shares[*at] > 0)
            .collect();
        if members.is_empty() {
            return Ok(());
        }
        members.sort_by_key(|at| self.running[*at].place);
        let cache = &mut self.caches[cache];
        cache.begin_batch();
        let mut batched = Vec::with_capacity(members.len());
        for at in &members {
            batched.push((*at, self.running[*at].add_to(cache, shares[*at])?));
        }
        cache.decode()?;
        let (mut decoded, mut prompts) = (0, 0);
        for (at, added) in batched {
            let sequence = &mut self.running[at];
            sequence.echo(&added, cache, self.loaded);
            prompts += added.prompt.len() as u64;
            if let Some(scores) = added.scores {
                decoded += u64::from(sequence.advance(cache.scores(scores), self.loaded));
            }
        }
        let size = u32::try_from(members.len()).unwrap_or(u32::MAX);
        self.queue.count(|stats| {
            *stats.batch_sizes.entry(size).or_default() += 1;
            stats.prompt_tokens_total += prompts;
            stats.decoded_tokens_total += decoded;
        });
        Ok(())
    }

    /// Ends the answers that are complete. What they held is counted as free before their callers hear it.
    fn finish(&mut self) {
        let ended = self.release(|sequence| sequence.finished.is_some());
        self.note_reservations();
        let is_lost = |sequence: &&Sequence| matches!(sequence.finished, Some(Ending::Lost(_)));
        let lost = ended.iter().filter(is_lost).count();
        self.queue.count(|stats| {
            stats.completed_total += (ended.len() - lost) as u64;
            stats.failed_total += lost as u64;
        });
        for sequence in ended {
            match &sequence.finished {
                Some(Ending::Complete(finish_reason)) => sequence.send(GenerateEvent::End {
                    finish_reason: *finish_reason,
                    completion_tokens: sequence.generated,
                }),
                Some(Ending::Lost(reason)) => {
                    let detail = format!("the answer's format takes too much work to follow ({reason})");
                    let error = ErrorReport::of(&EngineError::invalid("format", detail));
                    sequence.send(GenerateEvent::Error { error });
                }
                None => {}
            }
        }
    }

    /// Takes the sequences that leave out of their places.
    fn release(&mut self, leaves: impl Fn(&Sequence) -> bool) -> Vec<Sequence> {
        let mut left = Vec::new();
        while let Some(at) = self.running.iter().position(&leaves) {
            let gone = self.running.remove(at);
            self.caches[gone.cache].give_back(gone.place);
            left.push(gone);
        }
        left
    }

    /// Ends every running sequence with an error; false when failures go on and the engine must end.
    fn fail_all(&mut self, reason: &str) -> bool {
        self.failures += 1;
        tracing::error!(reason, "decoding failed");
        let error = ErrorReport::of(&EngineError::Compute {
            detail: reason.to_owned(),
        });
        let failed = std::mem::take(&mut self.running);
        self.caches.iter_mut().for_each(Cache::clear);
        self.queue
            .count(|stats| stats.failed_total += failed.len() as u64);
        self.note_reservations();
        for sequence in failed {
            sequence.send(GenerateEvent::Error { error: error.clone() });
        }
        if self.failures >= MAX_FAILURES {
            self.queue
                .fail(format!("decoding failed {MAX_FAILURES} times in a row: {reason}"));
            return false;
        }
        true
    }

    fn note_reservations(&self) {
        let reserved: usize = self.caches.iter().map(Cache::reserved).sum();
        let running = self.running.len() as u64;
        self.queue.count(|stats| {
            stats.kv_tokens_reserved = reserved as u64;
            stats.running = running;
        });
    }

    fn end(&mut self) {
        let error = ErrorReport::of(&EngineError::Stopped);
        for sequence in std::mem::take(&mut self.running) {
            sequence.send(GenerateEvent::Error { error: error.clone() });
        }
        self.embedder.end();
        self.queue.stop();
    }
}

/// Where a request runs, and how much of its prompt is there.
#[derive(Clone, Copy)]
struct Admitted {
    cache: usize,
    place: usize,
    cached: usize,
}

/// A place for a request, in the first cache that takes as many tokens.
fn take_place(caches: &mut [Cache<'_>], job: &Job) -> Option<Admitted> {
    let cells = job.reservation();
    let (at, cache) = caches
        .iter_mut()
        .enumerate()
        .find(|(_, cache)| cache.takes(cells))?;
    let (place, cached) = cache.take(&job.prompt, job.reusable(), cells)?;
    Some(Admitted {
        cache: at,
        place,
        cached,
    })
}

/// Samples one token and sends what it adds to the answer. An error is the answer's format's.
fn step(sequence: &mut Sequence, logits: &[f32], loaded: &Loaded) -> Result<Option<FinishReason>, String> {
    let allowed = match &mut sequence.job.constraint {
        None => None,
        Some(constraint) => Some(constraint.allowed()?),
    };
    let token = sequence
        .sampler
        .pick(logits, allowed.as_ref().map(SimpleVob::as_slice));
    if loaded.ends.get(token).copied().unwrap_or(true) {
        // Whoever scores a prompt counts on one more token behind it, and leaves it out, whatever it is.
        if let Some(count) = sequence.job.logprobs.filter(|_| sequence.job.echo.is_some()) {
            let shown = loaded.shown(token);
            let ending = logprobs::scored(logits, token, &shown, count, loaded);
            sequence.logprobs.push(ending);
        }
        let rest = sequence.text.flush();
        send_text(sequence, rest);
        return Ok(Some(FinishReason::Stop));
    }
    let complete = match &mut sequence.job.constraint {
        None => false,
        Some(constraint) => constraint.accept(token)?,
    };
    sequence.generated += 1;
    sequence.next = i32::try_from(token).ok().map(LlamaToken::new);
    let bytes = loaded.pieces.get(token).map_or(&[][..], |piece| piece);
    if let Some(count) = sequence.job.logprobs {
        sequence
            .logprobs
            .push(logprobs::answered(logits, token, count, loaded));
    }
    let ended = if complete {
        Some(FinishReason::Stop)
    } else {
        let last = sequence.generated >= sequence.job.max_tokens;
        last.then_some(FinishReason::Length)
    };
    Ok(match sequence.text.push(bytes) {
        Piece::Stopped(text) => {
            send_text(sequence, text);
            Some(FinishReason::Stop)
        }
        Piece::Text(text) => {
            let rest = if ended.is_some() {
                sequence.text.flush()
            } else {
                String::new()
            };
            send_text(sequence, text + &rest);
            ended
        }
    })
}

/// Sends more of the answer, calls of tools apart from text.
fn send_text(sequence: &mut Sequence, text: String) {
    let Some(calls) = &mut sequence.calls else {
        send_token(sequence, text);
        return;
    };
    let parts = calls.push(&text);
    send_parts(sequence, parts);
}

fn send_parts(sequence: &mut Sequence, parts: Vec<Part>) {
    // Of this answer's calls, the last that began before these parts.
    let begun = parts
        .iter()
        .filter(|part| matches!(part, Part::Call { .. }))
        .count();
    let calls = sequence.calls.as_ref().map_or(0, CallReader::calls) as usize;
    let mut next = calls.saturating_sub(begun);
    let number = |next: usize| u32::try_from(next).unwrap_or(u32::MAX);
    for part in parts {
        match part {
            Part::Text(text) => send_token(sequence, text),
            Part::Call { name } => {
                sequence.send(GenerateEvent::ToolCall {
                    index: number(next),
                    name: Some(name),
                    arguments: String::new(),
                });
                next += 1;
            }
            Part::Arguments(arguments) => sequence.send(GenerateEvent::ToolCall {
                index: number(next.saturating_sub(1)),
                name: None,
                arguments,
            }),
        }
    }
    send_token(sequence, String::new());
}

fn send_token(sequence: &mut Sequence, text: String) {
    if text.is_empty() && sequence.logprobs.is_empty() {
        return;
    }
    let logprobs = std::mem::take(&mut sequence.logprobs);
    sequence.send(GenerateEvent::Token { text, logprobs });
}
