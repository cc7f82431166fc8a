//! Joins requests that arrive close together into one run of the model.
//!
//! Compute threads take turns at forming a batch: the one that holds the turn waits for the first
//! request, then for more until the batch is full, the delay of its oldest request is over, or the next
//! request does not fit it; then it passes the turn and computes. A request that is alone (nothing else
//! in flight, and the last batch was alone too) does not wait at all, so a single client pays nothing for
//! batching. Why each batch closed is counted, because batching that silently does not happen is what
//! people complain about most.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use tokio::sync::oneshot;
use tract_onnx::prelude::{DatumType, Tensor};

use super::graph::Graph;
use super::tensor;
use crate::EngineError;
use crate::protocol::Stats;

/// How batches are formed.
#[derive(Debug, Clone, Copy)]
pub(crate) struct BatchConfig {
    /// Compute threads.
    pub threads: usize,
    /// The most rows of one batch.
    pub max_rows: usize,
    /// How long the oldest request of a batch waits for others.
    pub delay: Duration,
    /// The most requests that wait.
    pub max_waiting: usize,
}

struct Item {
    inputs: Vec<Tensor>,
    rows: usize,
    arrived: Instant,
    answer: Answer,
}

#[derive(Clone, Copy)]
enum Closed {
    Full,
    Delay,
    Incompatible,
    Unbatchable,
    Alone,
}

impl Closed {
    const fn name(self) -> &'static str {
        match self {
            Self::Full => "full",
            Self::Delay => "delay",
            Self::Incompatible => "incompatible",
            Self::Unbatchable => "unbatchable",
            Self::Alone => "alone",
        }
    }
}

#[derive(Default)]
struct State {
    queue: VecDeque<Item>,
    /// Whether a thread is forming a batch.
    forming: bool,
    running: usize,
    last_was_alone: bool,
    stopped: bool,
    stats: Stats,
}

struct Shared {
    graph: Arc<Graph>,
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
    pub fn start(graph: Arc<Graph>, config: BatchConfig) -> Result<Self, EngineError> {
        let shared = Arc::new(Shared {
            graph,
            config,
            state: Mutex::default(),
            changed: Condvar::new(),
        });
        for index in 0..config.threads.max(1) {
            let worker = Arc::clone(&shared);
            std::thread::Builder::new()
                .name(format!("onnx-{index}"))
                .spawn(move || worker.work())
                .map_err(|source| EngineError::io("cannot start a compute thread", source))?;
        }
        Ok(Self { shared })
    }

    /// Computes one request, perhaps together with others. Dropping the future withdraws it.
    pub async fn run(&self, inputs: Vec<Tensor>) -> Result<Vec<Tensor>, EngineError> {
        let rows = inputs
            .first()
            .and_then(|tensor| tensor.shape().first().copied())
            .filter(|_| self.shared.graph.batchable)
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
                inputs,
                rows,
                arrived: Instant::now(),
                answer,
            });
        }
        self.shared.changed.notify_all();
        answered.await.unwrap_or(Err(EngineError::Stopped))
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

    fn work(&self) {
        while let Some(batch) = self.form() {
            let (requests, formed) = (batch.len(), Instant::now());
            let (done, runs) = self.compute(batch);
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
        let (mut state, closed) = self.wait_until_closed(state);
        let batch = self.take(&mut state);
        state.forming = false;
        state.running += batch.len();
        state.last_was_alone = batch.len() == 1;
        let rows: usize = batch.iter().map(|item| item.rows).sum();
        *state
            .stats
            .batch_sizes
            .entry(u32::try_from(rows).unwrap_or(u32::MAX))
            .or_default() += 1;
        *state
            .stats
            .batch_closed
            .entry(closed.name().to_owned())
            .or_default() += 1;
        drop(state);
        self.changed.notify_all();
        Some(batch)
    }

    fn wait_until_closed<'a>(&self, mut state: MutexGuard<'a, State>) -> (MutexGuard<'a, State>, Closed) {
        loop {
            if let Some(closed) = self.closed(&state) {
                return (state, closed);
            }
            let oldest = state.queue.front().map_or_else(Instant::now, |item| item.arrived);
            let left = (oldest + self.config.delay).saturating_duration_since(Instant::now());
            if left.is_zero() || state.stopped {
                return (state, Closed::Delay);
            }
            state = self
                .changed
                .wait_timeout(state, left)
                .unwrap_or_else(PoisonError::into_inner)
                .0;
        }
    }

    fn closed(&self, state: &State) -> Option<Closed> {
        let first = state.queue.front()?;
        if !self.graph.batchable || first.rows >= self.config.max_rows {
            return Some(Closed::Unbatchable);
        }
        if state.running == 0 && state.queue.len() == 1 && state.last_was_alone {
            return Some(Closed::Alone);
        }
        let mut rows = 0;
        for item in &state.queue {
            rows += item.rows;
            if rows > self.config.max_rows {
                return Some(Closed::Full);
            }
            if !compatible(first, item) {
                return Some(Closed::Incompatible);
            }
            if rows == self.config.max_rows {
                return Some(Closed::Full);
            }
        }
        None
    }

    fn take(&self, state: &mut State) -> Vec<Item> {
        let mut batch: Vec<Item> = Vec::new();
        let mut rows = 0;
        while let Some(next) = state.queue.front() {
            let fits = match batch.first() {
                None => true,
                Some(first) => {
                    self.graph.batchable
                        && rows + next.rows <= self.config.max_rows
                        && compatible(first, next)
                }
            };
            if !fits {
                break;
            }
            rows += next.rows;
            batch.extend(state.queue.pop_front());
        }
        batch
    }

    /// The results for those who still wait, and the runs that they took.
    fn compute(&self, mut batch: Vec<Item>) -> (Vec<Done>, Vec<Run>) {
        batch.retain(|item| !item.answer.is_closed());
        let (mut inputs, mut waiting) = (Vec::with_capacity(batch.len()), Vec::with_capacity(batch.len()));
        for item in batch {
            inputs.push(item.inputs);
            waiting.push((item.rows, item.arrived, item.answer));
        }
        let mut runs = Vec::new();
        let results = if inputs.is_empty() {
            Vec::new()
        } else if self.graph.batchable {
            let rows: Vec<usize> = waiting.iter().map(|(rows, ..)| *rows).collect();
            joined(&self.graph, &inputs, &rows, self.config.max_rows, &mut runs)
        } else {
            let alone = inputs.into_iter().map(|inputs| {
                let begun = Instant::now();
                let result = self.graph.run(inputs)?;
                runs.push(Run {
                    rows: 1,
                    infer: begun.elapsed(),
                    ..Run::default()
                });
                Ok(result)
            });
            alone.collect()
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

type Computed = Result<Vec<Tensor>, EngineError>;
type Answer = oneshot::Sender<Computed>;

/// A request that was computed.
struct Done {
    result: Computed,
    rows: usize,
    arrived: Instant,
    answer: Answer,
}

/// One run of the model that succeeded, and where its time went.
#[derive(Default)]
struct Run {
    rows: usize,
    input: Duration,
    infer: Duration,
    output: Duration,
}

/// Requests whose inputs agree in every axis but the first.
fn compatible(left: &Item, right: &Item) -> bool {
    left.inputs
        .iter()
        .zip(&right.inputs)
        .all(|(left, right)| left.shape()[1..] == right.shape()[1..])
}

/// Runs requests as one batch, and one by one if that fails, so that one poisonous row fails alone.
fn joined(
    graph: &Graph,
    requests: &[Vec<Tensor>],
    rows: &[usize],
    max_rows: usize,
    runs: &mut Vec<Run>,
) -> Vec<Computed> {
    match run_rows(graph, requests, rows, max_rows, runs) {
        Ok(results) => results.into_iter().map(Ok).collect(),
        Err(error) if requests.len() == 1 => vec![Err(error)],
        Err(_) => requests
            .iter()
            .zip(rows)
            .map(|(request, rows)| {
                let alone = run_rows(graph, std::slice::from_ref(request), &[*rows], max_rows, runs)?;
                alone.into_iter().next().ok_or_else(|| compute_error("no result"))
            })
            .collect(),
    }
}

fn run_rows(
    graph: &Graph,
    requests: &[Vec<Tensor>],
    rows: &[usize],
    max_rows: usize,
    runs: &mut Vec<Run>,
) -> Result<Vec<Vec<Tensor>>, EngineError> {
    let begun = Instant::now();
    let inputs: Vec<Tensor> = (0..graph.inputs.len())
        .map(|index| stack(&requests.iter().map(|request| &request[index]).collect::<Vec<_>>()))
        .collect::<Result<_, _>>()?;
    let total: usize = rows.iter().sum();
    let mut pieces: BTreeMap<usize, Vec<Tensor>> = BTreeMap::new();
    let (mut start, mut joining) = (0, begun.elapsed());
    while start < total {
        let end = (start + max_rows).min(total);
        let (outputs, mut run) = run_bucket(graph, &inputs, start, end)?;
        // Joining belongs to the first run, taking apart to the last.
        run.input += std::mem::take(&mut joining);
        runs.push(run);
        for (index, output) in outputs.into_iter().enumerate() {
            pieces.entry(index).or_default().push(output);
        }
        start = end;
    }
    let computed = Instant::now();
    let outputs: Vec<Tensor> = pieces
        .into_values()
        .map(|parts| stack(&parts.iter().collect::<Vec<_>>()))
        .collect::<Result<_, _>>()?;
    let mut results = Vec::with_capacity(requests.len());
    let mut at = 0;
    for count in rows {
        let parts: Vec<Tensor> = outputs
            .iter()
            .map(|output| slice(output, at, at + count))
            .collect::<Result<_, _>>()?;
        results.push(parts);
        at += count;
    }
    if let Some(last) = runs.last_mut() {
        last.output += computed.elapsed();
    }
    Ok(results)
}

/// Runs rows `start..end`, padded with zeros to the next power of two so that few plans are needed.
fn run_bucket(
    graph: &Graph,
    inputs: &[Tensor],
    start: usize,
    end: usize,
) -> Result<(Vec<Tensor>, Run), EngineError> {
    let begun = Instant::now();
    let rows = end - start;
    let bucket = rows.next_power_of_two();
    let padded: Vec<Tensor> = inputs
        .iter()
        .map(|input| {
            let part = slice(input, start, end)?;
            if bucket == rows {
                Ok(part)
            } else {
                stack(&[&part, &zeros(&part, bucket - rows)?])
            }
        })
        .collect::<Result<_, EngineError>>()?;
    let joined = Instant::now();
    let outputs = graph.run(padded)?;
    let computed = Instant::now();
    let outputs = outputs
        .into_iter()
        .map(|output| match output.shape().first() {
            Some(given) if *given == bucket && bucket == rows => Ok(output),
            Some(given) if *given == bucket => slice(&output, 0, rows),
            _ => Err(compute_error("an output does not have one row per input row")),
        })
        .collect::<Result<_, _>>()?;
    let run = Run {
        rows,
        input: joined - begun,
        infer: computed - joined,
        output: computed.elapsed(),
    };
    Ok((outputs, run))
}

fn zeros(like: &Tensor, rows: usize) -> Result<Tensor, EngineError> {
    let mut shape = like.shape().to_vec();
    if let Some(first) = shape.first_mut() {
        *first = rows;
    }
    let datum: DatumType = like.datum_type();
    if datum == DatumType::String {
        let texts = vec![String::new(); shape.iter().product()];
        return tensor::of_texts(&shape, texts).map_err(compute_error);
    }
    Tensor::zero_dt(datum, &shape).map_err(compute_error)
}

fn stack(parts: &[&Tensor]) -> Result<Tensor, EngineError> {
    match parts {
        [only] => Ok((*only).clone()),
        several => Tensor::stack_tensors(0, several).map_err(compute_error),
    }
}

fn slice(tensor: &Tensor, start: usize, end: usize) -> Result<Tensor, EngineError> {
    if start == 0 && tensor.shape().first() == Some(&end) {
        return Ok(tensor.clone());
    }
    tensor.slice(0, start, end).map_err(compute_error)
}

fn compute_error(error: impl std::fmt::Display) -> EngineError {
    EngineError::Compute {
        detail: format!("{error:#}"),
    }
}
