//! `POST /v1/embeddings`.

use std::sync::Arc;

use axum::extract::State;
use axum::response::{IntoResponse, Response};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use corliss_engine::protocol::{EmbedInput, EmbedRequest};
use corliss_http::{ApiError, Json, JsonBytes};
use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::forwarded;
use super::parameters::{Parameters, invalid};
use super::texts::{self, Text};
use crate::error::GatewayError;
use crate::service::Gateway;
use crate::service::call::Origin;
use crate::service::forward::envelope::Api;

const INPUTS_MAX: usize = 2048;

/// How numbers are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Encoding {
    Float,
    Base64,
}

pub(super) async fn create(
    State(gateway): State<Arc<Gateway>>,
    origin: Origin,
    body: JsonBytes,
) -> Result<Response, ApiError> {
    let gateway = &gateway;
    let here = |origin, body| async move {
        let embeddings = answer(gateway, origin, body).await?;
        Ok(Json(embeddings).into_response())
    };
    forwarded::or_here(gateway, Api::Embeddings, origin, body, here).await
}

async fn answer(gateway: &Gateway, origin: Origin, body: Map<String, Value>) -> Result<Value, GatewayError> {
    let mut parameters = Parameters::new(body);
    let model: String = parameters.required("model")?;
    let input = texts::take(&mut parameters, "input", INPUTS_MAX)?;
    let encoding = parameters
        .optional("encoding_format")
        .map_err(|_| invalid("encoding_format", "must be float or base64"))?
        .unwrap_or(Encoding::Float);
    let dimensions: Option<u32> = parameters.optional("dimensions")?;
    parameters.finish()?;
    let call = gateway.language_call(&model, origin, 0)?;
    let inputs = input.all.into_iter().map(|text| match text {
        Text::Plain(text) => EmbedInput::Text(text),
        Text::Tokens(tokens) => EmbedInput::Tokens(tokens),
    });
    let request = EmbedRequest {
        inputs: inputs.collect(),
        dimensions,
    };
    let embeddings = gateway
        .embed(&call, &request)
        .await
        .map_err(|error| named(error, input.listed))?;
    let data: Vec<Value> = embeddings
        .vectors
        .iter()
        .enumerate()
        .map(|(index, vector)| {
            json!({ "object": "embedding", "index": index, "embedding": written(vector, encoding) })
        })
        .collect();
    Ok(json!({
        "object": "list",
        "data": data,
        "model": model,
        "usage": { "prompt_tokens": embeddings.prompt_tokens, "total_tokens": embeddings.prompt_tokens },
    }))
}

/// Engines say `inputs[place]`, of a lone text too.
fn named(error: GatewayError, listed: bool) -> GatewayError {
    let fields: &[&str] = if listed {
        &["inputs"]
    } else {
        &["inputs[0]", "inputs"]
    };
    texts::renamed(error, fields, "input", None)
}

/// As numbers, or their bytes, little end first, in base64.
fn written(vector: &[f32], encoding: Encoding) -> Value {
    match encoding {
        Encoding::Float => json!(vector),
        Encoding::Base64 => {
            let bytes: Vec<u8> = vector.iter().flat_map(|value| value.to_le_bytes()).collect();
            json!(STANDARD.encode(bytes))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn base64_holds_the_numbers_little_end_first() {
        assert_eq!(written(&[1.0, -2.0], Encoding::Base64), "AACAPwAAAMA=");
        assert_eq!(written(&[0.5], Encoding::Float), json!([0.5]));
    }
}
