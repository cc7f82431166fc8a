//! One Open Inference Protocol request: checked against the model with messages that name the input,
//! what was expected and what was given.

use std::borrow::Cow;
use std::sync::Arc;
use std::time::Duration;

use serde::Deserialize;
use serde_json::value::RawValue;
use serde_json::{Map, Value};
use tract_onnx::prelude::Tensor;

use super::model::{Model, TensorSpec};
use super::parameters::Parameters;
use super::{datatype, misshapen, raw, tensor};
use crate::EngineError;
use crate::protocol::JSON_LENGTH_HEADER;

const MAX_INPUTS: usize = 256;
/// Upper bound of one tensor's elements: what a body of the largest allowed size could hold.
const MAX_ELEMENTS: usize = 1 << 28;

/// A checked request.
#[derive(Debug)]
pub(super) struct Checked {
    pub id: Option<String>,
    /// In the model's order.
    pub inputs: Vec<Tensor>,
    pub wanted: Wanted,
    /// What the model is told beside its tensors, as a JSON object.
    pub params: Option<Arc<str>>,
    /// How long the answer is of use.
    pub timeout: Option<Duration>,
}

/// Which outputs are asked for.
#[derive(Debug)]
pub(super) enum Wanted {
    /// All, in the model's order; whether as bytes after the JSON, not in it.
    All { binary: bool },
    /// These, in this order: the name of each, and whether as bytes.
    These(Vec<(String, bool)>),
}

#[derive(Deserialize)]
struct Request<'a> {
    id: Option<String>,
    #[serde(borrow)]
    inputs: Vec<Input<'a>>,
    #[serde(borrow)]
    outputs: Option<Vec<Output<'a>>>,
    parameters: Option<Map<String, Value>>,
}

#[derive(Deserialize)]
struct Input<'a> {
    #[serde(borrow)]
    name: Cow<'a, str>,
    /// Read later, so that what is wrong with it names the input.
    #[serde(borrow)]
    shape: &'a RawValue,
    #[serde(borrow)]
    datatype: Cow<'a, str>,
    #[serde(borrow)]
    data: Option<&'a RawValue>,
    parameters: Option<Map<String, Value>>,
}

#[derive(Deserialize)]
struct Output<'a> {
    #[serde(borrow)]
    name: Cow<'a, str>,
    parameters: Option<Map<String, Value>>,
}

/// The data of one input: text of JSON, or bytes.
#[derive(Clone, Copy)]
enum Data<'a> {
    Json(&'a str),
    Raw(&'a [u8]),
}

/// Parses and checks a request body, of which `json_bytes` are JSON and the rest tensors.
pub(super) fn parse(
    body: &[u8],
    json_bytes: Option<usize>,
    model: &dyn Model,
) -> Result<Checked, EngineError> {
    let (json, tensors) = match json_bytes {
        None => (body, None),
        Some(length) => match body.split_at_checked(length) {
            Some((json, tensors)) => (json, Some(tensors)),
            None => {
                let detail = format!(
                    "the JSON is said to have {length} bytes, but the body has {}",
                    body.len()
                );
                return Err(EngineError::invalid(JSON_LENGTH_HEADER, detail));
            }
        },
    };
    // Members that are not known are passed over, as Triton does: clients say more than is asked.
    let request: Request = serde_json::from_slice(json).map_err(|_| misshapen::told(json))?;
    if request.inputs.len() > MAX_INPUTS {
        return Err(EngineError::invalid(
            "inputs",
            format!("more than {MAX_INPUTS} inputs were given"),
        ));
    }
    let mut parameters = Parameters::new(request.parameters.as_ref(), "parameters".to_owned());
    let all_binary = parameters.flag("binary_data_output")?.unwrap_or(false);
    // Triton's, in microseconds.
    let timeout = parameters.whole("timeout")?.filter(|timeout| *timeout > 0);
    let params = params(&mut parameters, model)?;
    parameters.finish(None)?;
    known_names(&request.inputs, model)?;
    let data = data(&request.inputs, tensors)?;
    let mut inputs = Vec::with_capacity(model.inputs().len());
    for spec in model.inputs() {
        inputs.push(input(spec, &request.inputs, &data)?);
    }
    same_rows(&inputs, model)?;
    let wanted = match &request.outputs {
        Some(names) if !names.is_empty() => Wanted::These(wanted(names, all_binary, model)?),
        _ => Wanted::All { binary: all_binary },
    };
    Ok(Checked {
        id: request.id,
        inputs,
        wanted,
        params,
        timeout: timeout.map(Duration::from_micros),
    })
}

/// Where the data of each input is. Tensors outside the JSON follow each other in its order and leave nothing over.
fn data<'a>(inputs: &[Input<'a>], tensors: Option<&'a [u8]>) -> Result<Vec<Data<'a>>, EngineError> {
    let mut left = tensors.unwrap_or_default();
    let mut found = Vec::with_capacity(inputs.len());
    for (index, input) in inputs.iter().enumerate() {
        let mut parameters =
            Parameters::new(input.parameters.as_ref(), format!("inputs[{index}].parameters"));
        let size = parameters.size("binary_data_size")?;
        parameters.finish(Some(&input.name))?;
        let refuse = |detail: String| Err(EngineError::invalid(format!("inputs[{index}].data"), detail));
        found.push(match (input.data, size) {
            (Some(data), None) => Data::Json(data.get()),
            (None, Some(size)) if tensors.is_some() => match left.split_at_checked(size) {
                Some((bytes, rest)) => {
                    left = rest;
                    Data::Raw(bytes)
                }
                None => {
                    return refuse(format!(
                        "input '{}' is said to have {size} bytes, but {} are left of the body",
                        input.name,
                        left.len()
                    ));
                }
            },
            (None, Some(_)) => {
                return refuse(format!(
                    "input '{}' has its data outside the JSON, but the header {JSON_LENGTH_HEADER} is missing",
                    input.name
                ));
            }
            (Some(_), Some(_)) => {
                return refuse(format!("input '{}' has both data and binary_data_size", input.name));
            }
            (None, None) => return refuse(format!("input '{}' has no data", input.name)),
        });
    }
    if left.is_empty() {
        return Ok(found);
    }
    let detail = format!("{} bytes of the body belong to no input", left.len());
    Err(EngineError::invalid("inputs", detail))
}

fn known_names(inputs: &[Input<'_>], model: &dyn Model) -> Result<(), EngineError> {
    for (index, input) in inputs.iter().enumerate() {
        let field = format!("inputs[{index}].name");
        if !model.inputs().iter().any(|spec| spec.name == input.name) {
            let names = || model.inputs().iter().map(|spec| spec.name.as_str());
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

fn input(spec: &TensorSpec, given: &[Input<'_>], data: &[Data<'_>]) -> Result<Tensor, EngineError> {
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
    let sizes: Vec<i64> = serde_json::from_str(input.shape.get()).map_err(|_| {
        let detail = format!("input '{}' must have a shape of whole numbers", spec.name);
        EngineError::invalid(field("shape"), detail)
    })?;
    let shape = shape(spec, &sizes).map_err(|detail| EngineError::invalid(field("shape"), detail))?;
    let tensor = match data.get(index) {
        Some(Data::Json(text)) => tensor::parse(text, spec.datum, &shape),
        Some(Data::Raw(bytes)) => raw::parse(bytes, spec.datum, &shape),
        None => Err("has no data".to_owned()),
    };
    tensor.map_err(|detail| EngineError::invalid(field("data"), format!("input '{}' {detail}", spec.name)))
}

fn shape(spec: &TensorSpec, given: &[i64]) -> Result<Vec<usize>, String> {
    let mismatch = || {
        let expected = spec.metadata().shape;
        format!(
            "input '{}' must have shape {expected:?} (-1 is any size from 1), not {given:?}",
            spec.name
        )
    };
    let given = match given {
        // One cell in each row is a column, too.
        [rows, 1] if spec.is_column => std::slice::from_ref(rows),
        other => other,
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
fn same_rows(inputs: &[Tensor], model: &dyn Model) -> Result<(), EngineError> {
    if !model.batchable() {
        return Ok(());
    }
    let rows = |tensor: &Tensor| tensor.shape().first().copied().unwrap_or(0);
    let first = inputs.first().map_or(0, rows);
    for (spec, tensor) in model.inputs().iter().zip(inputs) {
        if rows(tensor) != first {
            let detail = format!(
                "input '{}' has {} rows but '{}' has {first}",
                spec.name,
                rows(tensor),
                model.inputs()[0].name
            );
            return Err(EngineError::invalid("inputs", detail));
        }
    }
    Ok(())
}

fn wanted(
    names: &[Output<'_>],
    all_binary: bool,
    model: &dyn Model,
) -> Result<Vec<(String, bool)>, EngineError> {
    let mut wanted: Vec<(String, bool)> = Vec::new();
    for (place, output) in names.iter().enumerate() {
        let mut parameters =
            Parameters::new(output.parameters.as_ref(), format!("outputs[{place}].parameters"));
        let binary = parameters.flag("binary_data")?.unwrap_or(all_binary);
        parameters.finish(Some(&output.name))?;
        if wanted.len() >= MAX_INPUTS {
            let detail = format!("more than {MAX_INPUTS} outputs were asked for");
            return Err(EngineError::invalid("outputs", detail));
        }
        let known = model.outputs();
        if !known.is_empty() && !known.iter().any(|spec| spec.name == output.name) {
            return Err(no_output(
                &output.name,
                known.iter().map(|spec| spec.name.as_str()),
            ));
        }
        if wanted.iter().any(|(earlier, _)| *earlier == output.name) {
            let detail = format!("output '{}' is asked for twice", output.name);
            return Err(EngineError::invalid(format!("outputs[{place}].name"), detail));
        }
        wanted.push((output.name.clone().into_owned(), binary));
    }
    Ok(wanted)
}

/// An output that is asked for and not given.
pub(super) fn no_output<'a>(name: &str, given: impl Iterator<Item = &'a str>) -> EngineError {
    let names: Vec<&str> = given.collect();
    let hint = format!("the model gives {}", names.join(", "));
    let name: String = name.chars().take(80).collect();
    EngineError::invalid_hint("outputs", format!("the model has no output '{name}'"), hint)
}

/// The model's own parameters, if it has any and they are given.
fn params(parameters: &mut Parameters<'_>, model: &dyn Model) -> Result<Option<Arc<str>>, EngineError> {
    let mut given = Map::new();
    for param in model.params() {
        if let Some(value) = parameters.value(&param.name) {
            given.insert(param.name.clone(), value.clone());
        }
    }
    if given.is_empty() {
        return Ok(None);
    }
    let text = serde_json::to_string(&given);
    text.map(|text| Some(Arc::from(text)))
        .map_err(|error| EngineError::invalid("parameters", error.to_string()))
}
