//! One ONNX model: what it takes and gives, and a cache of plans, one per concrete input shape.
//!
//! tract optimises far better for shapes that it knows, so a model with a dynamic batch axis is
//! optimised again for each batch size that is run; the batcher rounds sizes up to powers of two so that
//! there are few. A plan is some kilobytes beside the weights, which plans share where tract lets them.

use std::collections::HashSet;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use tract_onnx::pb;
use tract_onnx::prelude::{
    InferenceFact, InferenceModel, InferenceModelExt, IntoTValue, IntoTensor, TValue, TVec, Tensor,
    TypedModel, TypedSimplePlan,
};

use crate::EngineError;
use crate::model_dir::read_onnx;
use crate::predict::{Model, Named, TensorSpec, datum_of_onnx};

/// Plans kept; the least recently used goes first.
const MAX_PLANS: usize = 24;

/// Input shapes, in the model's order.
type Shapes = Vec<Vec<usize>>;
type Plan = Arc<TypedSimplePlan>;

/// A model and its plans.
pub(super) struct Graph {
    model: InferenceModel,
    inputs: Vec<TensorSpec>,
    outputs: Vec<TensorSpec>,
    /// Names of the outputs.
    names: Vec<Arc<str>>,
    batchable: bool,
    /// Most recently used last.
    plans: Mutex<Vec<(Shapes, Plan)>>,
}

impl Graph {
    /// Reads a model and proves that tract can run it.
    pub fn load(path: &Path) -> Result<Self, EngineError> {
        let proto = read_onnx(path)?;
        let dir = path.parent().and_then(Path::to_str);
        let parsed = guarded(|| tract_onnx::onnx().parse(&proto, dir))?;
        if !parsed.unresolved_inputs.is_empty() {
            let names = parsed.unresolved_inputs.join(", ");
            return Err(EngineError::ModelUnsupported {
                detail: format!("nothing produces {names}"),
            });
        }
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
        let (inputs, outputs) = (bare(inputs), bare(outputs));
        let loaded = Self {
            model: parsed.model,
            names: outputs.iter().map(|spec| Arc::from(spec.name.as_str())).collect(),
            inputs,
            outputs,
            batchable,
            plans: Mutex::new(Vec::new()),
        };
        loaded.prove()?;
        Ok(loaded)
    }

    /// Optimises the model once, so that an operator we lack is found on start and not by a request, and
    /// so that the first request of the smallest batch finds its plan.
    fn prove(&self) -> Result<(), EngineError> {
        let smallest: Option<Shapes> = self
            .inputs
            .iter()
            .map(|spec| {
                let sizes = spec.dims.iter().enumerate();
                sizes
                    .map(|(axis, dim)| dim.or(if axis == 0 { Some(1) } else { None }))
                    .collect()
            })
            .collect();
        match smallest {
            Some(shapes) => self.plan(&shapes).map(|_| ()),
            None => guarded(|| self.model.clone().into_typed()).map(|_| ()),
        }
    }

    /// Runs the model on tensors of exactly these shapes.
    fn compute(&self, inputs: Vec<Tensor>) -> Result<Vec<Tensor>, EngineError> {
        let shapes: Shapes = inputs.iter().map(|tensor| tensor.shape().to_vec()).collect();
        let plan = self.plan(&shapes)?;
        let values: TVec<TValue> = inputs.into_iter().map(IntoTValue::into_tvalue).collect();
        let computed = guarded(|| plan.run(values)).map_err(|error| match error {
            EngineError::ModelUnsupported { detail } => EngineError::Compute { detail },
            other => other,
        })?;
        Ok(computed.into_iter().map(IntoTensor::into_tensor).collect())
    }

    fn plan(&self, shapes: &Shapes) -> Result<Plan, EngineError> {
        if let Some(plan) = self.cached(shapes) {
            return Ok(plan);
        }
        // Optimised without the lock: two threads may do the same work once, none waits for another shape.
        let plan = guarded(|| {
            let mut model = self.model.clone();
            for (index, (spec, shape)) in self.inputs.iter().zip(shapes).enumerate() {
                model.set_input_fact(index, InferenceFact::dt_shape(spec.datum, shape.as_slice()))?;
            }
            let typed: TypedModel = model.into_optimized()?;
            TypedSimplePlan::new(typed)
        })?;
        let mut plans = self.plans.lock().unwrap_or_else(PoisonError::into_inner);
        if plans.len() >= MAX_PLANS {
            plans.remove(0);
        }
        plans.push((shapes.clone(), Arc::clone(&plan)));
        Ok(plan)
    }

    fn cached(&self, shapes: &Shapes) -> Option<Plan> {
        let mut plans = self.plans.lock().unwrap_or_else(PoisonError::into_inner);
        let found = plans.iter().position(|(known, _)| known == shapes)?;
        let entry = plans.remove(found);
        let plan = Arc::clone(&entry.1);
        plans.push(entry);
        Some(plan)
    }
}

impl Model for Graph {
    fn inputs(&self) -> &[TensorSpec] {
        &self.inputs
    }

    fn outputs(&self) -> &[TensorSpec] {
        &self.outputs
    }

    fn batchable(&self) -> bool {
        self.batchable
    }

    fn pads(&self) -> bool {
        true
    }

    fn run(&self, _: usize, inputs: Vec<Tensor>, _: Option<&str>) -> Result<Vec<Named>, EngineError> {
        let outputs = self.compute(inputs)?;
        if outputs.len() != self.names.len() {
            let detail = format!("{} outputs, not {}", outputs.len(), self.names.len());
            return Err(EngineError::Compute { detail });
        }
        let named = self.names.iter().cloned().zip(outputs);
        Ok(named.map(|(name, tensor)| Named { name, tensor }).collect())
    }
}

/// Calls into tract; a panic there (it indexes by names from the file) is an error of this model alone.
fn guarded<T, E: std::fmt::Display>(call: impl FnOnce() -> Result<T, E>) -> Result<T, EngineError> {
    match catch_unwind(AssertUnwindSafe(call)) {
        Ok(Ok(value)) => Ok(value),
        Ok(Err(error)) => Err(EngineError::ModelUnsupported {
            detail: format!("{error:#}"),
        }),
        Err(_) => Err(EngineError::ModelUnsupported {
            detail: "the graph is inconsistent".to_owned(),
        }),
    }
}

/// An input or output, and the name of its first axis's size; empty if it has none.
type Declared = (TensorSpec, String);

fn bare(declared: Vec<Declared>) -> Vec<TensorSpec> {
    declared.into_iter().map(|(spec, _)| spec).collect()
}

/// Rows are independent if every input and output begins with the same dynamic axis.
fn shares_first_axis(inputs: &[Declared], outputs: &[Declared]) -> bool {
    let Some((_, first)) = inputs.first() else {
        return false;
    };
    inputs
        .iter()
        .chain(outputs)
        .all(|(spec, axis)| matches!(spec.dims.first(), Some(None)) && axis == first)
}

fn specs<'a>(infos: impl Iterator<Item = &'a pb::ValueInfoProto>) -> Result<Vec<Declared>, EngineError> {
    infos.map(spec).collect()
}

fn spec(info: &pb::ValueInfoProto) -> Result<Declared, EngineError> {
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
