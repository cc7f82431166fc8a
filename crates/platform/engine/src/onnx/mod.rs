//! The ONNX engine: tract under a dynamic batcher.
//!
//! - `graph` holds the model and optimises it once per concrete input shape;
//! - `tensor` turns Open Inference Protocol data, JSON or bytes, into tensors and back;
//! - `infer` checks a request against the model, `parameters` what it asks for, and `render` writes its answer;
//! - `batcher` joins requests that arrive close together into one run.

mod batcher;
mod datatype;
mod graph;
mod infer;
mod parameters;
mod raw;
mod render;
mod tensor;
#[cfg(test)]
mod tests;

use std::path::Path;
use std::sync::Arc;

use bytes::Bytes;

use crate::protocol::{Batching, Metadata, Stats, TensorMessage};
use crate::{EngineArgs, EngineError};
use corliss_types::Flavor;

pub(crate) use batcher::BatchConfig;

/// A loaded ONNX model that answers requests.
pub(crate) struct OnnxEngine {
    name: String,
    version: String,
    graph: Arc<graph::Graph>,
    batcher: batcher::Batcher,
    batching: Batching,
}

impl OnnxEngine {
    /// Loads a checked file, optimises it and starts its compute threads.
    pub fn load(path: &Path, args: &EngineArgs) -> Result<Self, EngineError> {
        let graph = Arc::new(graph::Graph::load(path)?);
        let config = BatchConfig {
            threads: args.compute_threads(),
            max_rows: args.max_batch.clamp(1, 4096),
            delay: std::time::Duration::from_micros(args.batch_delay_us),
            max_waiting: args.max_waiting.max(1),
        };
        let whole = |count: usize| u32::try_from(count).unwrap_or(u32::MAX);
        let batching = Batching {
            rows_max: if graph.batchable {
                whole(config.max_rows)
            } else {
                0
            },
            delay_us: args.batch_delay_us,
            instances: whole(config.threads.max(1)),
        };
        let batcher = batcher::Batcher::start(Arc::clone(&graph), config)?;
        Ok(Self {
            name: args.name.clone(),
            version: args.version.clone(),
            graph,
            batcher,
            batching,
        })
    }

    /// What the model takes and gives.
    pub fn metadata(&self) -> Metadata {
        Metadata {
            name: self.name.clone(),
            versions: vec![self.version.clone()],
            platform: "onnx_tract".to_owned(),
            flavor: Flavor::Onnx,
            inputs: self
                .graph
                .inputs
                .iter()
                .map(graph::TensorSpec::metadata)
                .collect(),
            outputs: self
                .graph
                .outputs
                .iter()
                .map(graph::TensorSpec::metadata)
                .collect(),
            batching: Some(self.batching),
            language: None,
        }
    }

    /// Answers one Open Inference Protocol request, of which `json_bytes` are JSON and the rest tensors.
    pub async fn infer(&self, body: &Bytes, json_bytes: Option<usize>) -> Result<TensorMessage, EngineError> {
        let request = infer::parse(body, json_bytes, &self.graph)?;
        let outputs = self.batcher.run(request.inputs).await?;
        render::render(
            &self.name,
            &self.version,
            request.id.as_deref(),
            &request.wanted,
            &self.graph,
            outputs,
        )
    }

    /// Counters.
    pub fn stats(&self) -> Stats {
        self.batcher.stats()
    }
}
