//! The answer to a request: JSON, and after it the outputs that were asked for as bytes.

use std::sync::Arc;

use bytes::Bytes;
use serde::Serialize;
use serde_json::value::RawValue;
use tract_onnx::prelude::Tensor;

use super::infer::{Wanted, no_output};
use super::model::Named;
use super::{datatype, raw, tensor};
use crate::EngineError;
use crate::protocol::TensorMessage;

#[derive(Serialize)]
struct Response<'a> {
    model_name: &'a str,
    model_version: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    id: Option<&'a str>,
    outputs: Vec<Output>,
}

#[derive(Serialize)]
struct Output {
    #[serde(serialize_with = "as_text")]
    name: Arc<str>,
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
    wanted: &Wanted,
    computed: Vec<Named>,
) -> Result<TensorMessage, EngineError> {
    let failed = |detail: String| EngineError::Compute { detail };
    let chosen = choose(wanted, computed)?;
    let has_binary = chosen.iter().any(|(_, binary)| *binary);
    let (mut outputs, mut bytes) = (Vec::with_capacity(chosen.len()), Vec::new());
    for (Named { name, tensor }, binary) in chosen {
        let mut output = Output {
            name,
            datatype: datatype::name(tensor.datum_type()),
            shape: tensor.shape().to_vec(),
            parameters: None,
            data: None,
        };
        if binary {
            let piece = raw::write(tensor).map_err(failed)?;
            output.parameters = Some(Parameters {
                binary_data_size: piece.len(),
            });
            bytes.push(piece);
        } else {
            output.data = Some(json(&tensor).map_err(failed)?);
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
    Ok(if has_binary {
        TensorMessage::with_tensors(json, bytes)
    } else {
        TensorMessage::of_json(json)
    })
}

/// Each output that is asked for, and whether as bytes.
fn choose(wanted: &Wanted, computed: Vec<Named>) -> Result<Vec<(Named, bool)>, EngineError> {
    match wanted {
        Wanted::All { binary } => Ok(computed.into_iter().map(|output| (output, *binary)).collect()),
        Wanted::These(these) => {
            let mut left = computed;
            let names: Vec<_> = left.iter().map(|output| output.name.clone()).collect();
            let chosen = these.iter().map(|(name, binary)| {
                let place = left.iter().position(|output| *output.name == **name);
                let place = place.ok_or_else(|| no_output(name, names.iter().map(AsRef::as_ref)))?;
                Ok((left.swap_remove(place), *binary))
            });
            chosen.collect()
        }
    }
}

fn as_text<S: serde::Serializer>(name: &Arc<str>, to: S) -> Result<S::Ok, S::Error> {
    to.serialize_str(name)
}

fn json(tensor: &Tensor) -> Result<Box<RawValue>, String> {
    let mut json = Vec::with_capacity(tensor.len() * 8 + 2);
    tensor::write(tensor, &mut json)?;
    let text = String::from_utf8(json).map_err(|error| error.to_string())?;
    RawValue::from_string(text).map_err(|error| error.to_string())
}
