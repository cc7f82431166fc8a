//! `ModelInfer` and `ModelStreamInfer`: the message becomes one of the REST form, whose tensors are the bytes that came.

use std::sync::Arc;

use axum::extract::{Request, State};
use axum::response::Response;
use bytes::Bytes;
use corliss_diagnostics::Meaning;
use corliss_engine::protocol::TensorMessage;
use corliss_http::ApiError;
use futures_util::StreamExt;
use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::messages::{
    InferInputTensor, ModelInferRequest, ModelInferResponse, ModelStreamInferResponse, ParameterChoice,
    Parameters, TensorMetadata,
};
use super::{call, contents};
use crate::error::GatewayError;
use crate::service::Gateway;
use crate::service::call::Origin;

/// Requests of one stream that are worked on at once. Their answers come in the order in which they were asked.
const STREAM_AT_ONCE: usize = 8;
const SHARED_MEMORY: &str = "shared_memory_region";

pub(super) async fn infer(
    State(gateway): State<Arc<Gateway>>,
    origin: Origin,
    request: Request,
) -> Result<Response, ApiError> {
    let limit = gateway.config().tensor_max_bytes;
    let (_, request) = call::message::<ModelInferRequest>(request, limit).await?;
    Ok(call::answer(one(&gateway, origin, request).await?))
}

pub(super) async fn stream(
    State(gateway): State<Arc<Gateway>>,
    origin: Origin,
    request: Request,
) -> Result<Response, ApiError> {
    let limit = gateway.config().tensor_max_bytes;
    let (_, requests) = call::messages::<ModelInferRequest>(request, limit)?;
    let answers = requests.map(move |request| {
        let (gateway, origin) = (gateway.clone(), origin.clone());
        async move {
            // A message that cannot be read ends the stream: where the next one begins is not known.
            let request = request.map_err(|status| call::status_of(&call::broken(&status)))?;
            let id = request.id.clone();
            Ok(match one(&gateway, origin, request).await {
                Ok(answer) => ModelStreamInferResponse {
                    error_message: String::new(),
                    infer_response: Some(answer),
                },
                Err(error) => ModelStreamInferResponse {
                    error_message: error.sentence(),
                    infer_response: Some(ModelInferResponse {
                        id,
                        ..ModelInferResponse::default()
                    }),
                },
            })
        }
    });
    Ok(call::answers(answers.buffered(STREAM_AT_ONCE)))
}

async fn one(
    gateway: &Gateway,
    origin: Origin,
    request: ModelInferRequest,
) -> Result<ModelInferResponse, ApiError> {
    let (name, version) = (request.model_name.clone(), request.model_version.clone());
    let version = Some(version.as_str()).filter(|version| !version.is_empty());
    // An unknown name is that, whatever the tensors are like.
    gateway
        .tensor_endpoint(&name, version)
        .map_err(GatewayError::into_api)?;
    let message = translate(request)?;
    let answer = gateway
        .infer(&name, version, origin, message)
        .await
        .map_err(GatewayError::into_api)?;
    read(answer, name)
}

/// The request in the form of REST.
fn translate(request: ModelInferRequest) -> Result<TensorMessage, ApiError> {
    let mut raw = request.raw_input_contents.into_iter();
    let is_raw = raw.len() > 0;
    let (mut inputs, mut tensors) = (Vec::with_capacity(request.inputs.len()), Vec::new());
    for (index, input) in request.inputs.into_iter().enumerate() {
        let mut parameters = parameters(&input.parameters);
        // What lies in shared memory has no data here; the engine refuses it by its name.
        if !parameters.contains_key(SHARED_MEMORY) {
            let bytes = match (is_raw, &input.contents) {
                (true, None) => raw
                    .next()
                    .ok_or_else(|| wrong(&input, index, "has no entry in raw_input_contents"))?,
                (true, Some(_)) => {
                    return Err(wrong(
                        &input,
                        index,
                        "has contents beside raw_input_contents; send one of them",
                    ));
                }
                (false, contents) => contents::read(&input.datatype, contents.as_ref())
                    .map_err(|reason| wrong(&input, index, &reason))?,
            };
            parameters.insert("binary_data_size".to_owned(), json!(bytes.len()));
            tensors.push(bytes);
        }
        inputs.push(json!({
            "name": input.name, "shape": input.shape, "datatype": input.datatype, "parameters": parameters,
        }));
    }
    if raw.len() > 0 {
        let message = format!(
            "raw_input_contents has {} entries more than there are inputs",
            raw.len()
        );
        return Err(ApiError::new(Meaning::InvalidInput, "invalid_request", message));
    }
    let outputs = request
        .outputs
        .iter()
        .map(|output| json!({ "name": output.name, "parameters": parameters(&output.parameters) }));
    let mut all = parameters(&request.parameters);
    all.insert("binary_data_output".to_owned(), json!(true));
    let mut header = json!({
        "inputs": inputs, "outputs": outputs.collect::<Vec<_>>(), "parameters": all,
    });
    if !request.id.is_empty() {
        header["id"] = json!(request.id);
    }
    Ok(TensorMessage::with_tensors(header.to_string().into(), tensors))
}

fn wrong(input: &InferInputTensor, index: usize, reason: &str) -> ApiError {
    let message = format!("input '{}' {reason}", input.name);
    ApiError::new(Meaning::InvalidInput, "invalid_request", message).with_field(format!("inputs[{index}]"))
}

fn parameters(given: &Parameters) -> Map<String, Value> {
    let value = |choice: &Option<ParameterChoice>| match choice {
        None => Value::Null,
        Some(ParameterChoice::Bool(value)) => json!(value),
        Some(ParameterChoice::Int64(value)) => json!(value),
        Some(ParameterChoice::String(value)) => json!(value),
        Some(ParameterChoice::Double(value)) => json!(value),
        Some(ParameterChoice::Uint64(value)) => json!(value),
    };
    given
        .iter()
        .map(|(name, parameter)| (name.clone(), value(&parameter.choice)))
        .collect()
}

#[derive(Deserialize)]
struct Answer {
    model_version: String,
    id: Option<String>,
    outputs: Vec<Output>,
}

#[derive(Deserialize)]
struct Output {
    name: String,
    datatype: String,
    shape: Vec<i64>,
    parameters: Sizes,
}

#[derive(Deserialize)]
struct Sizes {
    binary_data_size: usize,
}

/// The answer of REST as a message. Its tensors are slices of what came.
fn read(answer: TensorMessage, name: String) -> Result<ModelInferResponse, ApiError> {
    let odd = || {
        let message = "the engine's answer is not understood";
        ApiError::new(Meaning::Internal, "engine_protocol", message)
    };
    if answer.json_bytes.is_none() {
        let message = "what answers for this model sends tensors as JSON only";
        return Err(
            ApiError::new(Meaning::Unavailable, "upstream_answer_invalid", message)
                .with_hint("ask it over REST: POST /v2/models/NAME/infer"),
        );
    }
    let mut left = match <[Bytes; 1]>::try_from(answer.pieces) {
        Ok([whole]) => whole,
        Err(pieces) => pieces.concat().into(),
    };
    let length = answer
        .json_bytes
        .filter(|length| *length <= left.len())
        .ok_or_else(odd)?;
    let json = left.split_to(length);
    let answer: Answer = serde_json::from_slice(&json).map_err(|_| odd())?;
    let (mut outputs, mut raw_output_contents) = (Vec::new(), Vec::new());
    for output in answer.outputs {
        let size = output.parameters.binary_data_size;
        if size > left.len() {
            return Err(odd());
        }
        raw_output_contents.push(left.split_to(size));
        outputs.push(TensorMetadata {
            name: output.name,
            datatype: output.datatype,
            shape: output.shape,
        });
    }
    Ok(ModelInferResponse {
        model_name: name,
        model_version: answer.model_version,
        id: answer.id.unwrap_or_default(),
        outputs,
        raw_output_contents,
    })
}
