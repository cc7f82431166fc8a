//! `GET /lineage`.

use axum::extract::State;
use corliss_http::{ApiError, Json, Query};
use serde::Deserialize;

use crate::DataService;
use crate::lineage::{Direction, LineageGraph, NodeRef};

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Question {
    node: String,
    direction: Option<Direction>,
}

pub(super) async fn graph(
    State(service): State<DataService>,
    Query(question): Query<Question>,
) -> Result<Json<LineageGraph>, ApiError> {
    let node: NodeRef = question.node.parse()?;
    let direction = question.direction.unwrap_or(Direction::Both);
    Ok(Json(service.lineage(&node, direction).await?))
}
