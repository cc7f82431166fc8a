//! Joins requests that arrive close together into one run of the model.
//!
//! Compute threads take turns at forming a batch: the one that holds the turn waits for the first
//! request, then for more until `closing` says that the batch is closed; then it passes the turn and computes.
//! A request that is alone (nothing else in flight, and the last batch was alone too) does not wait at all, so
//! a single client pays nothing for batching. Why each batch closed is counted, because batching that silently
//! does not happen is what people complain about most.

use std::collections::VecDeque;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use tokio::sync::oneshot;
use tract_onnx::prelude::Tensor;

use super::closing::{self, Closed, Decision, Moment, Rules, Waiting};
use super::join::{Computed, Joining, Run, alone, joined};
use super::model::Model;
use crate::EngineError;
use crate::protocol::Stats;

/// How batches are formed.
#[derive(Debug, Clone)]
pub(crate) struct BatchConfig {
    /// Compute threads.
    pub instances: usize,
    /// The most rows of one batch.
    pub max_rows: usize,
    /// How long the oldest request of a batch waits for others.
    pub delay: Duration,
    /// Rows at which a batch is closed without waiting for more.
    pub preferred: Vec<usize>,
    /// The most requests that wait.
    pub max_waiting: usize,
}

/// What a request asks for.
pub(super) struct Asked {
    pub inputs: Vec<Tensor>,
    /// What it says beside its tensors, as a JSON object.
    pub params: Option<Arc<str>>,
    /// How long its answer is of use.
    pub timeout: Option<Duration>,
}

struct Item {
    inputs: Vec<Tensor>,
    params: Option<Arc<str>>,
    rows: usize,
    arrived: Instant,
    timeout: Option<Duration>,
    answer: Answer,
}

type Answer = oneshot::Sender<Computed>;

/// A request that was computed.
struct Done {
    result: Computed,
    rows: usize,
    arrived: Instant,
    answer: Answer,
}

#[derive(Default)]
struct State {
    queue: VecDeque<Item>,
    /// Whether a thread is forming a batch.
    forming: bool,
    running: usize,
    last_was_alone: bool,
    draining: bool,
    stopped: bool,
    /// What a run took of late.
    run: Duration,
    stats: Stats,
}

struct Shared {
    model: Arc<dyn Model>,
    config: BatchConfig,
    state: Mutex<State>,
    changed: Condvar,
}

/// A handle to the queue and its threads, which end when it is dropped.
pub(super) struct Batcher {
    shared: Arc<Shared>,
}

impl Batcher {
    /// Starts the compute threads.
    pub fn start(model: Arc<dyn Model>, config: BatchConfig) -> Result<Self, EngineError> {
        let instances = config.instances.max(1);
        let shared = Arc::new(Shared {
            model,
            config,
            state: Mutex::default(),
            changed: Condvar::new(),
        });
        for instance in 0..instances {
            let worker = Arc::clone(&shared);
            std::thread::Builder::new()
                .name(format!("compute-{instance}"))
                .spawn(move || worker.work(instance))
                .map_err(|source| EngineError::io("cannot start a compute thread", source))?;
        }
        Ok(Self { shared })
    }

    /// Computes one request, perhaps together with others. Dropping the future withdraws it.
    pub async fn run(&self, asked: Asked) -> Result<Vec<super::Named>, EngineError> {
        let first = asked.inputs.first();
        let rows = first
            .and_then(|tensor| tensor.shape().first().copied())
            .filter(|_| self.shared.model.batchable())
            .unwrap_or(1);
        let (answer, answered) = oneshot::channel();
        {
            let mut state = self.shared.lock();
            // Callers that went away must not hold places against those that are still there.
            if state.queue.len() >= self.shared.config.max_waiting {
                let before = state.queue.len();
                state.queue.retain(|item| !item.answer.is_closed());
                state.stats.cancelled_total += (before - state.queue.len()) as u64;
            }
            if state.queue.len() >= self.shared.config.max_waiting {
                state.stats.failed_total += 1;
                return Err(EngineError::QueueFull {
                    limit: self.shared.config.max_waiting,
                });
            }
            state.queue.push_back(Item {
                inputs: asked.inputs,
                params: asked.params,
                rows,
                arrived: Instant::now(),
                timeout: asked.timeout,
                answer,
            });
        }
        self.shared.changed.notify_all();
        let answered = async { answered.await.unwrap_or(Err(EngineError::Stopped)) };
        match asked.timeout {
            // What is computed after that is of no use any more.
            Some(after) => tokio::time::timeout(after, answered)
                .await
                .unwrap_or(Err(EngineError::DeadlineExceeded { after })),
            None => answered.await,
        }
    }

    /// Nobody else will come: what waits for others does so no longer.
    pub fn drain(&self) {
        self.shared.lock().draining = true;
        self.shared.changed.notify_all();
    }

    /// Counters.
    pub fn stats(&self) -> Stats {
        let state = self.shared.lock();
        Stats {
            running: state.running as u64,
            waiting: state.queue.len() as u64,
            ..state.stats.clone()
        }
    }
}

impl Drop for Batcher {
    fn drop(&mut self) {
        self.shared.lock().stopped = true;
        self.shared.changed.notify_all();
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn work(&self, instance: usize) {
        while let Some(batch) = self.form() {
            let (requests, formed) = (batch.len(), Instant::now());
            let (done, runs) = self.compute(instance, batch);
            // Before the first answer: whoever has one finds it counted, and its next request alone.
            self.count(requests, formed, &done, &runs);
            for Done { result, answer, .. } in done {
                // Who went away meanwhile misses nothing.
                let _ = answer.send(result);
            }
        }
    }

    fn count(&self, requests: usize, formed: Instant, done: &[Done], runs: &[Run]) {
        let completed = done.iter().filter(|done| done.result.is_ok()).count();
        let mut state = self.lock();
        state.running -= requests;
        state.stats.completed_total += completed as u64;
        state.stats.failed_total += (done.len() - completed) as u64;
        state.stats.cancelled_total += (requests - done.len()) as u64;
        let stats = &mut state.stats.inference;
        for Done {
            rows,
            arrived,
            result,
            ..
        } in done
        {
            if result.is_err() {
                stats.fail.add(arrived.elapsed());
                continue;
            }
            stats.success.add(arrived.elapsed());
            stats.queue.add(formed.saturating_duration_since(*arrived));
            stats.inferences += *rows as u64;
            let share = |part: fn(&Run) -> Duration| runs.iter().map(part).sum();
            stats.compute.input.add(share(|run| run.input));
            stats.compute.infer.add(share(|run| run.infer));
            stats.compute.output.add(share(|run| run.output));
        }
        for run in runs {
            stats.executions += 1;
            let rows = u32::try_from(run.rows).unwrap_or(u32::MAX);
            let batch = stats.batches.entry(rows).or_default();
            batch.input.add(run.input);
            batch.infer.add(run.infer);
            batch.output.add(run.output);
        }
        if completed > 0 {
            let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
            stats.last_ms = u64::try_from(now.as_millis()).unwrap_or(u64::MAX);
        }
        if !runs.is_empty() {
            // The last eight or so, so that the first run, which is slow, is soon forgotten.
            state.run = (state.run * 7 + formed.elapsed()) / 8;
        }
    }

    /// Waits for the turn and for requests; `None` when stopped.
    fn form(&self) -> Option<Vec<Item>> {
        let mut state = self.lock();
        while state.forming || state.queue.is_empty() {
            if state.stopped {
                return None;
            }
            state = self.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
        state.forming = true;
        let (mut state, closed, count) = self.wait_until_closed(state);
        let batch: Vec<Item> = state.queue.drain(..count).collect();
        state.forming = false;
        state.running += batch.len();
        state.last_was_alone = batch.len() == 1;
        if let Some(closed) = closed {
            let rows: usize = batch.iter().map(|item| item.rows).sum();
            let rows = u32::try_from(rows).unwrap_or(u32::MAX);
            *state.stats.batch_sizes.entry(rows).or_default() += 1;
            let reasons = &mut state.stats.batch_closed;
            *reasons.entry(closed.name().to_owned()).or_default() += 1;
        }
        drop(state);
        self.changed.notify_all();
        Some(batch)
    }

    /// Why the batch was closed, and with how many requests; with none if all that waited are too late.
    fn wait_until_closed<'a>(
        &self,
        mut state: MutexGuard<'a, State>,
    ) -> (MutexGuard<'a, State>, Option<Closed>, usize) {
        loop {
            let now = Instant::now();
            state.refuse_late(now);
            let until = match closing::decide(self.waiting(&state), &self.rules(), &state.moment(now)) {
                None => return (state, None, 0),
                Some(Decision::Close(why, count)) => return (state, Some(why), count),
                Some(Decision::Wait(until)) => until,
            };
            state = self
                .changed
                .wait_timeout(state, until.saturating_duration_since(now))
                .unwrap_or_else(PoisonError::into_inner)
                .0;
        }
    }

    fn rules(&self) -> Rules<'_> {
        Rules {
            batchable: self.model.batchable(),
            max_rows: self.config.max_rows,
            delay: self.config.delay,
            preferred: &self.config.preferred,
        }
    }

    fn waiting<'a>(&self, state: &'a State) -> impl Iterator<Item = Waiting> + 'a {
        let first = state.queue.front();
        state.queue.iter().map(move |item| Waiting {
            rows: item.rows,
            arrived: item.arrived,
            deadline: item.deadline(),
            fits: first.is_some_and(|first| compatible(first, item)),
        })
    }

    /// The results for those who still wait, and the runs that they took.
    fn compute(&self, instance: usize, mut batch: Vec<Item>) -> (Vec<Done>, Vec<Run>) {
        batch.retain(|item| !item.answer.is_closed());
        let params = batch.first().and_then(|item| item.params.clone());
        let (mut inputs, mut waiting) = (Vec::with_capacity(batch.len()), Vec::with_capacity(batch.len()));
        for item in batch {
            inputs.push(item.inputs);
            waiting.push((item.rows, item.arrived, item.answer));
        }
        let by = Joining {
            model: self.model.as_ref(),
            instance,
            params: params.as_deref(),
            max_rows: self.config.max_rows,
        };
        let mut runs = Vec::new();
        let results = if inputs.is_empty() {
            Vec::new()
        } else if self.model.batchable() {
            let rows: Vec<usize> = waiting.iter().map(|(rows, ..)| *rows).collect();
            joined(by, &inputs, &rows, &mut runs)
        } else {
            let each = inputs.into_iter();
            each.map(|inputs| alone(by, inputs, &mut runs)).collect()
        };
        let done = results.into_iter().zip(waiting);
        let done = done.map(|(result, (rows, arrived, answer))| Done {
            result,
            rows,
            arrived,
            answer,
        });
        (done.collect(), runs)
    }
}

impl State {
    fn moment(&self, now: Instant) -> Moment {
        Moment {
            now,
            is_quiet: self.running == 0 && self.queue.len() == 1 && self.last_was_alone,
            is_draining: self.draining || self.stopped,
            run: self.run,
        }
    }

    /// Answers those whose answer would be of no use any more, so that nothing is computed for them.
    fn refuse_late(&mut self, now: Instant) {
        let is_late = |item: &Item| item.deadline().is_some_and(|deadline| deadline <= now);
        if !self.queue.iter().any(is_late) {
            return;
        }
        let (late, queue) = std::mem::take(&mut self.queue).into_iter().partition(is_late);
        self.queue = queue;
        let late: VecDeque<Item> = late;
        for item in late {
            let after = item.timeout.unwrap_or_default();
            self.stats.failed_total += 1;
            self.stats.inference.fail.add(item.arrived.elapsed());
            let _ = item.answer.send(Err(EngineError::DeadlineExceeded { after }));
        }
    }
}

impl Item {
    fn deadline(&self) -> Option<Instant> {
        self.timeout.and_then(|timeout| self.arrived.checked_add(timeout))
    }
}

/// Requests whose inputs agree in every axis but the first, and that ask the same of the model.
fn compatible(left: &Item, right: &Item) -> bool {
    let same_shapes = left
        .inputs
        .iter()
        .zip(&right.inputs)
        .all(|(left, right)| left.shape().get(1..) == right.shape().get(1..));
    same_shapes && left.params == right.params
}
