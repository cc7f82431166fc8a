//! Sees to it that every unfinished run has a driver, and starts a new one, after a pause, when one failed.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use corliss_diagnostics::{ErrorReport, counted};
use corliss_reconcile::{BoxedDiagnose, Outcome, Reconciler, Wake};
use corliss_types::RunId;
use futures_util::FutureExt;
use tokio::sync::Notify;
use tokio::task::JoinHandle;
use tokio::time::Instant;

use super::Context;
use super::driver::drive;
use crate::error::PipelinesError;
use crate::store::{self, Record, Unfinished};

/// Runs driven at once; the others stay pending in the order they came.
const MAX_DRIVEN: u32 = 512;
const FIRST_PAUSE: Duration = Duration::from_millis(200);
const LONGEST_PAUSE: Duration = Duration::from_secs(30);

/// The drivers of this process.
pub(crate) struct Drivers {
    slots: Mutex<BTreeMap<RunId, Slot>>,
    wake: Wake,
}

struct Slot {
    poke: Arc<Notify>,
    task: Option<JoinHandle<()>>,
    failures: u32,
    /// Set while it waits after an error.
    retry_at: Option<Instant>,
    error: Option<String>,
}

impl Drivers {
    pub(crate) fn new(wake: Wake) -> Self {
        Self {
            slots: Mutex::default(),
            wake,
        }
    }

    fn slots(&self) -> MutexGuard<'_, BTreeMap<RunId, Slot>> {
        self.slots.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits until every driver has stopped after shutdown, or has ended its run.
    pub(crate) async fn drain(&self) {
        let tasks: Vec<JoinHandle<()>> = self
            .slots()
            .values_mut()
            .filter_map(|slot| slot.task.take())
            .collect();
        for task in tasks {
            // A driver's own failure is on the board; here only its end matters.
            let _ = task.await;
        }
    }

    /// Starts a driver if there is none; tells one that is there to read the request to cancel.
    fn ensure(self: &Arc<Self>, context: &Arc<Context>, run: &Unfinished) {
        let mut slots = self.slots();
        let slot = slots.entry(run.id.clone()).or_insert_with(|| Slot {
            poke: Arc::new(Notify::new()),
            task: None,
            failures: 0,
            retry_at: None,
            error: None,
        });
        if slot.task.is_some() {
            if run.cancel_requested {
                slot.poke.notify_one();
            }
            return;
        }
        if slot.retry_at.is_some_and(|at| at > Instant::now()) {
            return;
        }
        slot.retry_at = None;
        let (drivers, context, id) = (Arc::clone(self), Arc::clone(context), run.id.clone());
        let poke = slot.poke.clone();
        slot.task = Some(tokio::spawn(async move {
            let result = std::panic::AssertUnwindSafe(drive(context.clone(), id.clone(), poke))
                .catch_unwind()
                .await;
            let result = result.unwrap_or_else(|_| Err(PipelinesError::Task("a driver panicked".to_owned())));
            let result = match result {
                Err(error @ PipelinesError::ProjectFile { .. }) => give_up(&context, &id, &error).await,
                result => result,
            };
            drivers.ended(&id, result);
        }));
    }

    fn ended(&self, id: &RunId, result: Result<(), PipelinesError>) {
        let mut slots = self.slots();
        match result {
            Ok(()) => drop(slots.remove(id)),
            Err(error) => {
                let report = ErrorReport::of(&error);
                tracing::warn!(run = %id, code = %report.code, "driver stopped: {}", report.message);
                if let Some(slot) = slots.get_mut(id) {
                    let pause = FIRST_PAUSE
                        .saturating_mul(1 << slot.failures.min(16))
                        .min(LONGEST_PAUSE);
                    slot.failures += 1;
                    slot.task = None;
                    slot.retry_at = Some(Instant::now() + pause);
                    slot.error = Some(report.message);
                }
            }
        }
        drop(slots);
        self.wake.signal();
    }

    /// How many are driven, what the first that waits after an error says, and when it is tried again.
    fn told(&self) -> (usize, Option<(RunId, String)>, Option<Duration>) {
        let slots = self.slots();
        let waiting = slots.iter().filter(|(_, slot)| slot.task.is_none());
        let first = waiting
            .clone()
            .find_map(|(id, slot)| Some((id.clone(), slot.error.clone()?)));
        let now = Instant::now();
        let due = waiting
            .filter_map(|(_, slot)| slot.retry_at)
            .map(|at| at.saturating_duration_since(now))
            .min();
        (slots.len(), first, due)
    }
}

/// A stored project file that this version refuses can never be carried out: the run ends, told why.
async fn give_up(context: &Context, id: &RunId, error: &PipelinesError) -> Result<(), PipelinesError> {
    let wanted = id.clone();
    let found = context
        .store
        .read::<_, PipelinesError, _>(move |tx| Ok(store::find(tx, &wanted)?))
        .await?;
    let mut records = Vec::new();
    if found.is_some_and(|run| run.started.is_none()) {
        records.push(Record::RunStarted);
    }
    let reason = Some(format!(
        "this version of Corliss cannot read its project file: {error}"
    ));
    records.push(Record::RunEnded {
        state: corliss_policy_pipeline::RunState::Failed,
        reason,
    });
    context.commit(id, records).await
}

/// The reconciler.
pub(crate) struct Supervisor {
    pub(crate) context: Arc<Context>,
    pub(crate) drivers: Arc<Drivers>,
}

#[async_trait]
impl Reconciler for Supervisor {
    fn name(&self) -> &'static str {
        "pipelines.runs"
    }

    async fn reconcile(&self) -> Result<Outcome, BoxedDiagnose> {
        let runs = self
            .context
            .store
            .read::<_, PipelinesError, _>(|tx| Ok(store::unfinished(tx, MAX_DRIVEN)?))
            .await?;
        for run in &runs {
            self.drivers.ensure(&self.context, run);
        }
        let (driven, error, due) = self.drivers.told();
        let mut progress = match driven {
            0 => "no run in progress".to_owned(),
            count => format!("{} in progress", counted(count, "run", "runs")),
        };
        if let Some((run, error)) = error {
            progress.push_str(&format!("; {run} waits after an error: {error}"));
        }
        Ok(match due {
            Some(due) => Outcome::again_after(progress, due.max(Duration::from_millis(10))),
            None => Outcome::done(progress),
        })
    }
}
