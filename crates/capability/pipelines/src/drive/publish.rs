//! From the folders that a succeeded job left to versions.

use std::collections::BTreeMap;

use corliss_types::{AttemptNumber, VersionId};

use super::Context;
use super::active::Fixed;
use crate::error::PipelinesError;
use crate::ports::PortError;
use crate::work;

/// Stores every output. The same folders give the same versions, so it may be done again after a crash.
pub(super) async fn publish(
    context: &Context,
    run: &Fixed,
    step: usize,
    attempt: AttemptNumber,
) -> Result<BTreeMap<String, VersionId>, PipelinesError> {
    let _permit = context
        .publishing
        .acquire()
        .await
        .map_err(|error| PipelinesError::Task(error.to_string()))?;
    let mut outputs = BTreeMap::new();
    let Some(step) = run.spec.steps.get(step) else {
        return Ok(outputs);
    };
    let folders = work::attempt_folders(&context.config.work, &run.id, &step.name, attempt);
    for name in &step.outputs {
        let (checked, folder) = (name.clone(), folders.outputs.join(name));
        let inspected = folder.clone();
        work::blocking(move || work::check_output(&checked, &inspected)).await?;
        let version = context
            .ports
            .datasets
            .publish(&folder)
            .await
            .map_err(|error| refused(name, error))?;
        outputs.insert(name.clone(), version);
    }
    Ok(outputs)
}

fn refused(output: &str, error: PortError) -> PipelinesError {
    if error.is_refusal() {
        PipelinesError::StepOutput {
            message: format!("output '{output}' cannot be stored: {error}"),
        }
    } else {
        error.into()
    }
}
