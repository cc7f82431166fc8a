//! Who sent a request: the caller, the request's id and its headers, less what is nobody's business further in.

use axum::extract::FromRequestParts;
use corliss_http::{ApiError, Caller, RequestId};
use http::header;
use http::request::Parts;

use crate::service::call::Origin;

impl<S: Send + Sync> FromRequestParts<S> for Origin {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, ApiError> {
        let Caller(caller) = Caller::from_request_parts(parts, state).await?;
        let RequestId(request) = RequestId::from_request_parts(parts, state).await?;
        let mut headers = parts.headers.clone();
        headers.remove(header::AUTHORIZATION);
        headers.remove(header::COOKIE);
        Ok(Self {
            request,
            caller: caller.name,
            headers: headers.into(),
            instead_of: None,
            standing: None,
            trace: None,
        })
    }
}
