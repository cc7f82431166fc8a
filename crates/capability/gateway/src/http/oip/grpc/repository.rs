//! The repository extension over gRPC.

use axum::extract::{FromRequestParts, Request, State};
use axum::response::Response;
use corliss_http::{ApiError, Caller};

use super::about::QUESTION_MAX_BYTES;
use super::call;
use super::messages::{
    Empty, ModelIndex, RepositoryIndexRequest, RepositoryIndexResponse, RepositoryModelRequest,
};
use crate::http::oip::repository::{Entry, Shelf};

pub(super) async fn index(State(shelf): State<Shelf>, request: Request) -> Result<Response, ApiError> {
    let (_, asked) = call::message::<RepositoryIndexRequest>(request, QUESTION_MAX_BYTES).await?;
    let model = |entry: Entry| ModelIndex {
        name: entry.name,
        version: entry.version,
        state: entry.state.to_owned(),
        reason: entry.reason,
    };
    Ok(call::answer(RepositoryIndexResponse {
        models: shelf.index(asked.ready).into_iter().map(model).collect(),
    }))
}

pub(super) async fn load(State(shelf): State<Shelf>, request: Request) -> Result<Response, ApiError> {
    let (mut parts, asked) = call::message::<RepositoryModelRequest>(request, QUESTION_MAX_BYTES).await?;
    let Caller(caller) = Caller::from_request_parts(&mut parts, &()).await?;
    let parameters = asked.parameters.keys().map(String::as_str);
    shelf.load(&asked.model_name, &caller.name, parameters).await?;
    Ok(call::answer(Empty {}))
}

pub(super) async fn unload(State(shelf): State<Shelf>, request: Request) -> Result<Response, ApiError> {
    let (_, asked) = call::message::<RepositoryModelRequest>(request, QUESTION_MAX_BYTES).await?;
    let parameters = asked.parameters.keys().map(String::as_str);
    shelf.unload(&asked.model_name, parameters).await?;
    Ok(call::answer(Empty {}))
}
