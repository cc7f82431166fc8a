//! Work folders of ended runs: gone at once after success; after a failure or cancellation what helps to
//! look into it stays (checkpoints, the newest attempt's outputs) for the newest few runs.

use std::sync::Arc;

use async_trait::async_trait;
use corliss_diagnostics::counted;
use corliss_policy_pipeline::RunState;
use corliss_reconcile::{BoxedDiagnose, Outcome, Reconciler};
use corliss_types::RunId;

use super::Context;
use crate::error::PipelinesError;
use crate::store;
use crate::work::{self, Keep};

/// Runs that did not succeed whose evidence is kept.
const KEPT: u32 = 10;
/// Runs swept in one round.
const BATCH: u32 = 16;

const UNSWEPT: i64 = 0;
const TRIMMED: i64 = 1;
const GONE: i64 = 2;

/// The reconciler.
pub(crate) struct Sweeper {
    pub(crate) context: Arc<Context>,
}

#[async_trait]
impl Reconciler for Sweeper {
    fn name(&self) -> &'static str {
        "pipelines.sweeper"
    }

    async fn reconcile(&self) -> Result<Outcome, BoxedDiagnose> {
        let swept = self.context.sweep().await?;
        let progress = format!("{} swept", counted(swept.folders, "work folder", "work folders"));
        Ok(if swept.more {
            Outcome::again_after(progress, std::time::Duration::ZERO)
        } else {
            Outcome::done(progress)
        })
    }
}

/// What one round did.
pub(super) struct Swept {
    folders: usize,
    /// There may be more to sweep.
    more: bool,
}

impl Context {
    /// One round. The sweeper comes some time after a run has ended; who finds the disk full does not wait for it.
    pub(super) async fn sweep(&self) -> Result<Swept, PipelinesError> {
        let _turn = self.sweeping.lock().await;
        let fresh = self.sweepable(UNSWEPT, 0).await?;
        for (run, state) in &fresh {
            let succeeded = *state == RunState::Succeeded;
            let (keep, stage) = if succeeded {
                (Keep::Nothing, GONE)
            } else {
                (Keep::Evidence, TRIMMED)
            };
            self.sweep_run(run, keep, stage).await?;
        }
        let old = self.sweepable(TRIMMED, KEPT).await?;
        for (run, _) in &old {
            self.sweep_run(run, Keep::Nothing, GONE).await?;
        }
        Ok(Swept {
            folders: fresh.len() + old.len(),
            more: fresh.len().max(old.len()) >= BATCH as usize,
        })
    }

    async fn sweepable(&self, stage: i64, skip: u32) -> Result<Vec<(RunId, RunState)>, PipelinesError> {
        self.store
            .read::<_, PipelinesError, _>(move |tx| Ok(store::sweepable(tx, stage, skip, BATCH)?))
            .await
    }

    /// Removes first and records then: done twice it does no harm.
    async fn sweep_run(&self, run: &RunId, keep: Keep, stage: i64) -> Result<(), PipelinesError> {
        let folder = work::run_folder(&self.config.work, run);
        work::blocking(move || work::trim(&folder, keep)).await?;
        self.ports.datasets.release(run).await?;
        let run = run.clone();
        self.store
            .write::<_, PipelinesError, _>(move |tx| Ok(store::set_swept(tx, &run, stage)?))
            .await
    }
}
