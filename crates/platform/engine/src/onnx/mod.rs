//! ONNX graphs through tract: `graph` holds the model and optimises it once per concrete input shape.

mod graph;
#[cfg(test)]
mod tests;

use std::path::Path;
use std::sync::Arc;

use corliss_types::Flavor;

use crate::predict::PredictiveEngine;
use crate::{EngineArgs, EngineError};

/// Loads a checked file, optimises it and starts its compute threads.
pub(crate) fn load(path: &Path, args: &EngineArgs) -> Result<PredictiveEngine, EngineError> {
    let graph = Arc::new(graph::Graph::load(path)?);
    let instances = match args.instances {
        0 => args.compute_threads(),
        given => given,
    };
    PredictiveEngine::start(graph, Flavor::Onnx, "onnx_tract", instances, args)
}
