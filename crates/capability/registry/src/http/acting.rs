//! The registry as the caller changes it: their name stands in the log.

use axum::extract::FromRequestParts;
use corliss_http::{ApiError, Caller};
use http::request::Parts;

use crate::Registry;

pub(super) struct Acting(pub Registry);

impl FromRequestParts<Registry> for Acting {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, registry: &Registry) -> Result<Self, ApiError> {
        let Caller(caller) = Caller::from_request_parts(parts, registry).await?;
        Ok(Self(registry.acting_as(&caller.name)))
    }
}
