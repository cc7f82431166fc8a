//! The answer to a request: JSON, and after it the outputs that were asked for as bytes.

use bytes::Bytes;
use serde::Serialize;
use serde_json::value::RawValue;
use tract_onnx::prelude::Tensor;

use super::graph::Graph;
use super::infer::Wanted;
use super::{datatype, raw, tensor};
use crate::EngineError;
use crate::protocol::TensorMessage;

#[derive(Serialize)]
struct Response<'a> {
    model_name: &'a str,
    model_version: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    id: Option<&'a str>,
    outputs: Vec<Output<'a>>,
}

#[derive(Serialize)]
struct Output<'a> {
    name: &'a str,
    datatype: &'static str,
    shape: Vec<usize>,
    #[serde(skip_serializing_if = "Option::is_none")]
    parameters: Option<Parameters>,
    #[serde(skip_serializing_if = "Option::is_none")]
    data: Option<Box<RawValue>>,
}

#[derive(Serialize)]
struct Parameters {
    binary_data_size: usize,
}

/// Renders the answer. Bytes of outputs are those of the tensors themselves.
pub(super) fn render(
    name: &str,
    version: &str,
    id: Option<&str>,
    wanted: &[Wanted],
    graph: &Graph,
    computed: Vec<Tensor>,
) -> Result<TensorMessage, EngineError> {
    let failed = |detail: String| EngineError::Compute { detail };
    let mut computed: Vec<Option<Tensor>> = computed.into_iter().map(Some).collect();
    let (mut outputs, mut bytes) = (Vec::with_capacity(wanted.len()), Vec::new());
    for Wanted { index, binary } in wanted {
        let taken = computed.get_mut(*index).and_then(Option::take);
        let (Some(spec), Some(result)) = (graph.outputs.get(*index), taken) else {
            return Err(failed(format!("output {index} was not computed")));
        };
        let mut output = Output {
            name: &spec.name,
            datatype: datatype::name(result.datum_type()),
            shape: result.shape().to_vec(),
            parameters: None,
            data: None,
        };
        if *binary {
            let piece = raw::write(result).map_err(failed)?;
            output.parameters = Some(Parameters {
                binary_data_size: piece.len(),
            });
            bytes.push(piece);
        } else {
            output.data = Some(json(&result).map_err(failed)?);
        }
        outputs.push(output);
    }
    let response = Response {
        model_name: name,
        model_version: version,
        id,
        outputs,
    };
    let json = Bytes::from(serde_json::to_vec(&response).map_err(|error| failed(error.to_string()))?);
    Ok(if wanted.iter().any(|wanted| wanted.binary) {
        TensorMessage::with_tensors(json, bytes)
    } else {
        TensorMessage::of_json(json)
    })
}

fn json(tensor: &Tensor) -> Result<Box<RawValue>, String> {
    let mut json = Vec::with_capacity(tensor.len() * 8 + 2);
    tensor::write(tensor, &mut json)?;
    let text = String::from_utf8(json).map_err(|error| error.to_string())?;
    RawValue::from_string(text).map_err(|error| error.to_string())
}
