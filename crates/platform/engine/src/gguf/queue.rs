//! The bounded line of requests between callers and the engine's thread, by priority and then by arrival, and the
//! counters that both sides keep.

use std::collections::VecDeque;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use corliss_diagnostics::ErrorReport;

use super::embedding::EmbedJob;
use super::request::Job;
use super::wait::Wait;
use crate::EngineError;
use crate::protocol::{GenerateEvent, Stats};

struct State {
    waiting: VecDeque<Job>,
    embeddings: VecDeque<EmbedJob>,
    stopped: bool,
    failure: Option<String>,
    stats: Stats,
    arrivals: u64,
    /// Tokens computed in a second of work.
    rate: Option<f64>,
    wait: Wait,
}

/// What to do with a request that waits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Verdict {
    Take,
    /// It is better off later; those behind it may go first.
    Pass,
    /// It has no room, and nobody overtakes it.
    Stop,
}

/// Seconds that a client is told to wait, at most.
const RETRY_AFTER_MAX_S: f64 = 60.0;
/// Weight of the newest measurement of the rate.
const RATE_WEIGHT: f64 = 0.1;

/// Requests in order of priority, and of arrival among equals.
pub(super) struct Queue {
    limit: usize,
    limit_tokens: u64,
    state: Mutex<State>,
    arrived: Condvar,
}

impl Queue {
    /// A line of at most `limit` requests, which have at most so many tokens together.
    pub fn new(limit: usize, limit_tokens: u64, kv_tokens: u32, sequences_max: u32) -> Self {
        let stats = Stats {
            kv_tokens_total: u64::from(kv_tokens),
            sequences_max: u64::from(sequences_max),
            ..Stats::default()
        };
        Self {
            limit,
            limit_tokens,
            state: Mutex::new(State {
                waiting: VecDeque::new(),
                embeddings: VecDeque::new(),
                stopped: false,
                failure: None,
                stats,
                arrivals: 0,
                rate: None,
                wait: Wait::new(sequences_max as usize),
            }),
            arrived: Condvar::new(),
        }
    }

    /// Adds a request behind those of its priority, or refuses it. One that nobody is before is never too long.
    pub fn push(&self, mut job: Job) -> Result<(), EngineError> {
        let mut state = self.lock();
        if state.stopped {
            return Err(EngineError::Stopped);
        }
        let arrivals = state.arrivals;
        let rate = state.rate;
        let State {
            waiting, stats, wait, ..
        } = &mut *state;
        make_room(waiting, self.limit, stats, |job| job.events.is_closed())?;
        self.check_tokens(waiting, stats, rate, &job)?;
        job.arrival = arrivals;
        check_wait(waiting, stats, wait, &job)?;
        insert(waiting, job);
        state.arrivals += 1;
        drop(state);
        self.arrived.notify_one();
        Ok(())
    }

    fn check_tokens(
        &self,
        waiting: &mut VecDeque<Job>,
        stats: &mut Stats,
        rate: Option<f64>,
        job: &Job,
    ) -> Result<(), EngineError> {
        let with = |waiting: &VecDeque<Job>| tokens(waiting) + job.reservation() as u64;
        if with(waiting) > self.limit_tokens {
            drop_closed(waiting, stats, |job| job.events.is_closed());
        }
        let wanted = with(waiting);
        if wanted <= self.limit_tokens || waiting.is_empty() {
            return Ok(());
        }
        stats.failed_total += 1;
        Err(EngineError::TooManyTokens {
            waiting_tokens: tokens(waiting),
            limit_tokens: self.limit_tokens,
            retry_after_s: retry_after_s(wanted - self.limit_tokens, rate),
        })
    }

    /// Takes a request back that lost its place; it keeps its turn.
    pub fn push_back(&self, job: Job) {
        let mut state = self.lock();
        state.stats.preemptions_total += 1;
        insert(&mut state.waiting, job);
    }

    /// Notes what a stretch of work computed, and how many requests it ended.
    pub fn worked(&self, tokens: u64, ended: usize, took: Duration) {
        if tokens == 0 || took.is_zero() {
            return;
        }
        let now = tokens as f64 / took.as_secs_f64();
        let mut state = self.lock();
        state.wait.worked(took, ended);
        let rate = state
            .rate
            .map_or(now, |rate| rate * (1.0 - RATE_WEIGHT) + now * RATE_WEIGHT);
        state.rate = Some(rate);
        state.stats.tokens_per_second = rate as u64;
    }

    /// Takes out those whose time is up.
    pub fn pop_late(&self, now: Instant) -> Vec<Job> {
        let mut state = self.lock();
        let is_late = |job: &Job| job.deadline.is_some_and(|deadline| deadline.at <= now);
        if !state.waiting.iter().any(is_late) {
            return Vec::new();
        }
        let (late, waiting) = std::mem::take(&mut state.waiting).into_iter().partition(is_late);
        state.waiting = waiting;
        late.into()
    }

    /// Adds a request for embeddings at the end of their own line, which is as long, or refuses it.
    pub fn push_embedding(&self, job: EmbedJob) -> Result<(), EngineError> {
        let mut state = self.lock();
        if state.stopped {
            return Err(EngineError::Stopped);
        }
        let State {
            embeddings, stats, ..
        } = &mut *state;
        make_room(embeddings, self.limit, stats, |job| job.answer.is_closed())?;
        embeddings.push_back(job);
        drop(state);
        self.arrived.notify_one();
        Ok(())
    }

    /// Takes the first request for embeddings.
    pub fn pop_embedding(&self) -> Option<EmbedJob> {
        self.lock().embeddings.pop_front()
    }

    /// Waits until there is something to do; false when stopped.
    pub fn wait(&self) -> bool {
        let mut state = self.lock();
        while state.waiting.is_empty() && state.embeddings.is_empty() && !state.stopped {
            state = self.arrived.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
        !state.stopped
    }

    /// Whether the engine was told to end.
    pub fn stopped(&self) -> bool {
        self.lock().stopped
    }

    /// Takes the first request that `judge` says to take, until it says to stop. Requests whose caller left are dropped
    /// on the way.
    pub fn pop(&self, mut judge: impl FnMut(&Job) -> Verdict) -> Option<Job> {
        let mut state = self.lock();
        let mut at = 0;
        while let Some(job) = state.waiting.get(at) {
            if job.events.is_closed() {
                state.waiting.remove(at);
                state.stats.cancelled_total += 1;
                continue;
            }
            match judge(job) {
                Verdict::Take => return state.waiting.remove(at),
                Verdict::Pass => at += 1,
                Verdict::Stop => return None,
            }
        }
        None
    }

    /// Changes the counters.
    pub fn count(&self, change: impl FnOnce(&mut Stats)) {
        change(&mut self.lock().stats);
    }

    /// Counters.
    pub fn stats(&self) -> Stats {
        let state = self.lock();
        Stats {
            waiting: (state.waiting.len() + state.embeddings.len()) as u64,
            waiting_tokens: tokens(&state.waiting),
            ..state.stats.clone()
        }
    }

    /// Why the engine's thread ended, if it failed.
    pub fn failure(&self) -> Option<String> {
        self.lock().failure.clone()
    }

    /// Ends the engine; requests that wait are told.
    pub fn stop(&self) {
        self.close(None);
    }

    /// Ends the engine because it cannot go on.
    pub fn fail(&self, reason: String) {
        self.close(Some(reason));
    }

    fn close(&self, failure: Option<String>) {
        let (waiting, embeddings) = {
            let mut state = self.lock();
            state.stopped = true;
            state.failure = state.failure.take().or(failure);
            let state = &mut *state;
            (
                std::mem::take(&mut state.waiting),
                std::mem::take(&mut state.embeddings),
            )
        };
        for job in embeddings {
            let _ = job.answer.send(Err(EngineError::Stopped));
        }
        for job in waiting {
            let error = ErrorReport::of(&EngineError::Stopped);
            let _ = job.events.send(GenerateEvent::Error { error });
        }
        self.arrived.notify_all();
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Behind those that go before it.
fn insert(waiting: &mut VecDeque<Job>, job: Job) {
    let at = waiting.partition_point(|other| other.turn() <= job.turn());
    waiting.insert(at, job);
}

/// Refuses what would wait too long.
fn check_wait(
    waiting: &mut VecDeque<Job>,
    stats: &mut Stats,
    wait: &Wait,
    job: &Job,
) -> Result<(), EngineError> {
    let before = |waiting: &VecDeque<Job>| waiting.partition_point(|other| other.turn() <= job.turn());
    if wait.excess(before(waiting)).is_some() {
        drop_closed(waiting, stats, |job| job.events.is_closed());
    }
    let Some(excess) = wait.excess(before(waiting)) else {
        return Ok(());
    };
    stats.failed_total += 1;
    Err(EngineError::TooLong {
        before: before(waiting),
        retry_after_s: seconds(excess.as_secs_f64()),
    })
}

fn tokens(waiting: &VecDeque<Job>) -> u64 {
    waiting.iter().map(|job| job.reservation() as u64).sum()
}

/// Seconds until so many tokens are computed.
fn retry_after_s(tokens: u64, rate: Option<f64>) -> u64 {
    let rate = rate.filter(|rate| *rate > 0.0);
    seconds(rate.map_or(1.0, |rate| tokens as f64 / rate))
}

/// Whole seconds to tell a client.
fn seconds(exact: f64) -> u64 {
    exact.ceil().clamp(1.0, RETRY_AFTER_MAX_S) as u64
}

/// Refuses what a full line cannot take. Callers that went away must not hold places against those that are still there.
fn make_room<J>(
    line: &mut VecDeque<J>,
    limit: usize,
    stats: &mut Stats,
    is_gone: impl Fn(&J) -> bool,
) -> Result<(), EngineError> {
    if line.len() >= limit {
        drop_closed(line, stats, is_gone);
    }
    if line.len() >= limit {
        stats.failed_total += 1;
        return Err(EngineError::QueueFull { limit });
    }
    Ok(())
}

/// Takes out those whose callers went away.
fn drop_closed<J>(line: &mut VecDeque<J>, stats: &mut Stats, is_gone: impl Fn(&J) -> bool) {
    let before = line.len();
    line.retain(|job| !is_gone(job));
    stats.cancelled_total += (before - line.len()) as u64;
}

#[cfg(test)]
mod tests {
    use corliss_diagnostics::Diagnose;
    use llama_cpp_2::token::LlamaToken;
    use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};

    use super::*;

    fn job(prompt: i32, priority: i32) -> (Job, UnboundedReceiver<GenerateEvent>) {
        let (events, received) = unbounded_channel();
        let mut job = Job::plain(vec![LlamaToken::new(prompt); 10], 10, events);
        job.priority = priority;
        (job, received)
    }

    fn first_of(job: &Job) -> i32 {
        job.prompt[0].0
    }

    #[test]
    fn less_priority_goes_first_and_equals_in_order_of_arrival() {
        let queue = Queue::new(10, 1000, 0, 0);
        let mut callers = Vec::new();
        for (prompt, priority) in [(1, 0), (2, -5), (3, 0), (4, 7), (5, -5)] {
            let (job, caller) = job(prompt, priority);
            queue.push(job).unwrap();
            callers.push(caller);
        }
        // One that lost its place keeps its turn.
        let second = queue.pop(|_| Verdict::Take).unwrap();
        let fifth = queue.pop(|_| Verdict::Take).unwrap();
        assert_eq!((first_of(&second), first_of(&fifth)), (2, 5));
        queue.push_back(fifth);
        queue.push_back(second);
        assert_eq!(queue.stats().preemptions_total, 2);
        let mut order = Vec::new();
        while let Some(job) = queue.pop(|_| Verdict::Take) {
            order.push(first_of(&job));
        }
        assert_eq!(order, [2, 5, 1, 3, 4]);
    }

    #[test]
    fn one_is_passed_or_stops_those_behind_it() {
        let queue = Queue::new(10, 1000, 0, 0);
        let callers: Vec<_> = (1..4)
            .map(|prompt| {
                let (job, caller) = job(prompt, 0);
                queue.push(job).unwrap();
                caller
            })
            .collect();
        let passing = |job: &Job| {
            if first_of(job) == 1 {
                Verdict::Pass
            } else {
                Verdict::Take
            }
        };
        assert_eq!(queue.pop(passing).map(|job| first_of(&job)), Some(2));
        assert!(queue.pop(|_| Verdict::Stop).is_none());
        drop(callers);
        assert!(queue.pop(|_| Verdict::Take).is_none(), "their callers left");
        assert_eq!(queue.stats().cancelled_total, 2);
    }

    #[test]
    fn tokens_that_wait_are_bounded_and_the_rate_says_when_to_come_again() {
        let queue = Queue::new(100, 50, 0, 0);
        let mut callers = Vec::new();
        let mut push = |queue: &Queue| {
            let (job, caller) = job(1, 0);
            callers.push(caller);
            queue.push(job)
        };
        push(&queue).unwrap();
        push(&queue).unwrap();
        assert_eq!(queue.stats().waiting_tokens, 40);
        let refused = push(&queue).unwrap_err();
        assert_eq!(
            (refused.code(), refused.retry_after_s()),
            ("engine_queue_full", Some(1))
        );
        queue.worked(2, 0, Duration::from_secs(1));
        assert_eq!(
            push(&queue).unwrap_err().retry_after_s(),
            Some(5),
            "10 too many at 2 a second"
        );
        callers.clear();
        let (job, _caller) = job(1, 0);
        queue.push(job).unwrap();
        assert_eq!(queue.stats().cancelled_total, 2, "those that left hold no tokens");
        assert_eq!(retry_after_s(1_000_000, Some(0.5)), 60);
    }

    #[test]
    fn who_would_wait_too_long_is_refused_unless_it_goes_first() {
        let queue = Queue::new(100, 100_000, 0, 2);
        queue.worked(10, 5, Duration::from_secs(50));
        let mut callers = Vec::new();
        let mut push = |priority| {
            let (job, caller) = job(1, priority);
            queue.push(job).map(|()| callers.push(caller))
        };
        // Ten seconds each: two would be too many, but four may always wait.
        for _ in 0..4 {
            push(0).unwrap();
        }
        let refused = push(0).unwrap_err();
        assert_eq!(
            (refused.code(), refused.retry_after_s()),
            ("engine_queue_full", Some(20))
        );
        push(-1).unwrap();
        callers.clear();
        let (job, _caller) = job(1, 0);
        queue.push(job).unwrap();
        assert_eq!(
            queue.stats().cancelled_total,
            5,
            "nobody waits for those that left"
        );
    }

    #[test]
    fn one_alone_is_never_too_long_and_those_too_late_are_taken_out() {
        let queue = Queue::new(10, 5, 0, 0);
        let (mut late, _caller) = job(1, 0);
        let now = Instant::now();
        late.deadline = Some(super::super::request::Deadline { at: now, after_ms: 3 });
        queue.push(late).unwrap();
        assert_eq!(queue.pop_late(now).len(), 1);
        assert!(queue.pop(|_| Verdict::Take).is_none());
    }
}
