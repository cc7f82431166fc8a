//! What a run read and made: datasets and logged models.

use corliss_mlflow_wire::check_length;

use super::Tracking;
use super::runs::{active_run, check_run_id};
use crate::types::{DatasetInput, ModelLink};
use crate::{TrackingError, limits, store};

const NAME_LEN: usize = 500;
const DIGEST_LEN: usize = 36;
const SOURCE_LEN: usize = 65_535;
const SCHEMA_LEN: usize = 1_048_575;
const PROFILE_LEN: usize = 16_777_215;
const TAG_KEY_LEN: usize = 255;
const TAG_VALUE_LEN: usize = 500;

impl Tracking {
    /// Links datasets and logged models to a run; a dataset it has already stays as it is.
    ///
    /// # Errors
    /// The run is deleted or absent, or an argument is wrong.
    pub async fn log_inputs(
        &self,
        run_id: String,
        datasets: Vec<DatasetInput>,
        models: Vec<ModelLink>,
    ) -> Result<(), TrackingError> {
        check_run_id(&run_id)?;
        let count = datasets.len().max(models.len());
        if count > limits::DATASETS_PER_CALL {
            let most = limits::DATASETS_PER_CALL;
            return Err(TrackingError::invalid(format!(
                "A call can link at most {most} datasets or models, got {count}"
            )));
        }
        datasets.iter().try_for_each(check_dataset)?;
        self.store
            .write(move |tx| {
                let run = active_run(tx, &run_id)?;
                store::put_datasets(tx, run.number, &datasets)?;
                Ok(store::put_model_links(tx, run.number, &models)?)
            })
            .await
    }
}

pub(super) fn check_dataset(dataset: &DatasetInput) -> Result<(), TrackingError> {
    for (what, value) in [
        ("name", &dataset.name),
        ("digest", &dataset.digest),
        ("source_type", &dataset.source_type),
        ("source", &dataset.source),
    ] {
        if value.is_empty() {
            return Err(TrackingError::invalid(format!("Dataset {what} cannot be None")));
        }
    }
    check_length("name", NAME_LEN, &dataset.name)?;
    check_length("digest", DIGEST_LEN, &dataset.digest)?;
    check_length("source", SOURCE_LEN, &dataset.source)?;
    check_length(
        "schema",
        SCHEMA_LEN,
        dataset.schema.as_deref().unwrap_or_default(),
    )?;
    check_length(
        "profile",
        PROFILE_LEN,
        dataset.profile.as_deref().unwrap_or_default(),
    )?;
    for tag in &dataset.tags {
        check_length("key", TAG_KEY_LEN, &tag.key)?;
        check_length("value", TAG_VALUE_LEN, &tag.value)?;
    }
    Ok(())
}
