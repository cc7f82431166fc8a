//! What a model demands before it is served.

use corliss_http::{ApiError, Json, Path};
use http::StatusCode;
use serde::Deserialize;

use crate::Protection;
use crate::http::acting::Acting;
use crate::service::NewProtection;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Protect {
    #[serde(default = "one")]
    approvals: u32,
    /// None is all of them.
    #[serde(default)]
    aliases: Vec<String>,
    #[serde(default)]
    self_approval: bool,
}

fn one() -> u32 {
    1
}

pub(super) async fn put(
    Acting(registry): Acting,
    Path(name): Path<String>,
    Json(body): Json<Protect>,
) -> Result<Json<Protection>, ApiError> {
    let new = NewProtection {
        approvals: body.approvals,
        aliases: body.aliases,
        self_approval: body.self_approval,
    };
    Ok(Json(registry.protect(name, new).await?))
}

/// Ending what is not there succeeds: what was wanted is so.
pub(super) async fn delete(
    Acting(registry): Acting,
    Path(name): Path<String>,
) -> Result<StatusCode, ApiError> {
    registry.unprotect(name).await?;
    Ok(StatusCode::NO_CONTENT)
}
