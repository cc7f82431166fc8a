//! The record, newest first.

use std::sync::Arc;

use axum::extract::State;
use axum::routing::get;
use corliss_http::{ApiError, Dialect, Json, List, PageQuery, Query, Routes};
use corliss_types::{Access, Permission};
use http::Method;

use crate::Security;
use crate::types::AuditRecord;

/// Sorts after every id of a record, in every collation.
const NEWEST: &str = "aud_z";

pub(super) fn routes(security: &Arc<Security>) -> Routes {
    let access = Access::Requires(Permission::SystemAdmin);
    let handler = get(list).with_state(security.clone());
    Routes::new().route(Method::GET, "/api/v1/audit", access, Dialect::Native, handler)
}

async fn list(
    State(security): State<Arc<Security>>,
    Query(page): Query<PageQuery>,
) -> Result<Json<List<AuditRecord>>, ApiError> {
    let limit = page.limit(100, 1000)?;
    let before = page.page_token.unwrap_or_else(|| NEWEST.to_owned());
    let mut items = security.audit(before, limit + 1).await?;
    let more = items.len() > limit as usize;
    items.truncate(limit as usize);
    let next_page_token = items.last().filter(|_| more).map(|record| record.id.clone());
    Ok(Json(List {
        items,
        next_page_token,
    }))
}
