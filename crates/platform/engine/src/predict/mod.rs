//! What engines of tensors share: requests in, tensors through a dynamic batcher into a model, answers out.
//!
//! - `model` is what a kind of engine brings: its inputs and outputs, and a way to run it;
//! - `tensor` and `raw` turn Open Inference Protocol data, JSON or bytes, into tensors and back;
//! - `infer` checks a request against the model, `parameters` what it asks for, and `render` writes its answer;
//! - `batcher` joins requests that arrive close together into one run, `closing` decides when a batch is closed, and
//!   `join` puts rows together and takes them apart.

mod batcher;
mod closing;
mod datatype;
mod infer;
mod join;
mod misshapen;
mod model;
mod parameters;
mod raw;
mod render;
mod tensor;

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use corliss_types::Flavor;

use crate::protocol::{Batching, Metadata, Stats, TensorMessage};
use crate::{EngineArgs, EngineError};

pub(crate) use batcher::BatchConfig;
pub(crate) use datatype::{from_name as datum_of, from_onnx as datum_of_onnx, name as datatype_name};
pub(crate) use model::{Model, Named, ParamSpec, TensorSpec};
pub(crate) use raw::{parse as tensor_of_bytes, write as bytes_of_tensor};

/// Rows of a batch where nothing else is said.
pub const BATCH_ROWS: usize = 32;
const BATCH_ROWS_MAX: usize = 4096;

/// A loaded model that answers requests with tensors.
pub(crate) struct PredictiveEngine {
    name: String,
    version: String,
    platform: String,
    flavor: Flavor,
    model: Arc<dyn Model>,
    batcher: batcher::Batcher,
    batching: Batching,
}

impl PredictiveEngine {
    /// Starts `instances` threads that run this model.
    pub fn start(
        model: Arc<dyn Model>,
        flavor: Flavor,
        platform: impl Into<String>,
        instances: usize,
        args: &EngineArgs,
    ) -> Result<Self, EngineError> {
        let max_rows = match args.max_batch {
            0 => BATCH_ROWS,
            given => given.min(BATCH_ROWS_MAX),
        };
        let config = BatchConfig {
            instances: instances.max(1),
            max_rows,
            delay: Duration::from_micros(args.batch_delay_us),
            preferred: args.preferred_rows(max_rows),
            max_waiting: args.max_waiting.max(1),
        };
        let whole = |count: usize| u32::try_from(count).unwrap_or(u32::MAX);
        let is_joined = model.batchable();
        let batching = Batching {
            rows_max: if is_joined { whole(max_rows) } else { 0 },
            delay_us: args.batch_delay_us,
            preferred: config.preferred.iter().map(|rows| whole(*rows)).collect(),
            instances: whole(config.instances),
        };
        let batcher = batcher::Batcher::start(Arc::clone(&model), config)?;
        Ok(Self {
            name: args.name.clone(),
            version: args.version.clone(),
            platform: platform.into(),
            flavor,
            model,
            batcher,
            batching,
        })
    }

    /// What the model takes and gives.
    pub fn metadata(&self) -> Metadata {
        let tensors = |specs: &[TensorSpec]| specs.iter().map(TensorSpec::metadata).collect();
        Metadata {
            name: self.name.clone(),
            versions: vec![self.version.clone()],
            platform: self.platform.clone(),
            flavor: self.flavor,
            inputs: tensors(self.model.inputs()),
            outputs: tensors(self.model.outputs()),
            parameters: self
                .model
                .params()
                .iter()
                .map(|param| param.name.clone())
                .collect(),
            batching: Some(self.batching.clone()),
            language: None,
        }
    }

    /// Answers one Open Inference Protocol request, of which `json_bytes` are JSON and the rest tensors.
    pub async fn infer(&self, body: &Bytes, json_bytes: Option<usize>) -> Result<TensorMessage, EngineError> {
        let request = infer::parse(body, json_bytes, self.model.as_ref())?;
        let asked = batcher::Asked {
            inputs: request.inputs,
            params: request.params,
            timeout: request.timeout,
        };
        let outputs = self.batcher.run(asked).await?;
        let id = request.id.as_deref();
        render::render(&self.name, &self.version, id, &request.wanted, outputs)
    }

    /// Counters.
    pub fn stats(&self) -> Stats {
        self.batcher.stats()
    }

    /// Nobody else will come: what waits for others does so no longer.
    pub fn drain(&self) {
        self.batcher.drain();
    }

    /// Why the model cannot go on, if so.
    pub fn failure(&self) -> Option<String> {
        self.model.failure()
    }
}
