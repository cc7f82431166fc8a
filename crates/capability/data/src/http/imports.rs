//! Imports from what the administrator has named, which run in the background: `/data/datasets/{name}/import`,
//! `/data/sources`.

use axum::extract::State;
use corliss_http::{ApiError, Caller, Json, List, Path};
use corliss_types::DatasetName;
use http::StatusCode;
use serde::Deserialize;

use super::datasets::signature;
use crate::service::{ImportWish, Operation};
use crate::source::SourceInfo;
use crate::{DataService, EntryPath, RefName, Target};

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Wanted {
    source: String,
    /// A folder of the source, or one object; all of it if none is named.
    #[serde(default)]
    prefix: String,
    /// The folder of the dataset that it goes into.
    to: Option<EntryPath>,
    branch: Option<RefName>,
    /// Whether the files are linked to the objects, and nothing is copied.
    #[serde(default)]
    link: bool,
    #[serde(default)]
    message: String,
}

pub(super) async fn import(
    State(service): State<DataService>,
    Caller(caller): Caller,
    Path(dataset): Path<DatasetName>,
    Json(wanted): Json<Wanted>,
) -> Result<(StatusCode, Json<Operation>), ApiError> {
    let started = service.start_import(ImportWish {
        source: wanted.source,
        prefix: wanted.prefix,
        to: wanted.to,
        target: Target {
            dataset,
            branch: wanted.branch,
            expected: None,
        },
        link: wanted.link,
        by: signature(&caller, wanted.message),
    })?;
    Ok((StatusCode::ACCEPTED, Json(started)))
}

pub(super) async fn sources(State(service): State<DataService>) -> Json<List<SourceInfo>> {
    Json(List::all(service.source_list()))
}
