//! `POST /v1/completions`: the older API, which takes plain text or tokens.

use std::sync::Arc;

use axum::extract::State;
use axum::response::Response;
use corliss_engine::protocol::GenerateRequest;
use corliss_http::{ApiError, JsonBytes};
use serde_json::{Map, Value};

use super::answer::{Answer, Kind};
use super::parameters::{Parameters, invalid};
use super::sampling::{self, Asked};
use super::texts::{self, Text};
use super::{format, forwarded, stream};
use crate::error::GatewayError;
use crate::service::Gateway;
use crate::service::call::Origin;
use crate::service::forward::envelope::Api;
use crate::service::several::Failed;

/// What this API generates when no limit is given.
const MAX_TOKENS: u32 = 16;
const LOGPROBS_MAX: u32 = 5;
const PROMPTS_MAX: usize = 64;

pub(super) async fn create(
    State(gateway): State<Arc<Gateway>>,
    origin: Origin,
    body: JsonBytes,
) -> Result<Response, ApiError> {
    let here = |origin, body| answer(&gateway, origin, body);
    forwarded::or_here(&gateway, Api::Completions, origin, body, here).await
}

async fn answer(
    gateway: &Arc<Gateway>,
    origin: Origin,
    body: Map<String, Value>,
) -> Result<Response, GatewayError> {
    let (asked, listed) = read(body)?;
    let call = gateway.language_call(&asked.model, origin, asked.prompt_tokens())?;
    let answer = Answer::new(Kind::Completion, &asked, gateway.sources());
    let n = asked.of_one_prompt;
    let format = asked.format.clone();
    stream::send(gateway, &call, asked, answer)
        .await
        .map_err(|Failed(index, error)| {
            let error = format::renamed(error, format.as_deref());
            let fields = ["prompt", "prompt_tokens"];
            texts::renamed(error, &fields, "prompt", listed.then(|| index / n))
        })
}

/// What was asked, and whether prompts came as a list.
fn read(body: Map<String, Value>) -> Result<(Asked, bool), GatewayError> {
    let mut parameters = Parameters::new(body);
    let model: String = parameters.required("model")?;
    let prompts = texts::take(&mut parameters, "prompt", PROMPTS_MAX)?;
    let mut request = sampling::take(&mut parameters)?;
    let delivery = sampling::delivery(&mut parameters)?;
    let limit = sampling::limit(&mut parameters)?;
    let n = sampling::answers(&mut parameters)?;
    let format = format::take(&mut parameters)?;
    let best_of: Option<u64> = parameters.optional("best_of")?;
    let logprobs: Option<u32> = parameters.optional("logprobs")?;
    let echo: Option<bool> = parameters.optional("echo")?;
    parameters.finish()?;
    if best_of.is_some_and(|best_of| best_of != n as u64) {
        return Err(GatewayError::UnsupportedParameter {
            parameter: "best_of".to_owned(),
            instead: Some("ask for n answers with logprobs, and choose among them"),
        });
    }
    if logprobs.is_some_and(|count| count > LOGPROBS_MAX) {
        return Err(invalid("logprobs", "must lie between 0 and 5"));
    }
    if limit.tokens == Some(0) && echo != Some(true) {
        return Err(invalid(limit.name, "must be at least 1, or echo true"));
    }
    request.max_tokens = Some(limit.tokens.unwrap_or(MAX_TOKENS));
    request.logprobs = logprobs;
    let asked_as = format.as_ref().map(|asked| asked.parameter.clone());
    request.format = format.map(|asked| asked.format);
    request.echo = echo.unwrap_or(false);
    let requests = prompts
        .all
        .into_iter()
        .map(|prompt| match prompt {
            Text::Plain(text) => GenerateRequest {
                prompt: Some(text),
                ..request.clone()
            },
            Text::Tokens(tokens) => GenerateRequest {
                prompt_tokens: Some(tokens),
                ..request.clone()
            },
        })
        .collect();
    let asked = Asked {
        model,
        requests: sampling::repeated(requests, n)?,
        of_one_prompt: n,
        delivery,
        format: asked_as,
    };
    Ok((asked, prompts.listed))
}
