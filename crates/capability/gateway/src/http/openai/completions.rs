//! `POST /v1/completions`: the older API, which takes plain text or tokens.

use std::sync::Arc;

use axum::extract::State;
use axum::response::Response;
use corliss_engine::EngineError;
use corliss_engine::protocol::GenerateRequest;
use corliss_http::{ApiError, Json};
use serde::Deserialize;
use serde_json::{Map, Value};

use super::answer::{Answer, Kind};
use super::parameters::{Parameters, invalid};
use super::sampling::{self, Asked};
use super::stream;
use crate::error::GatewayError;
use crate::service::Gateway;

/// What this API generates when no limit is given.
const MAX_TOKENS: u32 = 16;
const LOGPROBS_MAX: u32 = 5;
const PROMPTS_MAX: usize = 64;

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

async fn answer(gateway: &Arc<Gateway>, body: Map<String, Value>) -> Result<Response, GatewayError> {
    let asked = read(body)?;
    let endpoint = gateway.language_endpoint(&asked.model)?;
    let answer = Answer::new(Kind::Completion, &asked, gateway.sources());
    let (n, several) = (asked.of_one_prompt, asked.requests.len() > asked.of_one_prompt);
    stream::send(gateway, &endpoint, asked, answer)
        .await
        .map_err(|(index, error)| of_prompt(several.then(|| index / n), error))
}

fn read(body: Map<String, Value>) -> Result<Asked, GatewayError> {
    let mut parameters = Parameters::new(body);
    let model: String = parameters.required("model")?;
    let prompt = prompts(parameters.required("prompt").map_err(|_| {
        invalid(
            "prompt",
            "must be a string, an array of strings, an array of tokens, or an array of those",
        )
    })?)?;
    let mut request = sampling::take(&mut parameters)?;
    let delivery = sampling::delivery(&mut parameters)?;
    let limit = sampling::limit(&mut parameters)?;
    let n = sampling::answers(&mut parameters)?;
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
    request.max_tokens = Some(limit.unwrap_or(MAX_TOKENS));
    request.logprobs = logprobs;
    request.echo = echo.unwrap_or(false);
    let requests = prompt
        .into_iter()
        .map(|prompt| match prompt {
            One::Text(text) => GenerateRequest {
                prompt: Some(text),
                ..request.clone()
            },
            One::Tokens(tokens) => GenerateRequest {
                prompt_tokens: Some(tokens),
                ..request.clone()
            },
        })
        .collect();
    Ok(Asked {
        model,
        requests: sampling::repeated(requests, n)?,
        of_one_prompt: n,
        delivery,
    })
}

/// One prompt.
enum One {
    Text(String),
    Tokens(Vec<i32>),
}

fn prompts(prompt: Prompt) -> Result<Vec<One>, GatewayError> {
    let prompts: Vec<One> = match prompt {
        Prompt::Text(text) => vec![One::Text(text)],
        Prompt::Tokens(tokens) => vec![One::Tokens(tokens)],
        Prompt::Texts(texts) => texts.into_iter().map(One::Text).collect(),
        Prompt::TokenLists(lists) => lists.into_iter().map(One::Tokens).collect(),
    };
    if prompts.len() > PROMPTS_MAX {
        let reason = format!("must hold at most {PROMPTS_MAX} prompts, not {}", prompts.len());
        return Err(invalid("prompt", &reason));
    }
    Ok(prompts)
}

/// The error in this API's words, which have one name for prompts of all kinds; with the place of the prompt
/// if there are several.
fn of_prompt(place: Option<usize>, error: GatewayError) -> GatewayError {
    let (status, mut report) = match error {
        GatewayError::Engine(EngineError::Remote { status, report }) => (status, report),
        other => return other,
    };
    let name = place.map_or_else(|| "prompt".to_owned(), |place| format!("prompt[{place}]"));
    let rest = report.field.as_deref().and_then(|field| {
        field
            .strip_prefix("prompt_tokens")
            .or_else(|| field.strip_prefix("prompt"))
    });
    if let Some(rest) = rest {
        report.field = Some(format!("{name}{rest}"));
    } else if report.code == "context_length_exceeded" {
        report.field = Some(name);
    }
    GatewayError::Engine(EngineError::Remote { status, report })
}
