//! Links from traces to runs and to versions of prompts.

use corliss_mlflow_wire::check_length;

use super::Traces;
use crate::types::Page;
use crate::{TracesError, limits, store};

impl Traces {
    /// Links traces to a run. A trace need not be there yet: clients link what they are still sending.
    ///
    /// # Errors
    /// There is no such run, or there are too many traces.
    pub async fn link_to_run(&self, trace_ids: Vec<String>, run_id: String) -> Result<(), TracesError> {
        if trace_ids.is_empty() {
            return Ok(());
        }
        if trace_ids.len() > limits::LINKS_PER_CALL {
            return Err(TracesError::invalid(format!(
                "Cannot link more than {} traces to a run in a single request. Provided {} traces.",
                limits::LINKS_PER_CALL,
                trace_ids.len()
            )));
        }
        for trace_id in &trace_ids {
            check_length("trace_ids", limits::TRACE_ID_LEN, trace_id)?;
        }
        if !self.runs.exists(&run_id).await? {
            return Err(TracesError::NotFound(format!("Run with id={run_id} not found")));
        }
        self.store
            .write(move |tx| Ok(store::link_runs(tx, &run_id, &trace_ids)?))
            .await
    }

    /// A page of the runs that a trace was made in or linked to, in order of their ids: where the next page starts, if there
    /// is one, is behind the last id of this one.
    ///
    /// # Errors
    /// There is no such trace.
    pub async fn runs_of(
        &self,
        trace_id: String,
        after: String,
        limit: u32,
    ) -> Result<Page<String>, TracesError> {
        let asked = i64::from(limit) + 1;
        let mut runs = self
            .store
            .read(move |tx| {
                let (number, _) = store::numbers_of(tx, &trace_id)?
                    .ok_or_else(|| TracesError::trace_not_found(&trace_id))?;
                Ok::<_, TracesError>(store::runs_of(tx, &trace_id, number, &after, asked)?)
            })
            .await?;
        let more = runs.len() > limit as usize;
        runs.truncate(limit as usize);
        let next_page_token = runs.last().filter(|_| more).cloned();
        Ok(Page {
            items: runs,
            next_page_token,
        })
    }

    /// Links a trace to versions of prompts (`name/version`).
    ///
    /// # Errors
    /// There is no such trace, or there are too many prompts.
    pub async fn link_prompts(&self, trace_id: String, prompts: Vec<String>) -> Result<(), TracesError> {
        if prompts.len() > limits::PROMPTS_PER_CALL {
            return Err(TracesError::too_many(
                "prompt_versions",
                "prompts",
                limits::PROMPTS_PER_CALL,
                "link them in several calls",
            ));
        }
        for prompt in &prompts {
            check_length("prompt_versions", 2 * limits::KEY_LEN, prompt)?;
        }
        self.store
            .write(move |tx| {
                let (number, _) = store::numbers_of(tx, &trace_id)?
                    .ok_or_else(|| TracesError::trace_not_found(&trace_id))?;
                Ok(store::link_prompts(tx, number, &prompts)?)
            })
            .await
    }
}
