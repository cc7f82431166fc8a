//! The service: checks what is asked, makes times and numbers, and runs each operation as one transaction.

mod aliases;
mod models;
mod register;
mod resolve;
mod search;
mod versions;

use std::sync::Arc;

use corliss_clock::Sources;
use corliss_diagnostics::nearest;
use corliss_metastore::{Metastore, Tx};
use corliss_mlflow_wire::{WireError, check_key, check_length};

pub use aliases::Expected;
pub use register::{NewVersion, Registered};
pub(crate) use search::Search;

use crate::types::{KeyValue, Model, ModelVersion};
use crate::{Lineage, ModelSources, RegistryError, store};

const KEY_LEN: usize = 250;
const TAG_VALUE_LEN: usize = 100_000;
const NAME_LEN: usize = 256;
const DESCRIPTION_LEN: usize = 100_000;
/// Versions of a model that one answer shows.
const VERSIONS_SHOWN: i64 = 1000;

/// The registry; cheap to clone.
#[derive(Clone)]
pub struct Registry {
    store: Metastore,
    sources: Sources,
    model_sources: Arc<dyn ModelSources>,
    lineage: Arc<dyn Lineage>,
}

impl Registry {
    /// The registry on this store, which must have [`crate::MIGRATIONS`].
    #[must_use]
    pub fn new(
        store: Metastore,
        sources: Sources,
        model_sources: Arc<dyn ModelSources>,
        lineage: Arc<dyn Lineage>,
    ) -> Self {
        Self {
            store,
            sources,
            model_sources,
            lineage,
        }
    }

    fn now_ms(&self) -> i64 {
        self.sources.clock.now().as_millis()
    }
}

/// The model of this name, or an error that names the nearest.
fn existing(tx: &mut dyn Tx, name: &str) -> Result<Model, RegistryError> {
    if let Some(model) = store::model(tx, name)? {
        return Ok(model);
    }
    let names = store::model_names(tx)?;
    let nearest = nearest(name, names.iter().map(String::as_str)).map(str::to_owned);
    Err(RegistryError::ModelNotFound {
        name: name.to_owned(),
        nearest,
    })
}

/// The version of this number, or an error that names the latest.
fn existing_version(tx: &mut dyn Tx, name: &str, number: i64) -> Result<ModelVersion, RegistryError> {
    if let Some(version) = store::version(tx, name, number)? {
        return Ok(version);
    }
    // A model that does not exist has no version either; saying which of the two is the more helpful.
    let latest = store::model(tx, name)?.and_then(|model| model.latest_version);
    Err(RegistryError::VersionNotFound {
        name: name.to_owned(),
        version: number.to_string(),
        latest,
    })
}

fn check_tag(tag: &KeyValue) -> Result<(), RegistryError> {
    check_key("key", &tag.key)?;
    check_length("key", KEY_LEN, &tag.key)?;
    Ok(check_length("value", TAG_VALUE_LEN, &tag.value)?)
}

fn check_description(text: &str) -> Result<(), RegistryError> {
    Ok(check_length("description", DESCRIPTION_LEN, text)?)
}

/// The name of a model. `@` is refused beyond MLflow's own rule, because `name@alias` must have one meaning.
fn check_name(name: &str) -> Result<(), RegistryError> {
    if name.trim().is_empty() {
        return Err(WireError::missing("name").into());
    }
    if name.contains(['/', ':', '@']) || name.chars().any(char::is_control) {
        return Err(RegistryError::invalid(format!(
            "Invalid model name '{name}'. Names cannot contain '/' or ':' or '@'."
        )));
    }
    if name == "." || name == ".." {
        return Err(WireError::invalid_value("name", name, "This name would resolve to another path").into());
    }
    Ok(check_length("name", NAME_LEN, name)?)
}
