//! `POST /v1/responses`, the API of Open Responses: text in, text or calls of functions out. Nothing is stored, so what
//! refers to an earlier response is refused.

mod answer;
mod input;
mod stream;

use std::sync::Arc;

use axum::extract::State;
use axum::response::{IntoResponse, Response};
use corliss_engine::protocol::{AnswerFormat, GenerateRequest};
use corliss_http::{ApiError, Json, JsonBytes};
use serde_json::{Map, Value, json};

use super::parameters::{Parameters, invalid, only};
use super::{format, forwarded, sampling, texts, tools};
use crate::error::GatewayError;
use crate::service::call::Origin;
use crate::service::forward::envelope::Api;
use crate::service::several::Failed;
use crate::service::{Gateway, prompt};
use answer::Answer;

const METADATA_MAX: usize = 16;
const METADATA_NAME_MAX: usize = 64;
const METADATA_VALUE_MAX: usize = 512;

/// A request as it was understood.
struct Asked {
    model: String,
    request: GenerateRequest,
    stream: bool,
    instructions: Option<String>,
    metadata: Map<String, Value>,
    text: TextFormat,
    /// What is given back as it came.
    echoed: Map<String, Value>,
}

/// What the answer's text must be.
struct TextFormat {
    /// As it came.
    given: Value,
    /// The parameter at fault if it cannot be held.
    parameter: Option<String>,
}

pub(super) async fn create(
    State(gateway): State<Arc<Gateway>>,
    origin: Origin,
    body: JsonBytes,
) -> Result<Response, ApiError> {
    let here = |origin, body| answer(&gateway, origin, body);
    forwarded::or_here(&gateway, Api::Responses, origin, body, here).await
}

async fn answer(
    gateway: &Arc<Gateway>,
    origin: Origin,
    body: Map<String, Value>,
) -> Result<Response, GatewayError> {
    let asked = read(body)?;
    let prompt_tokens = prompt::tokens(&asked.request);
    let call = gateway.language_call(&asked.model, origin, prompt_tokens)?;
    let answer = Answer::new(&asked, gateway.sources());
    let (requests, format) = (vec![asked.request], asked.text.parameter);
    let named = |failed| named(failed, format.as_deref());
    if asked.stream {
        let generations = gateway.generate_each(&call, &requests, 1).await.map_err(named)?;
        return Ok(stream::send(generations, answer));
    }
    let done = gateway.generate_each_whole(&call, &requests, 1).await;
    match done.map_err(named)?.first() {
        Some(done) => Ok(Json(answer.whole(done)).into_response()),
        None => Err(corliss_engine::EngineError::Stopped.into()),
    }
}

/// Engines speak of what they were sent; who asked here knows other names.
fn named(Failed(_, error): Failed, format: Option<&str>) -> GatewayError {
    let error = format::renamed(error, format);
    let error = texts::renamed(error, &["max_tokens"], "max_output_tokens", None);
    texts::renamed(error, &["messages"], "input", None)
}

fn read(body: Map<String, Value>) -> Result<Asked, GatewayError> {
    let mut parameters = Parameters::new(body);
    let model: String = parameters.required("model")?;
    let input: Value = parameters.required("input")?;
    let instructions: Option<String> = parameters.optional("instructions")?;
    let max_output_tokens: Option<u32> = parameters.optional("max_output_tokens")?;
    if max_output_tokens == Some(0) {
        return Err(invalid("max_output_tokens", "must be at least 1"));
    }
    // What it says of usage is so in any case.
    let stream = sampling::delivery(&mut parameters)?.stream;
    let metadata = metadata(&mut parameters)?;
    let mut request = sampling::take(&mut parameters)?;
    let echoed = echoed(&mut parameters)?;
    tools::take(tools::Shape::Flat, &mut parameters, &mut request)?;
    let (format, text) = text_format(&mut parameters)?;
    request.format = format;
    refuse(&mut parameters)?;
    parameters.finish()?;
    request.messages = Some(input::read(instructions.as_deref(), &input)?);
    request.max_tokens = max_output_tokens;
    Ok(Asked {
        model,
        request,
        stream,
        instructions,
        metadata,
        text,
        echoed,
    })
}

fn metadata(parameters: &mut Parameters) -> Result<Map<String, Value>, GatewayError> {
    let metadata: Map<String, Value> = parameters.optional("metadata")?.unwrap_or_default();
    if metadata.len() > METADATA_MAX {
        return Err(invalid(
            "metadata",
            &format!("must have at most {METADATA_MAX} members"),
        ));
    }
    for (name, value) in &metadata {
        let fits = name.chars().count() <= METADATA_NAME_MAX
            && value
                .as_str()
                .is_some_and(|value| value.chars().count() <= METADATA_VALUE_MAX);
        if !fits {
            let reason = format!(
                "must hold texts of at most {METADATA_VALUE_MAX} letters under names of at most {METADATA_NAME_MAX}"
            );
            return Err(invalid("metadata", &reason));
        }
    }
    Ok(metadata)
}

/// Takes what the text must be.
fn text_format(parameters: &mut Parameters) -> Result<(Option<AnswerFormat>, TextFormat), GatewayError> {
    let mut text: Map<String, Value> = parameters.optional("text")?.unwrap_or_default();
    let given = match text.remove("format") {
        None | Some(Value::Null) => json!({ "type": "text" }),
        Some(given) => given,
    };
    only("text", &text, &["format", "verbosity"])?;
    let (format, parameter) = match format::of_text(&given)? {
        None => (None, None),
        Some(asked) => (Some(asked.format), Some(asked.parameter)),
    };
    Ok((format, TextFormat { given, parameter }))
}

/// Says something about the caller, which the answer repeats.
fn echoed(parameters: &mut Parameters) -> Result<Map<String, Value>, GatewayError> {
    let mut echoed = Map::new();
    for name in ["safety_identifier", "prompt_cache_key", "user"] {
        if let Some(value) = parameters.optional::<String>(name)? {
            echoed.insert(name.to_owned(), Value::String(value));
        }
    }
    Ok(echoed)
}

/// What would be another answer, or another use of it, by name and with what to do instead.
fn refuse(parameters: &mut Parameters) -> Result<(), GatewayError> {
    const SEND_ALL: &str = "responses are not stored: send the conversation so far as input";
    let not_stored = [
        ("previous_response_id", SEND_ALL),
        ("conversation", SEND_ALL),
        (
            "prompt",
            "templates are not stored: send their text as instructions and input",
        ),
    ];
    for (name, instead) in not_stored {
        if parameters.optional::<Value>(name)?.is_some() {
            return Err(unsupported(name, Some(instead)));
        }
    }
    let flags = [
        ("store", "responses are not stored: send false"),
        (
            "background",
            "responses are not stored: wait for the answer, or stream it",
        ),
    ];
    for (name, instead) in flags {
        if parameters.optional::<bool>(name)?.unwrap_or(false) {
            return Err(unsupported(name, Some(instead)));
        }
    }
    if parameters.optional::<u64>("top_logprobs")?.unwrap_or(0) > 0 {
        return Err(unsupported(
            "top_logprobs",
            Some("ask /v1/chat/completions for them"),
        ));
    }
    match parameters.optional::<String>("truncation")?.as_deref() {
        None | Some("disabled") => {}
        Some(_) => {
            return Err(unsupported(
                "truncation",
                Some("send what fits the model's context"),
            ));
        }
    }
    let reasoning: Map<String, Value> = parameters.optional("reasoning")?.unwrap_or_default();
    match reasoning.iter().find(|(_, value)| !value.is_null()) {
        Some((name, _)) => {
            let name: String = name.chars().take(80).collect();
            Err(unsupported(&format!("reasoning.{name}"), None))
        }
        None => {
            // It is about tools that the service runs itself, of which there are none.
            let _: Option<u64> = parameters.optional("max_tool_calls")?;
            Ok(())
        }
    }
}

fn unsupported(parameter: &str, instead: Option<&'static str>) -> GatewayError {
    GatewayError::UnsupportedParameter {
        parameter: parameter.to_owned(),
        instead,
    }
}

#[cfg(test)]
mod tests {
    use corliss_diagnostics::Diagnose;

    use super::*;

    fn asked(more: Value) -> Result<Asked, GatewayError> {
        let mut body = json!({"model": "m", "input": "hello"});
        for (name, value) in more.as_object().unwrap() {
            body[name] = value.clone();
        }
        read(body.as_object().unwrap().clone())
    }

    #[test]
    fn what_changes_nothing_is_taken() {
        let asked = asked(json!({"store": false, "previous_response_id": null, "tools": [], "tool_choice": "auto",
            "text": {"format": {"type": "text"}}, "reasoning": {"effort": null}, "truncation": "disabled",
            "include": [], "background": false, "metadata": {"a": "b"}, "parallel_tool_calls": true,
            "max_output_tokens": 7, "temperature": 0, "top_p": 0.5, "service_tier": "auto", "top_logprobs": 0}))
        .unwrap();
        assert_eq!(asked.request.max_tokens, Some(7));
        assert_eq!(
            (asked.request.temperature, asked.request.top_p),
            (Some(0.0), Some(0.5))
        );
        assert_eq!(asked.metadata["a"], "b");
    }

    #[test]
    fn what_is_not_there_is_refused_by_name() {
        for (name, value) in [
            ("store", json!(true)),
            ("previous_response_id", json!("resp_1")),
            ("conversation", json!("conv_1")),
            ("background", json!(true)),
            ("tool_choice", json!("required")),
            ("include", json!(["message.output_text.logprobs"])),
            ("truncation", json!("auto")),
            ("top_logprobs", json!(3)),
            ("max_output_tokens", json!(0)),
            ("max_output_tokens", json!("many")),
            ("metadata", json!({"a": 1})),
            ("stream", json!("yes")),
            ("stream_options", json!({"include_obfuscation": true})),
            ("temprature", json!(1)),
        ] {
            let error = asked(json!({ name: value })).err().unwrap();
            assert_eq!(error.field().as_deref(), Some(name), "{error}");
        }
        for (more, field) in [
            (
                json!({"text": {"format": {"type": "json_schema"}}}),
                "text.format.name",
            ),
            (json!({"tools": [{"type": "web_search"}]}), "tools[0].type"),
            (
                json!({"text": {"fromat": {"type": "json_object"}}}),
                "text.fromat",
            ),
        ] {
            let error = asked(more).err().unwrap();
            assert_eq!(error.field().as_deref(), Some(field));
        }
        let error = asked(json!({"stream": true, "stream_options": {"x": 1}}))
            .err()
            .unwrap();
        assert_eq!(error.field().as_deref(), Some("stream_options.x"));
        let error = asked(json!({"reasoning": {"effort": "high"}})).err().unwrap();
        assert_eq!(error.field().as_deref(), Some("reasoning.effort"));
    }
}
