//! Records what running jobs publish, so that the newest complete checkpoint is on disk and known before
//! anything happens to its writer.

use std::sync::Arc;

use async_trait::async_trait;
use corliss_diagnostics::{ErrorReport, counted};
use corliss_reconcile::{BoxedDiagnose, Outcome, Reconciler};

use crate::service::{Jobs, blocking};
use crate::{checkpoints, store};

pub(crate) struct Checkpoints(pub Arc<Jobs>);

#[async_trait]
impl Reconciler for Checkpoints {
    fn name(&self) -> &'static str {
        "jobs.checkpoints"
    }

    async fn reconcile(&self) -> Result<Outcome, BoxedDiagnose> {
        let active = self.0.store.read(store::active).await?;
        let (mut watched, mut complete, mut trouble) = (0_usize, 0_usize, None);
        for spec in active.into_iter().filter_map(|job| job.spec.checkpoint) {
            watched += 1;
            match blocking(move || checkpoints::record(&spec.dir, spec.keep)).await {
                Ok(recorded) => complete += recorded.complete.len(),
                // One job's full disk must not keep another's checkpoints from being recorded.
                Err(error) => trouble = Some(ErrorReport::of(&error).message),
            }
        }
        let progress = format!(
            "{} watched, {} complete",
            counted(watched, "job", "jobs"),
            counted(complete, "checkpoint", "checkpoints")
        );
        Ok(Outcome::done(match trouble {
            Some(message) => format!("{progress}; {message}"),
            None => progress,
        }))
    }
}
