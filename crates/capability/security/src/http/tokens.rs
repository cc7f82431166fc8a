//! Tokens, for administrators.

use std::sync::Arc;

use axum::extract::State;
use axum::routing::{delete, get, post};
use corliss_http::{ApiError, Dialect, Json, List, PageQuery, Path, Query, Routes};
use corliss_types::{Access, Permission};
use http::{Method, StatusCode};

use crate::Security;
use crate::service::TokenRequest;
use crate::types::{IssuedToken, TokenView};

const ADMIN: Access = Access::Requires(Permission::SystemAdmin);

pub(super) fn routes(security: &Arc<Security>) -> Routes {
    let state = || security.clone();
    Routes::new()
        .route(
            Method::GET,
            "/api/v1/tokens",
            ADMIN,
            Dialect::Native,
            get(list).with_state(state()),
        )
        .route(
            Method::POST,
            "/api/v1/tokens",
            ADMIN,
            Dialect::Native,
            post(issue).with_state(state()),
        )
        .route(
            Method::DELETE,
            "/api/v1/tokens/{id}",
            ADMIN,
            Dialect::Native,
            delete(revoke).with_state(state()),
        )
}

async fn list(
    State(security): State<Arc<Security>>,
    Query(page): Query<PageQuery>,
) -> Result<Json<List<TokenView>>, ApiError> {
    let limit = page.limit(100, 1000)?;
    let mut items = security
        .list(page.page_token.unwrap_or_default(), limit + 1)
        .await?;
    let more = items.len() > limit as usize;
    items.truncate(limit as usize);
    let next_page_token = items.last().filter(|_| more).map(|token| token.id.to_string());
    Ok(Json(List {
        items,
        next_page_token,
    }))
}

async fn issue(
    State(security): State<Arc<Security>>,
    Json(request): Json<TokenRequest>,
) -> Result<(StatusCode, Json<IssuedToken>), ApiError> {
    Ok((StatusCode::CREATED, Json(security.issue(request).await?)))
}

async fn revoke(
    State(security): State<Arc<Security>>,
    Path(id): Path<String>,
) -> Result<StatusCode, ApiError> {
    security.revoke(id).await?;
    Ok(StatusCode::NO_CONTENT)
}
