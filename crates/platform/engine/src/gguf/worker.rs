//! The one thread that owns llama.cpp's contexts. Each turn: drop sequences whose caller left, admit new
//! ones, join everybody's next tokens into one batch for each cache, decode it, then sample and send.

use std::sync::{Arc, mpsc};
use std::time::{Duration, Instant};

use corliss_diagnostics::ErrorReport;

use super::cache::{Cache, shapes};
use super::constraint;
use super::embedder::Embedder;
use super::loaded::{Loaded, unsupported};
use super::patience::Chooser;
use super::queue::{Queue, Verdict};
use super::request::Job;
use super::run_queue::RunQueue;
use super::schedule::{Phase, Schedule, victim, waits_for_twin};
use super::sequence::{Ending, Sequence};
use crate::protocol::GenerateEvent;
use crate::{EngineError, openmp};

/// Requests that may be overtaken at once, because others compute what they begin with.
const PASSED_MAX: usize = 32;
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
        schedule: Schedule::default(),
        patience: Chooser::new(),
        in_line: RunQueue::of_this_thread(),
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

struct Worker<'a> {
    loaded: &'a Loaded,
    queue: &'a Queue,
    /// Those for shorter requests first.
    caches: Vec<Cache<'a>>,
    /// In order of their turns.
    running: Vec<Sequence>,
    embedder: Embedder<'a>,
    schedule: Schedule,
    patience: Chooser,
    in_line: RunQueue,
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
        self.drop_late();
        self.admit();
        self.close_gaps();
        self.grow();
        // What the thread stood in line for before is not this turn's.
        self.in_line.since();
        let begun = Instant::now();
        let turn = |sequence: &Sequence| (sequence.job.priority, sequence.phase());
        let phases: Vec<(i32, Phase)> = self.running.iter().map(turn).collect();
        let shares = self.schedule.shares(&phases);
        openmp::set_spins(self.patience.now().spins());
        for (cache, members) in self.passes(&phases, &shares) {
            if let Err(reason) = self.compute(cache, &members, &shares) {
                return self.fail_all(&reason);
            }
        }
        self.failures = 0;
        self.note_time(&phases, &shares, begun.elapsed());
        self.finish();
        self.embedder.turn(self.queue);
        true
    }

    /// Notes how long an iteration took.
    fn note_time(&mut self, phases: &[(i32, Phase)], shares: &[usize], took: Duration) {
        let answers = phases.iter().filter(|(_, phase)| *phase == Phase::Answer).count();
        let tokens = shares.iter().sum::<usize>();
        self.patience.took(took, self.in_line.since());
        self.schedule.note(tokens - answers, tokens, took);
        let ended = self.running.iter().filter(|sequence| sequence.finished.is_some());
        self.queue.worked(tokens as u64, ended.count(), took);
    }

    fn drop_cancelled(&mut self) {
        let left = self.release(|sequence| sequence.job.events.is_closed());
        if !left.is_empty() {
            self.queue
                .count(|stats| stats.cancelled_total += left.len() as u64);
        }
    }

    /// Ends what gave itself less time than it took.
    fn drop_late(&mut self) {
        let now = Instant::now();
        for sequence in &mut self.running {
            if sequence.job.deadline.is_some_and(|deadline| deadline.at <= now) {
                sequence.finished = Some(Ending::Late);
            }
        }
        self.finish();
        for job in self.queue.pop_late(now) {
            self.queue.count(|stats| stats.failed_total += 1);
            let _ = job.events.send(GenerateEvent::Error { error: late(&job) });
        }
    }

    fn admit(&mut self) {
        while let Some((job, at)) = self.next_admitted() {
            let resumed = job.progress.is_some();
            let turn = job.turn();
            let mut sequence = Sequence::new(job, at.cache, at.place, at.cached);
            sequence.job.spent.placed();
            let count = |tokens: usize| u32::try_from(tokens).unwrap_or(u32::MAX);
            if !resumed {
                sequence.send(GenerateEvent::Start {
                    prompt_tokens: count(sequence.job.prompt.len()),
                    cached_tokens: count(at.cached),
                });
            }
            self.queue.count(|stats| {
                stats.admitted_prompt_tokens_total += sequence.job.prompt.len() as u64;
                stats.cached_prompt_tokens_total += at.cached as u64;
            });
            let before = self.running.partition_point(|other| other.job.turn() <= turn);
            self.running.insert(before, sequence);
        }
        self.note_reservations();
    }

    /// The next request that has a place, perhaps another's, whose priority is lower.
    fn next_admitted(&mut self) -> Option<(Job, Admitted)> {
        loop {
            let is_full = self.running.len() >= self.loaded.limits.max_sequences as usize;
            let (mut taken, mut refused, mut passed) = (None, Vec::new(), 0);
            let (caches, running) = (&mut self.caches, &self.running);
            let job = self.queue.pop(|job| {
                let Some(cache) = caches.iter().position(|cache| cache.takes(job.reservation())) else {
                    return Verdict::Stop;
                };
                if refused.iter().any(|(_, other)| *other == cache) {
                    return Verdict::Pass;
                }
                let beside = || running.iter().filter(|other| other.cache == cache);
                let prompts = beside().map(|other| (&other.job.prompt[..], other.computed));
                if passed < PASSED_MAX && waits_for_twin(&job.prompt, job.reusable(), prompts) {
                    passed += 1;
                    return Verdict::Pass;
                }
                if !is_full {
                    taken = take_place(caches, cache, job);
                }
                if taken.is_some() {
                    return Verdict::Take;
                }
                refused.push((job.priority, cache));
                if is_full || refused.len() == caches.len() {
                    return Verdict::Stop;
                }
                Verdict::Pass
            });
            if let (Some(job), Some(at)) = (job, taken) {
                return Some((job, at));
            }
            // Among equals nobody makes way.
            let loses = refused.iter().find_map(|(priority, cache)| {
                let others = self.running.iter().enumerate();
                let others = others.filter(|(_, other)| is_full || other.cache == *cache);
                let turns = others.map(|(at, other)| (at, other.job.turn(), other.job.can_go_back()));
                victim(turns, (*priority, u64::MAX))
            })?;
            self.preempt(loses);
        }
    }

    /// Sends a sequence back to the queue.
    fn preempt(&mut self, at: usize) {
        let sequence = self.running.remove(at);
        self.caches[sequence.cache].give_back(sequence.place);
        self.queue.push_back(sequence.into_job());
    }

    /// Promises those that share a pool the cells of their next turn, in order of their turns: where there are none left,
    /// who comes last makes way.
    fn grow(&mut self) {
        let mut at = 0;
        while let Some(sequence) = self.running.get(at) {
            let cache = &mut self.caches[sequence.cache];
            let (needed, liked) = sequence.cells();
            if !cache.is_pool() || cache.grow(sequence.place, liked) || cache.grow(sequence.place, needed) {
                at += 1;
                continue;
            }
            let in_cache = sequence.cache;
            let others = self.running.iter().enumerate();
            let others = others.filter(|(_, other)| other.cache == in_cache);
            let turns = others.map(|(at, other)| (at, other.job.turn(), other.job.can_go_back()));
            // Without anybody behind it, it makes way itself; who came first always goes on.
            let loses = victim(turns, sequence.job.turn()).unwrap_or(at);
            self.preempt(loses);
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

    /// Which sequences are computed together, by their cache, in order of their places. Answers of a pool are a pass of their
    /// own: among a prompt's tiles attention would compute each as a tile, and over all that both have behind them.
    fn passes(&self, phases: &[(i32, Phase)], shares: &[usize]) -> Vec<(usize, Vec<usize>)> {
        let mut passes = Vec::new();
        for (at, cache) in self.caches.iter().enumerate() {
            let mut members: Vec<usize> = (0..self.running.len())
                .filter(|member| self.running[*member].cache == at && shares[*member] > 0)
                .collect();
            members.sort_by_key(|member| self.running[*member].place);
            if cache.is_pool() {
                let is_answer = |member: &usize| phases[*member].1 == Phase::Answer;
                let (answers, prompts) = members.into_iter().partition(is_answer);
                passes.extend([(at, answers), (at, prompts)]);
            } else {
                passes.push((at, members));
            }
        }
        passes.retain(|(_, members)| !members.is_empty());
        passes
    }

    /// Decodes the next tokens of sequences of one cache, given each sequence's share of the turn, and goes on from their
    /// scores.
    fn compute(&mut self, cache: usize, members: &[usize], shares: &[usize]) -> Result<(), String> {
        let cache = &mut self.caches[cache];
        cache.begin_batch();
        let mut batched = Vec::with_capacity(members.len());
        for at in members {
            batched.push((*at, self.running[*at].add_to(cache, shares[*at])?));
        }
        cache.decode()?;
        let (mut decoded, mut prompts, mut gaps) = (0, 0, Vec::with_capacity(batched.len()));
        let now = Instant::now();
        for (at, added) in batched {
            let sequence = &mut self.running[at];
            sequence.echo(&added, cache, self.loaded);
            prompts += added.prompt.len() as u64;
            if let Some(scores) = added.scores {
                let gap = sequence.job.spent.answered(now, members.len());
                // The token that ends an answer is none of it.
                if sequence.advance(cache.scores(scores), self.loaded) {
                    decoded += 1;
                    gaps.extend(gap);
                }
            }
        }
        let size = u32::try_from(members.len()).unwrap_or(u32::MAX);
        self.queue.count(|stats| {
            *stats.batch_sizes.entry(size).or_default() += 1;
            stats.prompt_tokens_total += prompts;
            stats.decoded_tokens_total += decoded;
            gaps.into_iter().for_each(|gap| stats.token_gaps.observe(gap));
        });
        Ok(())
    }

    /// Ends the answers that are complete. What they held is counted as free before their callers hear it.
    fn finish(&mut self) {
        let ended = self.release(|sequence| sequence.finished.is_some());
        self.note_reservations();
        let is_lost =
            |sequence: &&Sequence| matches!(sequence.finished, Some(Ending::Lost(_) | Ending::Late));
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
                    timing: Some(sequence.job.spent.told()),
                }),
                Some(Ending::Lost(reason)) => {
                    let detail = format!("the answer's format {}", constraint::told(reason));
                    let error = ErrorReport::of(&EngineError::invalid("format", detail));
                    sequence.send(GenerateEvent::Error { error });
                }
                Some(Ending::Late) => sequence.send(GenerateEvent::Error {
                    error: late(&sequence.job),
                }),
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

/// A place for a request in this cache.
fn take_place(caches: &mut [Cache<'_>], cache: usize, job: &Job) -> Option<Admitted> {
    let (place, cached) = caches[cache].take(&job.prompt, job.reusable(), cells(&caches[cache], job))?;
    Some(Admitted { cache, place, cached })
}

/// KV cells that a request is promised at first. Those of its own cost nobody anything.
fn cells(cache: &Cache<'_>, job: &Job) -> usize {
    if cache.is_pool() {
        job.promise()
    } else {
        job.reservation()
    }
}

fn late(job: &Job) -> ErrorReport {
    let after_ms = job.deadline.map_or(0, |deadline| deadline.after_ms);
    ErrorReport::of(&EngineError::DeadlineExceeded {
        after: Duration::from_millis(after_ms),
    })
}
