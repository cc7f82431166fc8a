//! `model-versions/*`.

use axum::body::Body;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use corliss_http::Json;
use corliss_mlflow_wire::Args;
use http::header;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::{Value, json};

use super::refusal::Refusal;
use super::{Answer, answer, models};
use crate::http::acting::Acting;
use crate::types::ModelVersion;
use crate::{NewForeign, Registry};

/// What a file name may not hold plainly.
const RESERVED: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'.')
    .remove(b'_')
    .remove(b'~');

fn shown(version: &ModelVersion) -> Json<Value> {
    Json(json!({ "model_version": answer::version(version) }))
}

pub(super) async fn create(Acting(registry): Acting, args: Args) -> Answer {
    let new = NewForeign {
        model: args.required_text("name")?,
        source: answer::read_source(&args)?,
        run_link: args.text("run_link")?.unwrap_or_default(),
        description: args.text("description")?.unwrap_or_default(),
        tags: answer::read_tags(&args)?,
    };
    Ok(shown(&registry.register_foreign(new).await?))
}

pub(super) async fn get(State(registry): State<Registry>, args: Args) -> Answer {
    let version = registry
        .version(args.required_text("name")?, answer::read_version(&args)?)
        .await?;
    Ok(shown(&version))
}

pub(super) async fn search(State(registry): State<Registry>, args: Args) -> Answer {
    let (versions, token) = registry.search_versions(answer::read_search(&args)?).await?;
    Ok(Json(answer::page(
        "model_versions",
        versions.iter().map(answer::version).collect(),
        token,
    )))
}

pub(super) async fn download_uri(State(registry): State<Registry>, args: Args) -> Answer {
    let version = registry
        .version(args.required_text("name")?, answer::read_version(&args)?)
        .await?;
    Ok(Json(json!({ "artifact_uri": version.download_uri })))
}

pub(super) async fn update(Acting(registry): Acting, args: Args) -> Answer {
    let number = answer::read_version(&args)?;
    let version = registry
        .describe_version(
            args.required_text("name")?,
            number,
            args.text("description")?.unwrap_or_default(),
        )
        .await?;
    Ok(shown(&version))
}

pub(super) async fn delete(Acting(registry): Acting, args: Args) -> Answer {
    registry
        .delete_version(args.required_text("name")?, answer::read_version(&args)?)
        .await?;
    Ok(Json(json!({})))
}

pub(super) async fn transition(Acting(registry): Acting, args: Args) -> Answer {
    let stage = models::stage(&args.required_text("stage")?)?;
    let number = answer::read_version(&args)?;
    let archive = args.flag("archive_existing_versions")?;
    Ok(shown(
        &registry
            .set_stage(args.required_text("name")?, number, stage, archive)
            .await?,
    ))
}

pub(super) async fn set_tag(Acting(registry): Acting, args: Args) -> Answer {
    let number = answer::read_version(&args)?;
    registry
        .set_version_tag(args.required_text("name")?, number, answer::read_tag(&args)?)
        .await?;
    Ok(Json(json!({})))
}

pub(super) async fn delete_tag(Acting(registry): Acting, args: Args) -> Answer {
    let number = answer::read_version(&args)?;
    registry
        .delete_version_tag(args.required_text("name")?, number, args.required_text("key")?)
        .await?;
    Ok(Json(json!({})))
}

/// A file of a version, as `get-artifact` of a run: always an attachment of an opaque kind, so that what somebody
/// registered does not run in the console's origin.
pub(super) async fn artifact(State(registry): State<Registry>, args: Args) -> Result<Response, Refusal> {
    let number = answer::read_version(&args)?;
    let (name, path) = (args.required_text("name")?, args.required_text("path")?);
    let label = attachment(&path);
    let read = registry.version_file(name, number, path).await?;
    let headers = [
        (header::CONTENT_TYPE, "application/octet-stream".to_owned()),
        (header::CONTENT_LENGTH, read.size_bytes.to_string()),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff".to_owned()),
        (header::CONTENT_DISPOSITION, label),
    ];
    Ok((headers, Body::from_stream(read.bytes)).into_response())
}

/// The name under which a file is saved: as RFC 8187 wants it, everything but unreserved characters in percent form.
fn attachment(path: &str) -> String {
    let name = path.rsplit('/').next().unwrap_or_default();
    format!(
        "attachment; filename*=UTF-8''{}",
        utf8_percent_encode(name, RESERVED)
    )
}
