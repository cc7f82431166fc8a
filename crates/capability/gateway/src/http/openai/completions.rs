//! `POST /v1/completions`: the older API, which takes plain text or tokens.

use std::sync::Arc;

use axum::extract::State;
use axum::response::Response;
use corliss_engine::protocol::GenerateRequest;
use corliss_http::{ApiError, Json};
use serde::Deserialize;
use serde_json::{Map, Value};

use super::answer::{Answer, Kind};
use super::parameters::{Parameters, invalid};
use super::sampling::{self, Delivery};
use super::stream;
use crate::error::GatewayError;
use crate::service::Gateway;

/// What this API generates when no limit is given.
const MAX_TOKENS: u32 = 16;
const LOGPROBS_MAX: u32 = 5;

/// Text, several texts, tokens, or several lists of tokens.
#[derive(Deserialize)]
#[serde(untagged)]
enum Prompt {
    Text(String),
    Tokens(Vec<i32>),
    Texts(Vec<String>),
    TokenLists(Vec<Vec<i32>>),
}

pub(super) async fn create(
    State(gateway): State<Arc<Gateway>>,
    Json(body): Json<Map<String, Value>>,
) -> Result<Response, ApiError> {
    answer(&gateway, body).await.map_err(GatewayError::into_api)
}

async fn answer(gateway: &Gateway, body: Map<String, Value>) -> Result<Response, GatewayError> {
    let (model, request, delivery) = read(body)?;
    let endpoint = gateway.language_endpoint(&model)?;
    let answer = Answer::new(
        Kind::Completion,
        &model,
        request.logprobs.is_some(),
        gateway.sources(),
    );
    stream::send(gateway, endpoint, &request, answer, delivery).await
}

fn read(body: Map<String, Value>) -> Result<(String, GenerateRequest, Delivery), GatewayError> {
    let mut parameters = Parameters::new(body);
    let model: String = parameters.required("model")?;
    let prompt: Prompt = parameters
        .required("prompt")
        .map_err(|_| invalid("prompt", "must be a string or an array of tokens"))?;
    let mut request = sampling::take(&mut parameters)?;
    let delivery = sampling::delivery(&mut parameters)?;
    let limit: Option<u32> = parameters.optional("max_tokens")?;
    let logprobs: Option<u32> = parameters.optional("logprobs")?;
    parameters.finish()?;
    if logprobs.is_some_and(|count| count > LOGPROBS_MAX) {
        return Err(invalid("logprobs", "must lie between 0 and 5"));
    }
    match prompt {
        Prompt::Text(text) => request.prompt = Some(text),
        Prompt::Tokens(tokens) => request.prompt_tokens = Some(tokens),
        Prompt::Texts(texts) => request.prompt = Some(only(texts)?),
        Prompt::TokenLists(lists) => request.prompt_tokens = Some(only(lists)?),
    }
    request.max_tokens = Some(limit.unwrap_or(MAX_TOKENS));
    request.logprobs = logprobs;
    Ok((model, request, delivery))
}

fn only<T>(mut prompts: Vec<T>) -> Result<T, GatewayError> {
    match (prompts.pop(), prompts.is_empty()) {
        (Some(prompt), true) => Ok(prompt),
        _ => Err(GatewayError::UnsupportedParameter {
            parameter: "prompt".to_owned(),
            instead: Some("send one request for each prompt; they are decoded together"),
        }),
    }
}
