//! Native routes: releases of an endpoint, and what is said about the one that goes on.

use std::sync::Arc;

use axum::extract::State;
use axum::routing::{get, post};
use corliss_http::{ApiError, Caller, Dialect, Json, List, Path, Routes};
use http::Method;
use serde::Deserialize;

use super::{READ, WRITE};
use crate::Serving;
use crate::service::releases::Word;
use crate::types::ReleaseView;

const ALL: &str = "/api/v1/endpoints/{name}/releases";
const ONE: &str = "/api/v1/endpoints/{name}/releases/{id}";
const PROMOTE: &str = "/api/v1/endpoints/{name}/releases/{id}/promote";
const ROLL_BACK: &str = "/api/v1/endpoints/{name}/releases/{id}/rollback";
const PAUSE: &str = "/api/v1/endpoints/{name}/releases/{id}/pause";
const RESUME: &str = "/api/v1/endpoints/{name}/releases/{id}/resume";

pub(super) fn routes(serving: &Arc<Serving>) -> Routes {
    let state = || serving.clone();
    let routes = Routes::new()
        .route(
            Method::GET,
            ALL,
            READ,
            Dialect::Native,
            get(list).with_state(state()),
        )
        .route(
            Method::GET,
            ONE,
            READ,
            Dialect::Native,
            get(one).with_state(state()),
        );
    [
        (PROMOTE, Word::Promote),
        (ROLL_BACK, Word::RollBack),
        (PAUSE, Word::Pause),
        (RESUME, Word::Resume),
    ]
    .into_iter()
    .fold(routes, |routes, (path, word)| {
        let handler = post(
            move |State(serving): State<Arc<Serving>>, Caller(caller): Caller, Path(which): Path<Which>| async move {
                let told = serving
                    .tell_release(&which.name, &which.id, word, &caller.name)
                    .await;
                Ok::<_, ApiError>(Json(told?))
            },
        );
        routes.route(Method::POST, path, WRITE, Dialect::Native, handler.with_state(state()))
    })
}

#[derive(Debug, Deserialize)]
struct Which {
    name: String,
    id: String,
}

async fn list(
    State(serving): State<Arc<Serving>>,
    Path(name): Path<String>,
) -> Result<Json<List<ReleaseView>>, ApiError> {
    Ok(Json(List::all(serving.releases(&name).await?)))
}

async fn one(
    State(serving): State<Arc<Serving>>,
    Path(which): Path<Which>,
) -> Result<Json<ReleaseView>, ApiError> {
    Ok(Json(serving.release(&which.name, &which.id).await?))
}
