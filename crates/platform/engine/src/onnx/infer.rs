//! One Open Inference Protocol request: checked against the model with messages that name the input,
//! what was expected and what was given; and its answer.

use std::borrow::Cow;

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use tract_onnx::prelude::Tensor;

use super::graph::{Graph, TensorSpec};
use super::{datatype, tensor};
use crate::EngineError;

const MAX_INPUTS: usize = 256;
/// Upper bound of one tensor's elements: what a body of the largest allowed size could hold.
const MAX_ELEMENTS: usize = 1 << 28;

/// A checked request.
#[derive(Debug)]
pub(super) struct Checked {
    pub id: Option<String>,
    /// In the model's order.
    pub inputs: Vec<Tensor>,
    /// Indexes into the model's outputs, in the order asked for.
    pub wanted: Vec<usize>,
}

#[derive(Deserialize)]
struct Request<'a> {
    id: Option<String>,
    #[serde(borrow)]
    inputs: Vec<Input<'a>>,
    outputs: Option<Vec<Wanted<'a>>>,
}

#[derive(Deserialize)]
struct Input<'a> {
    #[serde(borrow)]
    name: Cow<'a, str>,
    shape: Vec<i64>,
    #[serde(borrow)]
    datatype: Cow<'a, str>,
    #[serde(borrow)]
    data: &'a RawValue,
}

#[derive(Deserialize)]
struct Wanted<'a> {
    #[serde(borrow)]
    name: Cow<'a, str>,
}

/// Parses and checks a request body.
pub(super) fn parse(body: &[u8], graph: &Graph) -> Result<Checked, EngineError> {
    let request: Request = serde_json::from_slice(body)
        .map_err(|error| EngineError::invalid("body", format!("the request is not valid: {error}")))?;
    if request.inputs.len() > MAX_INPUTS {
        return Err(EngineError::invalid(
            "inputs",
            format!("more than {MAX_INPUTS} inputs were given"),
        ));
    }
    known_names(&request.inputs, graph)?;
    let mut inputs = Vec::with_capacity(graph.inputs.len());
    for spec in &graph.inputs {
        inputs.push(input(spec, &request.inputs)?);
    }
    same_rows(&inputs, graph)?;
    let wanted = match &request.outputs {
        Some(names) if !names.is_empty() => names
            .iter()
            .map(|wanted| output_index(&wanted.name, graph))
            .collect::<Result<_, _>>()?,
        _ => (0..graph.outputs.len()).collect(),
    };
    Ok(Checked {
        id: request.id,
        inputs,
        wanted,
    })
}

fn known_names(inputs: &[Input<'_>], graph: &Graph) -> Result<(), EngineError> {
    for (index, input) in inputs.iter().enumerate() {
        let field = format!("inputs[{index}].name");
        if !graph.inputs.iter().any(|spec| spec.name == input.name) {
            let names = || graph.inputs.iter().map(|spec| spec.name.as_str());
            let hint = match corliss_diagnostics::nearest(&input.name, names()) {
                Some(near) => format!("did you mean '{near}'?"),
                None => format!("the model takes {}", names().collect::<Vec<_>>().join(", ")),
            };
            return Err(EngineError::invalid_hint(
                field,
                format!("the model has no input '{}'", input.name),
                hint,
            ));
        }
        if inputs[..index].iter().any(|earlier| earlier.name == input.name) {
            return Err(EngineError::invalid(
                field,
                format!("input '{}' is given twice", input.name),
            ));
        }
    }
    Ok(())
}

fn input(spec: &TensorSpec, given: &[Input<'_>]) -> Result<Tensor, EngineError> {
    let Some((index, input)) = given
        .iter()
        .enumerate()
        .find(|(_, input)| input.name == spec.name)
    else {
        let detail = format!("input '{}' is missing", spec.name);
        let expected = spec.metadata();
        let hint = format!(
            "it is a {} tensor of shape {:?}",
            expected.datatype, expected.shape
        );
        return Err(EngineError::invalid_hint("inputs", detail, hint));
    };
    let field = |part: &str| format!("inputs[{index}].{part}");
    let expected = datatype::name(spec.datum);
    if input.datatype != expected {
        let detail = format!(
            "input '{}' must be of datatype {expected}, not {}",
            spec.name, input.datatype
        );
        return Err(EngineError::invalid(field("datatype"), detail));
    }
    let shape = shape(spec, &input.shape).map_err(|detail| EngineError::invalid(field("shape"), detail))?;
    tensor::parse(input.data.get(), spec.datum, &shape)
        .map_err(|detail| EngineError::invalid(field("data"), format!("input '{}' {detail}", spec.name)))
}

fn shape(spec: &TensorSpec, given: &[i64]) -> Result<Vec<usize>, String> {
    let mismatch = || {
        let expected = spec.metadata().shape;
        format!(
            "input '{}' must have shape {expected:?} (-1 is any size from 1), not {given:?}",
            spec.name
        )
    };
    if given.len() != spec.dims.len() {
        return Err(mismatch());
    }
    let mut elements = 1_usize;
    let mut shape = Vec::with_capacity(given.len());
    for (size, dim) in given.iter().zip(&spec.dims) {
        let size = usize::try_from(*size)
            .ok()
            .filter(|size| *size > 0)
            .ok_or_else(mismatch)?;
        if dim.is_some_and(|fixed| fixed != size) {
            return Err(mismatch());
        }
        elements = elements.saturating_mul(size);
        shape.push(size);
    }
    if elements > MAX_ELEMENTS {
        return Err(format!(
            "input '{}' has {elements} elements; at most {MAX_ELEMENTS} are taken",
            spec.name
        ));
    }
    Ok(shape)
}

/// Where rows can be joined, all inputs of one request must have the same number of them.
fn same_rows(inputs: &[Tensor], graph: &Graph) -> Result<(), EngineError> {
    if !graph.batchable {
        return Ok(());
    }
    let rows = |tensor: &Tensor| tensor.shape().first().copied().unwrap_or(0);
    let first = inputs.first().map_or(0, rows);
    for (spec, tensor) in graph.inputs.iter().zip(inputs) {
        if rows(tensor) != first {
            let detail = format!(
                "input '{}' has {} rows but '{}' has {first}",
                spec.name,
                rows(tensor),
                graph.inputs[0].name
            );
            return Err(EngineError::invalid("inputs", detail));
        }
    }
    Ok(())
}

fn output_index(name: &str, graph: &Graph) -> Result<usize, EngineError> {
    graph
        .outputs
        .iter()
        .position(|spec| spec.name == name)
        .ok_or_else(|| {
            let names: Vec<&str> = graph.outputs.iter().map(|spec| spec.name.as_str()).collect();
            let hint = format!("the model gives {}", names.join(", "));
            EngineError::invalid_hint("outputs", format!("the model has no output '{name}'"), hint)
        })
}

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
    shape: &'a [usize],
    data: Box<RawValue>,
}

/// Renders the answer.
pub(super) fn render(
    name: &str,
    version: &str,
    id: Option<&str>,
    wanted: &[usize],
    graph: &Graph,
    computed: &[Tensor],
) -> Result<Vec<u8>, EngineError> {
    let failed = |detail: String| EngineError::Compute { detail };
    let mut outputs = Vec::with_capacity(wanted.len());
    for index in wanted {
        let (Some(spec), Some(result)) = (graph.outputs.get(*index), computed.get(*index)) else {
            return Err(failed(format!("output {index} was not computed")));
        };
        let mut json = Vec::with_capacity(result.len() * 8 + 2);
        tensor::write(result, &mut json).map_err(failed)?;
        let text = String::from_utf8(json).map_err(|error| failed(error.to_string()))?;
        outputs.push(Output {
            name: &spec.name,
            datatype: datatype::name(result.datum_type()),
            shape: result.shape(),
            data: RawValue::from_string(text).map_err(|error| failed(error.to_string()))?,
        });
    }
    let response = Response {
        model_name: name,
        model_version: version,
        id,
        outputs,
    };
    serde_json::to_vec(&response).map_err(|error| failed(error.to_string()))
}
