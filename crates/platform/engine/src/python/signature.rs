//! A model's signature, as MLflow writes it into `MLmodel`: what goes in and comes out, as tensors.

use corliss_model_format::Declared;
use serde::Deserialize;
use serde_json::Value;
use tract_onnx::prelude::DatumType;

use crate::EngineError;
use crate::predict::{ParamSpec, TensorSpec};

/// How the inputs reach the model.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Form {
    /// A table with named columns.
    Frame,
    /// A table whose columns have no names.
    Columns,
    /// One array.
    Array,
    /// A dictionary of arrays.
    Arrays,
}

impl Form {
    /// As the worker knows it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Frame => "frame",
            Self::Columns => "columns",
            Self::Array => "array",
            Self::Arrays => "arrays",
        }
    }
}

/// What a model takes and gives.
#[derive(Debug, PartialEq)]
pub(super) struct Signature {
    pub form: Form,
    pub inputs: Vec<TensorSpec>,
    /// MLflow's own types of the inputs.
    pub kinds: Vec<String>,
    /// Empty if it does not say.
    pub outputs: Vec<TensorSpec>,
    /// What else it says of each of them.
    pub promises: Vec<Promise>,
    pub params: Vec<ParamSpec>,
}

/// What a signature says of an output beside its datatype and shape.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Promise {
    /// Whether the model may leave it out.
    pub is_optional: bool,
    /// Whether its elements may be of any kind.
    pub is_any_kind: bool,
}

/// A column, a tensor or a parameter.
#[derive(Deserialize)]
struct Field {
    name: Option<Value>,
    #[serde(rename = "type")]
    kind: Value,
    #[serde(rename = "tensor-spec")]
    tensor: Option<TensorField>,
    required: Option<bool>,
}

#[derive(Deserialize)]
struct TensorField {
    dtype: String,
    shape: Vec<i64>,
}

impl Signature {
    /// Reads what the file says.
    pub fn read(declared: &Declared) -> Result<Self, EngineError> {
        let Some(inputs) = &declared.inputs else {
            return Err(unsupported(
                "its MLmodel has no signature; log it with signature=infer_signature(inputs, outputs)",
            ));
        };
        let fields = fields(inputs)?;
        let is_array = fields.iter().any(|field| field.tensor.is_some());
        let has_names = fields.iter().any(|field| field.name.is_some());
        let form = match (is_array, has_names) {
            (false, true) => Form::Frame,
            (false, false) => Form::Columns,
            (true, false) if fields.len() == 1 => Form::Array,
            (true, _) => Form::Arrays,
        };
        let specs = specs(&fields, "input");
        let inputs: Vec<TensorSpec> = specs.into_iter().collect::<Result<_, _>>()?;
        if inputs.is_empty() {
            return Err(unsupported("its signature has no inputs"));
        }
        let (outputs, promises) = outputs(declared.outputs.as_deref());
        Ok(Self {
            form,
            kinds: fields.iter().map(|field| kind(field).to_owned()).collect(),
            inputs,
            outputs,
            promises,
            params: params(declared.params.as_deref())?,
        })
    }

    /// Whether all inputs and outputs have rows of any number.
    pub fn has_rows(&self) -> bool {
        let mut all = self.inputs.iter().chain(&self.outputs);
        all.all(|spec| matches!(spec.dims.first(), Some(None)))
    }
}

fn unsupported(detail: impl Into<String>) -> EngineError {
    EngineError::ModelUnsupported {
        detail: detail.into(),
    }
}

fn fields(text: &str) -> Result<Vec<Field>, EngineError> {
    serde_json::from_str(text)
        .map_err(|error| unsupported(format!("its signature is not understood: {error}")))
}

fn kind(field: &Field) -> &str {
    field.kind.as_str().unwrap_or_default()
}

/// Outputs that no tensor has a type for are only known from answers.
fn outputs(text: Option<&str>) -> (Vec<TensorSpec>, Vec<Promise>) {
    let fields = text.and_then(|text| fields(text).ok()).unwrap_or_default();
    let specs: Result<Vec<_>, _> = specs(&fields, "output").into_iter().collect();
    let promise = |field: &Field| Promise {
        is_optional: field.required == Some(false),
        is_any_kind: field
            .tensor
            .as_ref()
            .is_some_and(|tensor| tensor.dtype == "object"),
    };
    match specs {
        Ok(specs) => (specs, fields.iter().map(promise).collect()),
        Err(_) => (Vec::new(), Vec::new()),
    }
}

fn params(text: Option<&str>) -> Result<Vec<ParamSpec>, EngineError> {
    let fields = text.map_or_else(|| Ok(Vec::new()), fields)?;
    let name = |field: &Field| field.name.as_ref().and_then(Value::as_str).map(str::to_owned);
    Ok(fields
        .iter()
        .filter_map(name)
        .map(|name| ParamSpec { name })
        .collect())
}

/// What has no name is called by its place.
fn specs(fields: &[Field], role: &str) -> Vec<Result<TensorSpec, EngineError>> {
    let spec = |(place, field): (usize, &Field)| {
        let name = match &field.name {
            Some(Value::String(name)) => name.clone(),
            Some(other) => other.to_string(),
            None => format!("{role}-{place}"),
        };
        let not_served = |kind: &str| {
            unsupported(format!(
                "its {role} '{name}' is of type {kind}, which no tensor has"
            ))
        };
        match &field.tensor {
            Some(tensor) => Ok(TensorSpec {
                datum: datum_of_numpy(&tensor.dtype).ok_or_else(|| not_served(&tensor.dtype))?,
                dims: tensor
                    .shape
                    .iter()
                    .map(|size| usize::try_from(*size).ok())
                    .collect(),
                is_column: false,
                name,
            }),
            None => Ok(TensorSpec {
                datum: datum_of_column(kind(field)).ok_or_else(|| not_served(&field.kind.to_string()))?,
                dims: vec![None],
                is_column: true,
                name,
            }),
        }
    };
    fields.iter().enumerate().map(spec).collect()
}

fn datum_of_column(kind: &str) -> Option<DatumType> {
    Some(match kind {
        "boolean" => DatumType::Bool,
        "integer" => DatumType::I32,
        "long" => DatumType::I64,
        "float" => DatumType::F32,
        "double" => DatumType::F64,
        // A moment is a text, which Python reads.
        "string" | "datetime" => DatumType::String,
        _ => return None,
    })
}

fn datum_of_numpy(dtype: &str) -> Option<DatumType> {
    Some(match dtype {
        "bool" => DatumType::Bool,
        "int8" => DatumType::I8,
        "int16" => DatumType::I16,
        "int32" => DatumType::I32,
        "int64" => DatumType::I64,
        "uint8" => DatumType::U8,
        "uint16" => DatumType::U16,
        "uint32" => DatumType::U32,
        "uint64" => DatumType::U64,
        "float16" => DatumType::F16,
        "float32" => DatumType::F32,
        "float64" => DatumType::F64,
        "str" | "object" => DatumType::String,
        text if text.starts_with("<U") => DatumType::String,
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(inputs: &str, outputs: Option<&str>, params: Option<&str>) -> Result<Signature, EngineError> {
        Signature::read(&Declared {
            inputs: Some(inputs.to_owned()),
            outputs: outputs.map(str::to_owned),
            params: params.map(str::to_owned),
            ..Declared::default()
        })
    }

    #[test]
    fn columns_are_inputs_of_any_number_of_rows() {
        let columns =
            r#"[{"type": "double", "name": "a", "required": true}, {"type": "string", "name": "b"}]"#;
        let params = r#"[{"name": "k", "default": 2.0, "shape": null, "type": "double"}]"#;
        let answer = r#"[{"type": "tensor", "tensor-spec": {"dtype": "int64", "shape": [-1]}}]"#;
        let found = read(columns, Some(answer), Some(params)).unwrap();
        assert_eq!(found.form, Form::Frame);
        assert_eq!(found.kinds, ["double", "string"]);
        let shown: Vec<_> = found.inputs.iter().map(TensorSpec::metadata).collect();
        assert_eq!(
            (
                shown[0].name.as_str(),
                shown[0].datatype.as_str(),
                &shown[0].shape[..]
            ),
            ("a", "FP64", &[-1][..])
        );
        assert_eq!(shown[1].datatype, "BYTES");
        assert_eq!(
            (found.outputs[0].name.as_str(), found.outputs[0].datum),
            ("output-0", DatumType::I64)
        );
        assert_eq!(found.params[0].name, "k");
        assert!(found.has_rows());
    }

    #[test]
    fn one_array_has_no_name_and_several_do() {
        let one = r#"[{"type": "tensor", "tensor-spec": {"dtype": "float32", "shape": [-1, 4]}}]"#;
        let found = read(one, None, None).unwrap();
        assert_eq!(
            (found.form, found.inputs[0].name.as_str()),
            (Form::Array, "input-0")
        );
        assert_eq!(found.inputs[0].dims, [None, Some(4)]);
        assert!(found.outputs.is_empty());
        let two = r#"[{"name": "x", "type": "tensor", "tensor-spec": {"dtype": "str", "shape": [-1]}},
            {"name": "y", "type": "tensor", "tensor-spec": {"dtype": "bool", "shape": [2]}}]"#;
        let found = read(two, None, None).unwrap();
        assert_eq!(found.form, Form::Arrays);
        assert!(!found.has_rows());
    }

    #[test]
    fn what_no_tensor_has_is_refused_as_an_input_and_found_out_as_an_output() {
        let object = r#"[{"type": "object", "name": "o", "properties": {}}]"#;
        let refused = read(object, None, None).unwrap_err().to_string();
        assert!(refused.contains("'o'") && refused.contains("object"), "{refused}");
        let double = r#"[{"type": "double"}]"#;
        assert!(read(double, Some(object), None).unwrap().outputs.is_empty());
        assert_eq!(read(double, None, None).unwrap().form, Form::Columns);
        assert!(read("[]", None, None).is_err() && read("{", None, None).is_err());
        let bare = Signature::read(&Declared::default()).unwrap_err().to_string();
        assert!(bare.contains("infer_signature"), "{bare}");
    }
}
