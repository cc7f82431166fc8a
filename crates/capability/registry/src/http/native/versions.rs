//! One version: all that is known of it, its files looked at anew, what people say of it.

use axum::extract::State;
use corliss_diagnostics::ErrorReport;
use corliss_http::{ApiError, Json, Path};
use serde::{Deserialize, Serialize};

use super::view::{Version, VersionDetail};
use crate::contents::{Counts, FileCheck};
use crate::http::acting::Acting;
use crate::{Decision, Registry};

pub(super) async fn detail(
    State(registry): State<Registry>,
    Path((name, number)): Path<(String, i64)>,
) -> Result<Json<VersionDetail>, ApiError> {
    let version = registry.version(name.clone(), number).await?;
    let contents = registry.contents(&version).await?;
    let standing = registry.standing(name.clone(), number).await?;
    Ok(Json(VersionDetail {
        name,
        version: Version::of(version, contents.as_ref().map(|contents| contents.counts)),
        contents: contents.map(Into::into),
        decisions: standing.decisions,
        missing_approval: standing.missing,
    }))
}

#[derive(Serialize)]
pub(super) struct Checked {
    checked_ms: i64,
    checked: Counts,
    files: Vec<FileCheck>,
}

pub(super) async fn check(
    Acting(registry): Acting,
    Path((name, number)): Path<(String, i64)>,
) -> Result<Json<Checked>, ApiError> {
    let mut found = registry.check_version(name, number).await?;
    found
        .files
        .sort_by(|a, b| (a.verdict, &a.path).cmp(&(b.verdict, &b.path)));
    Ok(Json(Checked {
        checked_ms: found.checked_ms,
        checked: found.counts,
        files: found.files,
    }))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Decide {
    decision: Word,
    #[serde(default)]
    reason: String,
}

#[derive(Deserialize, PartialEq, Eq)]
#[serde(rename_all = "snake_case")]
enum Word {
    Approved,
    Rejected,
}

#[derive(Serialize)]
pub(super) struct Decided {
    decisions: Vec<Decision>,
    #[serde(skip_serializing_if = "Option::is_none")]
    missing_approval: Option<String>,
    /// Why the files of an approved version would not be served all the same.
    #[serde(skip_serializing_if = "Option::is_none")]
    unfit: Option<ErrorReport>,
}

pub(super) async fn decide(
    Acting(registry): Acting,
    Path((name, number)): Path<(String, i64)>,
    Json(body): Json<Decide>,
) -> Result<Json<Decided>, ApiError> {
    let approved = body.decision == Word::Approved;
    registry
        .decide(name.clone(), number, approved, body.reason)
        .await?;
    let standing = registry.standing(name.clone(), number).await?;
    let unfit = match approved {
        true => registry.unfit(name, number).await?,
        false => None,
    };
    Ok(Json(Decided {
        decisions: standing.decisions,
        missing_approval: standing.missing,
        unfit: unfit.map(|error| ErrorReport::of(&error)),
    }))
}
