//! ONNX graphs: through tract, which is part of this binary, or through ONNX Runtime where its library is named.
//!
//! - `declared` is what a file says that its graph takes and gives;
//! - `graph` runs it with tract, optimised once for each concrete input shape;
//! - `words` says why it cannot be run;
//! - `runtime` runs it with ONNX Runtime.

mod declared;
mod graph;
mod runtime;
#[cfg(test)]
mod tests;
mod words;

use std::path::Path;
use std::sync::Arc;

use corliss_types::Flavor;

use crate::predict::PredictiveEngine;
use crate::{EngineArgs, EngineError};

const INSTANCES_MAX: usize = 64;

/// Loads a checked file, optimises it and starts its compute threads.
pub(crate) fn load(path: &Path, args: &EngineArgs) -> Result<PredictiveEngine, EngineError> {
    if let Some(library) = &args.onnx_runtime {
        // One of them computes on all threads by itself.
        let instances = args.instances.clamp(1, INSTANCES_MAX);
        let threads = (args.compute_threads() / instances).max(1);
        let runtime = Arc::new(runtime::Runtime::load(library, path, instances, threads)?);
        return PredictiveEngine::start(runtime, Flavor::Onnx, "onnxruntime_onnx", instances, args);
    }
    let graph = Arc::new(graph::Graph::load(path)?);
    let instances = match args.instances {
        0 => args.compute_threads(),
        given => given,
    };
    PredictiveEngine::start(graph, Flavor::Onnx, "onnx_tract", instances, args)
}
