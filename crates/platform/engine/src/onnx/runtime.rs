//! ONNX graphs through ONNX Runtime: a shared library of Microsoft's that is loaded when an engine starts.
//!
//! It knows every operator and computes several times as fast as tract on large graphs, and is not part of this binary:
//! whoever has it names it. Each instance is a session of its own, as a session is used by one thread at a time.

use std::path::Path;
use std::sync::{Mutex, OnceLock, PoisonError};

use ort::environment::Environment;
use ort::session::{Session, SessionInputValue};
use ort::value::{DynValue, PrimitiveTensorElementType, TensorElementType, TensorRef};
use tract_onnx::prelude::{Datum, DatumType, Tensor, f16, tract_ndarray};

use super::declared::Declared;
use super::words;
use crate::EngineError;
use crate::model_dir::read_onnx;
use crate::predict::{Model, Named, TensorSpec, datatype_name};

/// There is one in a process, for as long as that lasts.
static ENVIRONMENT: OnceLock<Environment> = OnceLock::new();

/// A model and its sessions, one for each instance.
pub(super) struct Runtime {
    declared: Declared,
    sessions: Vec<Mutex<Session>>,
}

impl Runtime {
    /// Reads a model so many times, each to compute with so many threads.
    pub fn load(library: &Path, path: &Path, instances: usize, threads: usize) -> Result<Self, EngineError> {
        let declared = Declared::of(&read_onnx(path)?)?;
        let environment = environment(library)?;
        let sessions = (0..instances).map(|_| {
            let session = session(environment, path, threads);
            let session = session.map_err(|said| EngineError::ModelUnsupported {
                detail: words::bounded(&said),
            })?;
            Ok(Mutex::new(session))
        });
        Ok(Self {
            sessions: sessions.collect::<Result<_, EngineError>>()?,
            declared,
        })
    }
}

fn environment(library: &Path) -> Result<&'static Environment, EngineError> {
    if let Some(environment) = ENVIRONMENT.get() {
        return Ok(environment);
    }
    let unusable = |detail: String| EngineError::OnnxRuntime {
        library: library.display().to_string(),
        detail,
    };
    let builder = ort::init_from(library).map_err(|error| unusable(error.to_string()))?;
    let environment = builder
        .with_name("corliss")
        .with_telemetry(false)
        .build()
        .map_err(|error| unusable(error.to_string()))?;
    Ok(ENVIRONMENT.get_or_init(|| environment))
}

fn session(environment: &Environment, path: &Path, threads: usize) -> Result<Session, String> {
    let said = |error: ort::Error| error.to_string();
    let builder = Session::builder(environment).map_err(said)?;
    let builder = builder
        .with_intra_threads(threads)
        .map_err(|error| error.to_string())?;
    // Other engines compute on the same processors.
    let mut builder = builder
        .with_intra_op_spinning(false)
        .map_err(|error| error.to_string())?;
    builder.commit_from_file(path).map_err(said)
}

impl Model for Runtime {
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
        false
    }

    fn run(&self, instance: usize, inputs: Vec<Tensor>, _: Option<&str>) -> Result<Vec<Named>, EngineError> {
        let failed = |said: String| EngineError::Compute {
            detail: words::bounded(&said),
        };
        let pairs = self.declared.inputs.iter().zip(&inputs).enumerate();
        let values: Vec<(&str, SessionInputValue<'_>)> = pairs
            .map(|(index, (spec, tensor))| {
                let refused = |detail| {
                    EngineError::invalid(
                        format!("inputs[{index}].data"),
                        format!("input '{}' {detail}", spec.name),
                    )
                };
                Ok((spec.name.as_str(), given(tensor).map_err(refused)?))
            })
            .collect::<Result<_, EngineError>>()?;
        let mut session = self.sessions[instance % self.sessions.len()]
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        let computed = session.run(values).map_err(|error| failed(error.to_string()))?;
        let outputs = self.declared.outputs.iter().map(|spec| {
            let value = computed.get(&spec.name);
            let value = value.ok_or_else(|| format!("the graph gave no '{}'", spec.name))?;
            taken(value).map_err(|detail| format!("output '{}': {detail}", spec.name))
        });
        let outputs = outputs.collect::<Result<_, String>>().map_err(failed)?;
        self.declared.named(outputs)
    }
}

/// A tensor as the library takes it: numbers where they lie, texts copied.
fn given(tensor: &Tensor) -> Result<SessionInputValue<'_>, String> {
    match tensor.datum_type() {
        DatumType::F32 => numbers::<f32>(tensor),
        DatumType::F64 => numbers::<f64>(tensor),
        DatumType::F16 => numbers::<f16>(tensor),
        DatumType::I64 => numbers::<i64>(tensor),
        DatumType::I32 => numbers::<i32>(tensor),
        DatumType::I16 => numbers::<i16>(tensor),
        DatumType::I8 => numbers::<i8>(tensor),
        DatumType::U64 => numbers::<u64>(tensor),
        DatumType::U32 => numbers::<u32>(tensor),
        DatumType::U16 => numbers::<u16>(tensor),
        DatumType::U8 => numbers::<u8>(tensor),
        DatumType::Bool => numbers::<bool>(tensor),
        DatumType::String => {
            let view = tensor
                .to_plain_array_view::<String>()
                .map_err(|error| error.to_string())?;
            let texts: Vec<String> = view.iter().cloned().collect();
            if texts.iter().any(|text| text.contains('\0')) {
                return Err(
                    "holds a text with the character U+0000, which ONNX Runtime does not take".to_owned(),
                );
            }
            ort::value::Tensor::from_string_array((tensor.shape().to_vec(), texts.as_slice()))
                .map(Into::into)
                .map_err(|error| error.to_string())
        }
        other => Err(format!(
            "has elements of type {}, which are not taken",
            datatype_name(other)
        )),
    }
}

fn numbers<T>(tensor: &Tensor) -> Result<SessionInputValue<'_>, String>
where
    T: Datum + PrimitiveTensorElementType + Clone + std::fmt::Debug + 'static,
{
    let view = tensor
        .to_plain_array_view::<T>()
        .map_err(|error| error.to_string())?;
    let Some(elements) = view.to_slice() else {
        return Err("has elements that do not lie in a row".to_owned());
    };
    TensorRef::from_array_view((tensor.shape().to_vec(), elements))
        .map(Into::into)
        .map_err(|error| error.to_string())
}

/// What the library gave, copied out of its memory.
fn taken(value: &DynValue) -> Result<Tensor, String> {
    match value.dtype().tensor_type() {
        Some(TensorElementType::Float32) => copied::<f32>(value),
        Some(TensorElementType::Float64) => copied::<f64>(value),
        Some(TensorElementType::Float16) => copied::<f16>(value),
        Some(TensorElementType::Int64) => copied::<i64>(value),
        Some(TensorElementType::Int32) => copied::<i32>(value),
        Some(TensorElementType::Int16) => copied::<i16>(value),
        Some(TensorElementType::Int8) => copied::<i8>(value),
        Some(TensorElementType::Uint64) => copied::<u64>(value),
        Some(TensorElementType::Uint32) => copied::<u32>(value),
        Some(TensorElementType::Uint16) => copied::<u16>(value),
        Some(TensorElementType::Uint8) => copied::<u8>(value),
        Some(TensorElementType::Bool) => copied::<bool>(value),
        Some(TensorElementType::String) => {
            let (shape, texts) = value.try_extract_strings().map_err(|error| error.to_string())?;
            tract_ndarray::ArrayD::from_shape_vec(sizes(shape)?, texts)
                .map(Tensor::from)
                .map_err(|error| error.to_string())
        }
        Some(other) => Err(format!("elements of type {other} cannot be sent")),
        None => Err("it is no tensor".to_owned()),
    }
}

fn copied<T: Datum + Copy + PrimitiveTensorElementType>(value: &DynValue) -> Result<Tensor, String> {
    let (shape, elements) = value
        .try_extract_tensor::<T>()
        .map_err(|error| error.to_string())?;
    Tensor::from_shape(&sizes(shape)?, elements).map_err(|error| error.to_string())
}

fn sizes(shape: &[i64]) -> Result<Vec<usize>, String> {
    let sizes = shape.iter().map(|size| usize::try_from(*size));
    sizes
        .collect::<Result<_, _>>()
        .map_err(|_| format!("its shape {shape:?} is none"))
}
