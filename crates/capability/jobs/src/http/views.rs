//! Jobs as the native API sends them.

use corliss_executor::TaskExit;
use corliss_executor::inventory::{Inventory, InventorySource};
use corliss_executor::logs::{LogLine, LogStream};
use corliss_types::{Accelerator, Resources};
use serde::Serialize;

use crate::{ExitClass, Job, JobKind, JobState, LogSlice, QueueView, TaskPhase};

/// A job.
#[derive(Debug, Serialize)]
pub(super) struct JobView {
    id: String,
    name: String,
    kind: JobKind,
    #[serde(skip_serializing_if = "Option::is_none")]
    run_id: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    step: Option<String>,
    state: JobState,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    class: Option<ExitClass>,
    workers: u32,
    resources_per_worker: Resources,
    queue: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    user: String,
    priority: i32,
    preemptible: bool,
    attempt: u32,
    /// The checkpoint that its tasks were told to go on from.
    #[serde(skip_serializing_if = "Option::is_none")]
    resumed_from: Option<String>,
    created_ms: i64,
    /// When it was decided that it starts.
    #[serde(skip_serializing_if = "Option::is_none")]
    admitted_ms: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    started_ms: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    ended_ms: Option<i64>,
    tasks: Vec<TaskView>,
}

#[derive(Debug, Serialize)]
struct TaskView {
    task_id: String,
    rank: u32,
    state: TaskPhase,
    #[serde(skip_serializing_if = "Option::is_none")]
    pid: Option<i32>,
    /// Where it is, once that is decided.
    #[serde(skip_serializing_if = "Option::is_none")]
    node: Option<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    accelerators: Vec<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    exit: Option<TaskExit>,
}

impl JobView {
    pub(super) fn of(job: &Job) -> Self {
        let place = |rank: u32| job.placement.get(rank as usize);
        let tasks = job.tasks.iter().map(|task| TaskView {
            task_id: task.id.to_string(),
            rank: task.rank,
            state: task.phase,
            pid: task.pid,
            accelerators: place(task.rank).map_or_else(Vec::new, |place| place.accelerators.clone()),
            node: place(task.rank).map(|place| place.node.clone()),
            exit: task.exit.clone(),
        });
        let resumed_from = job.launch.as_ref().and_then(|facts| facts.resume_from.as_ref());
        Self {
            id: job.id.to_string(),
            name: job.spec.name.clone(),
            kind: job.spec.kind,
            run_id: job.spec.run_id.as_ref().map(ToString::to_string),
            step: job.spec.step.clone(),
            state: job.state,
            reason: job.reason.clone(),
            class: job.class,
            workers: job.spec.workers,
            resources_per_worker: job.spec.resources,
            queue: job.spec.terms.queue.clone(),
            user: job.spec.terms.user.clone(),
            priority: job.spec.terms.priority,
            preemptible: job.spec.terms.is_preemptible.unwrap_or(false),
            attempt: job.spec.attempt,
            // The name says which; where it lies is nobody's business but the task's.
            resumed_from: resumed_from
                .and_then(|path| Some(path.file_name()?.to_string_lossy().into_owned())),
            created_ms: job.created.as_millis(),
            admitted_ms: job.admitted.map(corliss_types::Timestamp::as_millis),
            started_ms: job.started.map(corliss_types::Timestamp::as_millis),
            ended_ms: job.ended.map(corliss_types::Timestamp::as_millis),
            tasks: tasks.collect(),
        }
    }
}

/// The queue.
#[derive(Debug, Serialize)]
pub(super) struct QueueAnswer {
    inventory: InventoryView,
    items: Vec<QueueItemView>,
    running: Vec<JobView>,
}

#[derive(Debug, Serialize)]
struct InventoryView {
    total: Resources,
    free: Resources,
    accelerators: Vec<Accelerator>,
    source: InventorySource,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    notes: Vec<String>,
}

#[derive(Debug, Serialize)]
struct QueueItemView {
    queue: String,
    position: u32,
    job_id: String,
    name: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    run_id: Option<String>,
    workers: u32,
    needs: Resources,
    reason: String,
    waiting_ms: u64,
}

impl QueueAnswer {
    pub(super) fn of(view: &QueueView, inventory: &Inventory) -> Self {
        let items = view.waiting.iter().map(|item| QueueItemView {
            queue: item.job.spec.terms.queue.clone(),
            position: item.position,
            job_id: item.job.id.to_string(),
            name: item.job.spec.name.clone(),
            run_id: item.job.spec.run_id.as_ref().map(ToString::to_string),
            workers: item.job.spec.workers,
            needs: item.needs,
            reason: item.reason.clone(),
            waiting_ms: item.waiting_ms,
        });
        Self {
            inventory: InventoryView {
                total: view.total,
                free: view.free,
                accelerators: inventory.accelerators.clone(),
                source: inventory.source,
                notes: inventory.notes.clone(),
            },
            items: items.collect(),
            running: view.running.iter().map(JobView::of).collect(),
        }
    }
}

/// A page of a log.
#[derive(Debug, Serialize)]
pub(super) struct LogsView {
    lines: Vec<LogLineView>,
    next_offset: u64,
    #[serde(skip_serializing_if = "is_zero")]
    skipped_bytes: u64,
    ended: bool,
}

/// A line of a log.
#[derive(Debug, Serialize)]
pub(super) struct LogLineView {
    offset: u64,
    stream: LogStream,
    at_ms: i64,
    text: String,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    partial: bool,
}

#[allow(clippy::trivially_copy_pass_by_ref, reason = "serde asks for a reference")]
fn is_zero(value: &u64) -> bool {
    *value == 0
}

impl LogLineView {
    pub(super) fn of(line: LogLine) -> Self {
        Self {
            offset: line.offset,
            stream: line.stream,
            at_ms: line.at_ms,
            text: line.text,
            partial: line.partial,
        }
    }
}

impl LogsView {
    pub(super) fn of(slice: LogSlice) -> Self {
        Self {
            lines: slice.lines.into_iter().map(LogLineView::of).collect(),
            next_offset: slice.next_offset,
            skipped_bytes: slice.skipped_bytes,
            ended: slice.ended,
        }
    }
}
