//! A model's configuration as Triton's clients read it: what it takes without the axis along which requests are
//! joined, and how they are.

use std::sync::Arc;

use axum::extract::State;
use corliss_engine::protocol::TensorMetadata;
use corliss_http::{ApiError, Json, Path};
use corliss_types::Flavor;
use serde_json::{Value, json};

use super::Target;
use crate::error::GatewayError;
use crate::service::Gateway;
use crate::service::call::Origin;

/// What is the same in REST and gRPC.
pub(super) struct ModelConfig {
    pub(super) name: String,
    pub(super) platform: String,
    pub(super) version: i64,
    /// The most rows of one run; 0 if requests are not joined.
    pub(super) rows_max: u32,
    pub(super) delay_us: u64,
    /// Rows at which a batch is closed without waiting for more.
    pub(super) preferred: Vec<u32>,
    /// What computes.
    pub(super) backend: &'static str,
    /// Replicas times the copies of the model in each.
    pub(super) instances: u32,
    pub(super) inputs: Vec<TensorConfig>,
    pub(super) outputs: Vec<TensorConfig>,
}

/// One input or output.
pub(super) struct TensorConfig {
    pub(super) name: String,
    /// `TYPE_FP32`, and its number.
    pub(super) kind: (&'static str, i32),
    pub(super) dims: Vec<i64>,
}

pub(super) async fn show(
    State(gateway): State<Arc<Gateway>>,
    Path(target): Path<Target>,
    origin: Origin,
) -> Result<Json<Value>, ApiError> {
    let config = read(&gateway, &target.model, target.version.as_deref(), origin)
        .await
        .map_err(GatewayError::into_api)?;
    let tensors = |tensors: &[TensorConfig]| {
        let view = |tensor: &TensorConfig| json!({ "name": tensor.name, "data_type": tensor.kind.0, "dims": tensor.dims });
        tensors.iter().map(view).collect::<Vec<_>>()
    };
    let mut view = json!({
        "name": config.name,
        "platform": config.platform,
        "backend": config.backend,
        "version_policy": { "specific": { "versions": [config.version] } },
        "max_batch_size": config.rows_max,
        "input": tensors(&config.inputs),
        "output": tensors(&config.outputs),
        "instance_group": [{ "name": config.name, "kind": "KIND_CPU", "count": config.instances }],
    });
    if config.rows_max > 0 {
        view["dynamic_batching"] = json!({ "max_queue_delay_microseconds": config.delay_us });
        if !config.preferred.is_empty() {
            view["dynamic_batching"]["preferred_batch_size"] = json!(config.preferred);
        }
    }
    Ok(Json(view))
}

pub(super) async fn read(
    gateway: &Gateway,
    name: &str,
    version: Option<&str>,
    origin: Origin,
) -> Result<ModelConfig, GatewayError> {
    let endpoint = gateway.tensor_endpoint(name, version)?;
    let metadata = gateway.metadata(name, version, origin).await?;
    let batching = metadata.batching;
    let batch = batching.as_ref();
    let rows_max = batch.map_or(0, |batching| batching.rows_max);
    let replicas = u32::try_from(endpoint.size()).unwrap_or(u32::MAX);
    let tensors = |tensors: &[TensorMetadata]| {
        tensors
            .iter()
            .map(|tensor| tensor_config(tensor, rows_max > 0))
            .collect()
    };
    Ok(ModelConfig {
        backend: match metadata.flavor {
            Flavor::Pyfunc => "python",
            _ => "tract",
        },
        inputs: tensors(&metadata.inputs),
        outputs: tensors(&metadata.outputs),
        name: metadata.name,
        platform: metadata.platform,
        version: i64::from(endpoint.version()),
        rows_max,
        delay_us: batch.map_or(0, |batching| batching.delay_us),
        instances: replicas.saturating_mul(batch.map_or(1, |batching| batching.instances)),
        preferred: batching.map(|batching| batching.preferred).unwrap_or_default(),
    })
}

fn tensor_config(tensor: &TensorMetadata, has_rows: bool) -> TensorConfig {
    TensorConfig {
        name: tensor.name.clone(),
        kind: kind_of(&tensor.datatype),
        dims: tensor.shape.iter().skip(usize::from(has_rows)).copied().collect(),
    }
}

/// The names that a configuration has for the types of tensors.
fn kind_of(datatype: &str) -> (&'static str, i32) {
    match datatype {
        "BOOL" => ("TYPE_BOOL", 1),
        "UINT8" => ("TYPE_UINT8", 2),
        "UINT16" => ("TYPE_UINT16", 3),
        "UINT32" => ("TYPE_UINT32", 4),
        "UINT64" => ("TYPE_UINT64", 5),
        "INT8" => ("TYPE_INT8", 6),
        "INT16" => ("TYPE_INT16", 7),
        "INT32" => ("TYPE_INT32", 8),
        "INT64" => ("TYPE_INT64", 9),
        "FP16" => ("TYPE_FP16", 10),
        "FP32" => ("TYPE_FP32", 11),
        "FP64" => ("TYPE_FP64", 12),
        "BYTES" => ("TYPE_STRING", 13),
        _ => ("TYPE_INVALID", 0),
    }
}
