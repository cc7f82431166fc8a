//! A request with a place in a cache: what it adds to each batch, and what it does with the scores.
//!
//! It can be taken out of its place at any time but while it echoes, and goes on in another from what it had.

use std::ops::Range;

use llama_cpp_2::token::LlamaToken;
use llguidance::toktrie::SimpleVob;

use super::cache::Cache;
use super::loaded::Loaded;
use super::logprobs;
use super::request::{Job, PROMISED_TOKENS};
use super::sampler::Sampler;
use super::schedule::Phase;
use super::text::{Piece, TextBuffer};
use super::tools::{CallReader, Part};
use crate::protocol::{FinishReason, GenerateEvent, TokenLogprob};

/// A request with a place in a cache.
pub(super) struct Sequence {
    /// Which of the worker's caches.
    pub cache: usize,
    pub place: usize,
    pub job: Job,
    /// Prompt tokens computed.
    pub computed: usize,
    /// KV cells that it needs at most.
    most: usize,
    /// Tokens sampled since it has this place; the last is computed next.
    answered: Vec<LlamaToken>,
    pub generated: u32,
    sampler: Sampler,
    text: TextBuffer,
    calls: Option<CallReader>,
    logprobs: Vec<TokenLogprob>,
    pub finished: Option<Ending>,
}

/// What a request had when it lost its place.
#[derive(Debug)]
pub(super) struct Progress {
    pub generated: u32,
    sampler: Sampler,
    text: TextBuffer,
    calls: Option<CallReader>,
}

/// How an answer ended.
pub(super) enum Ending {
    Complete(FinishReason),
    /// Its own deadline has passed.
    Late,
    /// Its format took too much work to follow.
    Lost(String),
}

/// What of a sequence is in a batch.
pub(super) struct Added {
    /// Tokens of its prompt.
    pub prompt: Range<usize>,
    /// Where in the batch its first token is, and the scores after it if it has any.
    first: i32,
    /// Where the scores are from which its next token is sampled.
    pub scores: Option<i32>,
}

impl Sequence {
    /// A request that was given this place in this cache, where so many tokens of its prompt are computed.
    pub fn new(mut job: Job, cache: usize, place: usize, cached: usize) -> Self {
        let most = job.reservation();
        let progress = job
            .progress
            .take()
            .map_or_else(|| Progress::none(&job), |progress| *progress);
        Self {
            cache,
            place,
            computed: cached,
            most,
            answered: Vec::new(),
            generated: progress.generated,
            sampler: progress.sampler,
            text: progress.text,
            calls: progress.calls,
            logprobs: Vec::new(),
            finished: None,
            job,
        }
    }

    /// Takes it out of its place, with what it has.
    pub fn into_job(self) -> Job {
        let mut job = self.job;
        job.prompt.extend(self.answered);
        job.progress = Some(Box::new(Progress {
            generated: self.generated,
            sampler: self.sampler,
            text: self.text,
            calls: self.calls,
        }));
        job
    }

    /// KV cells that it needs for its next turn, and those that it would like to be promised with them.
    pub fn cells(&self) -> (usize, usize) {
        let needed = self.job.prompt.len() + self.answered.len();
        (needed, (needed + PROMISED_TOKENS).min(self.most.max(needed)))
    }

    pub fn phase(&self) -> Phase {
        match self.job.prompt.len() - self.computed {
            0 => Phase::Answer,
            waiting if self.job.scores_prompt() => Phase::ScoredPrompt(waiting),
            waiting => Phase::Prompt(waiting),
        }
    }

    /// Adds the next tokens to the cache's batch.
    pub fn add_to(&mut self, cache: &mut Cache<'_>, share: usize) -> Result<Added, String> {
        let prompt = &self.job.prompt;
        if let Some(token) = self.answered.last() {
            // The token sampled k-th (k from 1) stands k-1 places after the prompt.
            let position = prompt.len() + self.answered.len() - 1;
            let at = cache.add(*token, position, self.place, true)?;
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
    pub fn echo(&mut self, added: &Added, cache: &Cache<'_>, loaded: &Loaded) {
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
    pub fn advance(&mut self, scores: &[f32], loaded: &Loaded) -> bool {
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

    pub fn send(&self, event: GenerateEvent) {
        // A caller that left is noticed at the start of the next turn.
        let _ = self.job.events.send(event);
    }
}

impl Progress {
    fn none(job: &Job) -> Self {
        Self {
            generated: 0,
            sampler: Sampler::new(job.sampling.clone(), &job.prompt, job.seed),
            text: TextBuffer::new(job.stops.clone()),
            calls: job.calls.map(CallReader::new),
        }
    }
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
    let id = i32::try_from(token).map_err(|error| error.to_string())?;
    sequence.answered.push(LlamaToken::new(id));
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
