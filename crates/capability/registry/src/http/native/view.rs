//! Models and versions as the native API shows them.

use std::collections::BTreeMap;

use corliss_types::{Flavor, VersionId};
use serde::Serialize;

use crate::contents::{Contents, Counts, Described, FileCheck};
use crate::types::{DataInput, Model, ModelVersion};
use crate::{Decision, Protection};

#[derive(Serialize)]
pub(super) struct Summary {
    name: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    latest_version: Option<i64>,
    aliases: BTreeMap<String, i64>,
    updated_ms: i64,
}

impl From<Model> for Summary {
    fn from(model: Model) -> Self {
        let Model {
            name,
            latest_version,
            aliases,
            updated_ms,
            ..
        } = model;
        Self {
            name,
            latest_version,
            aliases,
            updated_ms,
        }
    }
}

#[derive(Serialize)]
pub(super) struct Detail {
    pub name: String,
    pub description: String,
    pub tags: BTreeMap<String, String>,
    pub aliases: BTreeMap<String, i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub protection: Option<Protection>,
    pub versions: Vec<Version>,
}

#[derive(Serialize)]
pub(super) struct Version {
    version: i64,
    created_ms: i64,
    /// Absent where an older program registered it.
    #[serde(skip_serializing_if = "Option::is_none")]
    registered_by: Option<String>,
    /// A prompt has none.
    #[serde(skip_serializing_if = "Option::is_none")]
    source_version: Option<VersionId>,
    source: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    run_id: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    step: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    tracking_run_id: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    logged_model_id: Option<String>,
    data: Vec<DataInput>,
    code: Option<VersionId>,
    metrics: BTreeMap<String, f64>,
    flavor: Flavor,
    stage: &'static str,
    aliases: Vec<String>,
    description: String,
    tags: BTreeMap<String, String>,
    /// How many of its files are what; absent while nobody has looked.
    #[serde(skip_serializing_if = "Option::is_none")]
    checked: Option<Counts>,
}

impl Version {
    pub fn of(version: ModelVersion, checked: Option<Counts>) -> Self {
        Self {
            version: version.version,
            created_ms: version.created_ms,
            registered_by: Some(version.registered_by).filter(|by| !by.is_empty()),
            source_version: version.source_version,
            source: version.source,
            run_id: version.run_id,
            step: version.step,
            tracking_run_id: version.tracking_run_id,
            logged_model_id: version.logged_model_id,
            data: version.data,
            code: version.code,
            metrics: version.metrics,
            flavor: version.flavor,
            stage: version.stage.as_str(),
            aliases: version.aliases,
            description: version.description,
            tags: version.tags.into_iter().map(|tag| (tag.key, tag.value)).collect(),
            checked,
        }
    }
}

/// One version with all that is known of it.
#[derive(Serialize)]
pub(super) struct VersionDetail {
    pub name: String,
    #[serde(flatten)]
    pub version: Version,
    #[serde(flatten)]
    pub contents: Option<Found>,
    /// What people said of it, oldest first.
    pub decisions: Vec<Decision>,
    /// What it lacks to be served, where its model is protected.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub missing_approval: Option<String>,
}

/// What was found in its files.
#[derive(Serialize)]
pub(super) struct Found {
    checked_ms: i64,
    files: Vec<FileCheck>,
    model: Described,
}

impl From<Contents> for Found {
    fn from(contents: Contents) -> Self {
        let mut files = contents.files;
        // What matters first: a list is read from its top.
        files.sort_by(|a, b| (a.verdict, &a.path).cmp(&(b.verdict, &b.path)));
        Self {
            checked_ms: contents.checked_ms,
            files,
            model: contents.declared,
        }
    }
}
