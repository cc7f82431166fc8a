//! `POST /v1/chat/completions`.

use std::sync::Arc;

use axum::extract::State;
use axum::response::Response;
use corliss_http::{ApiError, JsonBytes};
use serde_json::{Map, Value};

use super::answer::{Answer, Kind};
use super::parameters::{Parameters, invalid};
use super::sampling::{self, Asked};
use super::{format, forwarded, messages, stream, texts, tools};
use crate::error::GatewayError;
use crate::service::Gateway;
use crate::service::call::Origin;
use crate::service::forward::envelope::Api;
use crate::service::several::Failed;

const TOP_LOGPROBS_MAX: u32 = 20;

pub(super) async fn create(
    State(gateway): State<Arc<Gateway>>,
    origin: Origin,
    body: JsonBytes,
) -> Result<Response, ApiError> {
    let here = |origin, body| answer(&gateway, origin, body);
    forwarded::or_here(&gateway, Api::Chat, origin, body, here).await
}

async fn answer(
    gateway: &Arc<Gateway>,
    origin: Origin,
    body: Map<String, Value>,
) -> Result<Response, GatewayError> {
    let asked = read(body)?;
    let call = gateway.language_call(&asked.model, origin, asked.prompt_tokens())?;
    let answer = Answer::new(Kind::Chat, &asked, gateway.sources());
    let format = asked.format.clone();
    stream::send(gateway, &call, asked, answer)
        .await
        .map_err(|failed| named(failed, format.as_deref()))
}

/// Engines speak of what they were sent; who asked here knows other names.
fn named(Failed(_, error): Failed, format: Option<&str>) -> GatewayError {
    let error = tools::renamed(format::renamed(error, format));
    texts::renamed(error, &["messages"], "messages", None)
}

fn read(body: Map<String, Value>) -> Result<Asked, GatewayError> {
    let mut parameters = Parameters::new(body);
    let model: String = parameters.required("model")?;
    let messages = messages::read(parameters.required("messages")?)?;
    let mut request = sampling::take(&mut parameters)?;
    let delivery = sampling::delivery(&mut parameters)?;
    let limit = sampling::limit(&mut parameters)?;
    let n = sampling::answers(&mut parameters)?;
    let format = format::take(&mut parameters)?;
    tools::take(tools::Shape::Nested, &mut parameters, &mut request)?;
    let wanted = parameters.optional::<bool>("logprobs")?.unwrap_or(false);
    let top: Option<u32> = parameters.optional("top_logprobs")?;
    parameters.finish()?;
    if limit.tokens == Some(0) {
        return Err(invalid(limit.name, "must be at least 1"));
    }
    if top.is_some_and(|top| top > TOP_LOGPROBS_MAX) {
        return Err(invalid("top_logprobs", "must lie between 0 and 20"));
    }
    if top.is_some_and(|top| top > 0) && !wanted {
        return Err(invalid("top_logprobs", "is only allowed when logprobs is true"));
    }
    let asked_as = format.as_ref().map(|asked| asked.parameter.clone());
    request.format = format.map(|asked| asked.format);
    request.messages = Some(messages);
    request.max_tokens = limit.tokens;
    request.logprobs = wanted.then(|| top.unwrap_or(0));
    Ok(Asked {
        model,
        requests: sampling::repeated(vec![request], n)?,
        of_one_prompt: n,
        delivery,
        format: asked_as,
    })
}
