//! One ONNX model in tract: a cache of plans, one per concrete input shape.
//!
//! tract optimises far better for shapes that it knows, so a model with a dynamic batch axis is
//! optimised again for each batch size that is run; the batcher rounds sizes up to powers of two so that
//! there are few. A plan is some kilobytes beside the weights, which plans share where tract lets them.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use tract_onnx::pb;
use tract_onnx::prelude::{
    InferenceFact, InferenceModel, InferenceModelExt, IntoTValue, IntoTensor, TValue, TVec, Tensor,
    TractResult, TypedModel, TypedSimplePlan,
};

use super::declared::Declared;
use super::words;
use crate::EngineError;
use crate::model_dir::read_onnx;
use crate::predict::{Model, Named, TensorSpec};

/// Plans kept; the least recently used goes first.
const MAX_PLANS: usize = 24;

/// Input shapes, in the model's order.
type Shapes = Vec<Vec<usize>>;
type Plan = Arc<TypedSimplePlan>;

/// A model and its plans.
pub(super) struct Graph {
    model: InferenceModel,
    declared: Declared,
    /// Most recently used last.
    plans: Mutex<Vec<(Shapes, Plan)>>,
}

impl Graph {
    /// Reads a model and proves that tract can run it.
    pub fn load(path: &Path) -> Result<Self, EngineError> {
        let proto = read_onnx(path)?;
        Self::read(&proto, path).map_err(|error| match (error, words::unknown_operators(&proto)) {
            (EngineError::OnnxUnsupported { .. }, Some(detail)) => EngineError::OnnxUnsupported { detail },
            (error, _) => error,
        })
    }

    fn read(proto: &pb::ModelProto, path: &Path) -> Result<Self, EngineError> {
        let dir = path.parent().and_then(Path::to_str);
        let parsed = guarded(|| tract_onnx::onnx().parse(proto, dir))?;
        if !parsed.unresolved_inputs.is_empty() {
            let names = parsed.unresolved_inputs.join(", ");
            return Err(EngineError::ModelUnsupported {
                detail: format!("nothing produces {names}"),
            });
        }
        let loaded = Self {
            model: parsed.model,
            declared: Declared::of(proto)?,
            plans: Mutex::new(Vec::new()),
        };
        loaded.prove()?;
        Ok(loaded)
    }

    /// Optimises the model once, so that an operator we lack is found on start and not by a request, and
    /// so that the first request of the smallest batch finds its plan.
    fn prove(&self) -> Result<(), EngineError> {
        let smallest: Option<Shapes> = self
            .declared
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
        let plan = self.plan(&shapes).map_err(|error| of_shapes(error, &shapes))?;
        let values: TVec<TValue> = inputs.into_iter().map(IntoTValue::into_tvalue).collect();
        let computed = guarded(|| plan.run(values)).map_err(|error| match error {
            EngineError::OnnxUnsupported { detail } => EngineError::OnnxFailed { detail },
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
            for (index, (spec, shape)) in self.declared.inputs.iter().zip(shapes).enumerate() {
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
        &self.declared.inputs
    }

    fn outputs(&self) -> &[TensorSpec] {
        &self.declared.outputs
    }

    fn batchable(&self) -> bool {
        self.declared.batchable
    }

    fn pads(&self) -> bool {
        true
    }

    fn run(&self, _: usize, inputs: Vec<Tensor>, _: Option<&str>) -> Result<Vec<Named>, EngineError> {
        self.declared.named(self.compute(inputs)?)
    }
}

/// The same of a request, whose shapes may be what is the matter.
fn of_shapes(error: EngineError, shapes: &Shapes) -> EngineError {
    match error {
        EngineError::OnnxUnsupported { detail } => {
            let shapes: Vec<String> = shapes.iter().take(8).map(|shape| format!("{shape:?}")).collect();
            EngineError::OnnxUnsupported {
                detail: format!("on inputs of shape {}: {detail}", shapes.join(", ")),
            }
        }
        other => other,
    }
}

/// Calls into tract; a panic there (it indexes by names from the file) is an error of this model alone.
fn guarded<T>(call: impl FnOnce() -> TractResult<T>) -> Result<T, EngineError> {
    let detail = match catch_unwind(AssertUnwindSafe(call)) {
        Ok(Ok(value)) => return Ok(value),
        Ok(Err(error)) => words::reason(&error),
        Err(_) => "the graph is inconsistent".to_owned(),
    };
    Err(EngineError::OnnxUnsupported { detail })
}
