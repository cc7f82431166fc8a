//! Tokens with which a step's tasks call back: the security room's workload tokens.

use std::sync::Arc;

use async_trait::async_trait;
use corliss_pipelines::ports::{PortError, StepKey, WorkloadTokens};
use corliss_security::Security;
use corliss_types::{DurationMs, RunId};

/// Longer than any attempt should run, shorter than anyone could forget; the end of the step revokes it.
const LIFETIME: DurationMs = DurationMs::from_secs(30 * 24 * 60 * 60);

/// Workload tokens.
pub struct Tokens(pub Arc<Security>);

#[async_trait]
impl WorkloadTokens for Tokens {
    async fn issue(&self, key: &StepKey) -> Result<String, PortError> {
        let issued = self
            .0
            .issue_workload(&key.run, &key.step, key.attempt, LIFETIME)
            .await;
        issued.map_err(|error| PortError::of(&error))
    }

    async fn revoke(&self, run: &RunId, step: &str) -> Result<(), PortError> {
        self.0
            .revoke_workload(run, Some(step))
            .await
            .map_err(|error| PortError::of(&error))
    }
}
