//! Asking a run to stop.

use corliss_policy_pipeline::RunState;
use corliss_types::RunId;

use super::Pipelines;
use crate::error::PipelinesError;
use crate::store;

impl Pipelines {
    /// Asks a run to stop; its jobs are cancelled. Asking again, also when it is cancelled, is fine.
    ///
    /// # Errors
    /// There is no such run, or it has succeeded or failed.
    pub async fn cancel_run(&self, id: &RunId) -> Result<(), PipelinesError> {
        let wanted = id.clone();
        let state = self
            .context
            .store
            .write::<_, PipelinesError, _>(move |tx| {
                let Some(run) = store::find(tx, &wanted)? else {
                    return Err(PipelinesError::RunNotFound {
                        run: wanted.to_string(),
                    });
                };
                store::request_cancel(tx, &wanted)?;
                Ok(run.state)
            })
            .await?;
        match state {
            RunState::Succeeded | RunState::Failed => Err(PipelinesError::RunEnded {
                run: id.clone(),
                state: state.as_str(),
            }),
            _ => {
                self.changed(id);
                Ok(())
            }
        }
    }
}
