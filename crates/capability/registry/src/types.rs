//! The things that the registry keeps. Times are Unix milliseconds.

use std::collections::BTreeMap;

use corliss_types::{Flavor, VersionId};
use serde::{Deserialize, Serialize};

/// MLflow's stages, which its clients deprecated in favour of aliases but still send.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
#[allow(missing_docs)]
pub enum Stage {
    None,
    Staging,
    Production,
    Archived,
}

impl Stage {
    pub(crate) const ALL: [Self; 4] = [Self::None, Self::Staging, Self::Production, Self::Archived];

    /// As stored and sent.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::None => "None",
            Self::Staging => "Staging",
            Self::Production => "Production",
            Self::Archived => "Archived",
        }
    }

    /// The stage of this name, whatever its case.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL
            .into_iter()
            .find(|stage| stage.as_str().eq_ignore_ascii_case(text))
    }
}

/// A tag.
#[derive(Debug, Clone, PartialEq, Eq)]
#[allow(missing_docs)]
pub struct KeyValue {
    pub key: String,
    pub value: String,
}

/// What marks a model or version as a prompt. Prompts share the registry with models; clients tell them apart by this.
pub(crate) const PROMPT_TAG: &str = "mlflow.prompt.is_prompt";
/// What holds the text of a version of a prompt.
pub(crate) const PROMPT_TEXT_TAG: &str = "mlflow.prompt.text";
/// What tells text from chat.
pub(crate) const PROMPT_TYPE_TAG: &str = "_mlflow_prompt_type";

/// Whether these are the tags of a prompt.
pub(crate) fn is_prompt(tags: &[KeyValue]) -> bool {
    let mark = tags.iter().rfind(|tag| tag.key == PROMPT_TAG);
    mark.is_some_and(|tag| tag.value.eq_ignore_ascii_case("true"))
}

/// A named version of data that a model was made from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DataInput {
    /// The name under which the run used it.
    pub name: String,
    /// The version.
    pub version: VersionId,
}

/// A registered model.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Model {
    /// Unique name.
    pub name: String,
    /// For people.
    pub description: String,
    /// The highest number that exists, if any does.
    pub latest_version: Option<i64>,
    /// What each alias points at.
    pub aliases: BTreeMap<String, i64>,
    /// By key.
    pub tags: Vec<KeyValue>,
    /// Unix milliseconds.
    pub created_ms: i64,
    /// Unix milliseconds.
    pub updated_ms: i64,
}

impl Model {
    /// Whether it is a prompt.
    #[must_use]
    pub fn is_prompt(&self) -> bool {
        is_prompt(&self.tags)
    }
}

/// One version of a model.
#[derive(Debug, Clone, PartialEq)]
pub struct ModelVersion {
    /// The model.
    pub name: String,
    /// Its number, from 1.
    pub version: i64,
    /// For people.
    pub description: String,
    /// The files, as an immutable version of data; a prompt has none.
    pub source_version: Option<VersionId>,
    /// Where a client said they come from; shown, never opened.
    pub source: String,
    /// Where clients can download them.
    pub download_uri: String,
    /// What can serve it.
    pub flavor: Flavor,
    /// The pipeline run that made it.
    pub run_id: Option<String>,
    /// The step that made it.
    pub step: Option<String>,
    /// The tracking run that logged about it.
    pub tracking_run_id: Option<String>,
    /// The logged model it was registered from.
    pub logged_model_id: Option<String>,
    /// A link that its client gave.
    pub run_link: String,
    /// What it was made from.
    pub data: Vec<DataInput>,
    /// The code that made it.
    pub code: Option<VersionId>,
    /// The run's metrics when it was registered.
    pub metrics: BTreeMap<String, f64>,
    /// MLflow's stage.
    pub stage: Stage,
    /// Aliases that point here.
    pub aliases: Vec<String>,
    /// By key.
    pub tags: Vec<KeyValue>,
    /// Who registered it; empty for what an older program registered.
    pub registered_by: String,
    /// Unix milliseconds.
    pub created_ms: i64,
    /// Unix milliseconds.
    pub updated_ms: i64,
}

impl ModelVersion {
    /// Whether it is a version of a prompt.
    #[must_use]
    pub fn is_prompt(&self) -> bool {
        is_prompt(&self.tags)
    }
}
