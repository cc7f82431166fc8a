//! What an ONNX file says that its graph takes and gives.

use std::collections::HashSet;
use std::sync::Arc;

use tract_onnx::pb;
use tract_onnx::prelude::Tensor;

use crate::EngineError;
use crate::predict::{Named, TensorSpec, datum_of_onnx};

/// The graph's inputs and outputs, in its order.
pub(super) struct Declared {
    pub inputs: Vec<TensorSpec>,
    pub outputs: Vec<TensorSpec>,
    /// Whether rows along the first axis are independent.
    pub batchable: bool,
    /// Names of the outputs.
    names: Vec<Arc<str>>,
}

impl Declared {
    /// Of this file; weights that it also lists as inputs are none.
    pub fn of(proto: &pb::ModelProto) -> Result<Self, EngineError> {
        let Some(graph) = proto.graph.as_ref() else {
            return Err(EngineError::ModelUnsupported {
                detail: "the file holds no graph".to_owned(),
            });
        };
        let constants: HashSet<&str> = graph
            .initializer
            .iter()
            .map(|tensor| tensor.name.as_str())
            .collect();
        let inputs = specs(
            graph
                .input
                .iter()
                .filter(|input| !constants.contains(input.name.as_str())),
        )?;
        let outputs = specs(graph.output.iter())?;
        let batchable = shares_first_axis(&inputs, &outputs);
        let bare =
            |specs: Vec<WithAxis>| -> Vec<TensorSpec> { specs.into_iter().map(|(spec, _)| spec).collect() };
        let (inputs, outputs) = (bare(inputs), bare(outputs));
        Ok(Self {
            names: outputs.iter().map(|spec| Arc::from(spec.name.as_str())).collect(),
            inputs,
            outputs,
            batchable,
        })
    }

    /// What the graph gave, by its names.
    pub fn named(&self, outputs: Vec<Tensor>) -> Result<Vec<Named>, EngineError> {
        if outputs.len() != self.names.len() {
            let detail = format!("{} outputs, not {}", outputs.len(), self.names.len());
            return Err(EngineError::Compute { detail });
        }
        let named = self.names.iter().cloned().zip(outputs);
        Ok(named.map(|(name, tensor)| Named { name, tensor }).collect())
    }
}

/// An input or output, and the name of its first axis's size; empty if it has none.
type WithAxis = (TensorSpec, String);

/// Rows are independent if every input and output begins with the same dynamic axis.
fn shares_first_axis(inputs: &[WithAxis], outputs: &[WithAxis]) -> bool {
    let Some((_, first)) = inputs.first() else {
        return false;
    };
    inputs
        .iter()
        .chain(outputs)
        .all(|(spec, axis)| matches!(spec.dims.first(), Some(None)) && axis == first)
}

fn specs<'a>(infos: impl Iterator<Item = &'a pb::ValueInfoProto>) -> Result<Vec<WithAxis>, EngineError> {
    infos.map(spec).collect()
}

fn spec(info: &pb::ValueInfoProto) -> Result<WithAxis, EngineError> {
    let refuse = |what: &str| EngineError::ModelUnsupported {
        detail: format!("'{}' {what}", info.name),
    };
    let Some(pb::type_proto::Value::TensorType(tensor)) =
        info.r#type.as_ref().and_then(|kind| kind.value.as_ref())
    else {
        return Err(refuse("is not declared as a tensor"));
    };
    let datum =
        datum_of_onnx(tensor.elem_type).ok_or_else(|| refuse("has an element type that is not served"))?;
    let axes = tensor
        .shape
        .as_ref()
        .map(|shape| shape.dim.as_slice())
        .unwrap_or_default();
    let first_axis = match axes.first().and_then(|axis| axis.value.as_ref()) {
        Some(pb::tensor_shape_proto::dimension::Value::DimParam(name)) => name.clone(),
        _ => String::new(),
    };
    let dims = axes
        .iter()
        .map(|axis| match axis.value {
            Some(pb::tensor_shape_proto::dimension::Value::DimValue(size)) => usize::try_from(size).ok(),
            _ => None,
        })
        .collect();
    let spec = TensorSpec {
        name: info.name.clone(),
        datum,
        dims,
        is_column: false,
    };
    Ok((spec, first_axis))
}
