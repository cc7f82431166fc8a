//! From what people write for a version to what it means on the server now.

use serde::Deserialize;

use crate::api::{Api, segment};
use crate::error::CliResult;

/// What a reference means.
#[derive(Debug, Deserialize)]
pub struct Resolved {
    /// The version.
    pub version: String,
    /// The commit, unless a version was named.
    #[serde(default)]
    pub commit: Option<String>,
    /// The branch, if one was named.
    #[serde(default)]
    pub branch: Option<String>,
}

/// What `NAME`, `NAME@REF` or an id means.
pub fn resolve(api: &Api, target: &str) -> CliResult<Resolved> {
    api.get(&format!("/api/v1/data/resolve?reference={}", segment(target)))
}

/// The version behind it.
pub fn version_of(api: &Api, target: &str) -> CliResult<String> {
    Ok(resolve(api, target)?.version)
}
