//! What a client asks before and beside inference: is the server there, is a model, what does it take, what did it do.

use std::sync::Arc;

use axum::extract::{FromRequestParts, Request, State};
use axum::response::Response;
use corliss_engine::protocol::Took;
use corliss_http::ApiError;
use http::request::Parts;

use super::call;
use super::messages::{
    Empty, InferBatchStatistics, InferStatistics, ModelConfig, ModelConfigResponse, ModelDynamicBatching,
    ModelInput, ModelInstanceGroup, ModelMetadataResponse, ModelOutput, ModelReadyResponse, ModelRequest,
    ModelStatistics, ModelStatisticsResponse, ModelVersionPolicy, ServerLiveResponse, ServerMetadataResponse,
    ServerReadyResponse, SpecificVersions, StatisticDuration, TensorMetadata,
};
use crate::error::GatewayError;
use crate::http::oip::{metadata, model_config};
use crate::service::Gateway;
use crate::service::call::Origin;
use crate::service::infer;

/// Questions are short.
pub(super) const QUESTION_MAX_BYTES: u64 = 1 << 20;
/// Our instances compute on CPUs: a number of `ModelInstanceGroup.Kind`.
const KIND_CPU: i32 = 2;

pub(super) async fn live(request: Request) -> Result<Response, ApiError> {
    question::<Empty>(request).await?;
    Ok(call::answer(ServerLiveResponse { live: true }))
}

pub(super) async fn ready(
    State(gateway): State<Arc<Gateway>>,
    request: Request,
) -> Result<Response, ApiError> {
    question::<Empty>(request).await?;
    let ready = gateway.is_ready();
    Ok(call::answer(ServerReadyResponse { ready }))
}

pub(super) async fn server(request: Request) -> Result<Response, ApiError> {
    question::<Empty>(request).await?;
    Ok(call::answer(ServerMetadataResponse {
        name: metadata::SERVER.to_owned(),
        version: metadata::VERSION.to_owned(),
        extensions: metadata::EXTENSIONS.map(str::to_owned).to_vec(),
    }))
}

/// A model that nobody knows is not ready: clients wait for one to come so.
pub(super) async fn model_ready(
    State(gateway): State<Arc<Gateway>>,
    request: Request,
) -> Result<Response, ApiError> {
    let (_, asked) = question::<ModelRequest>(request).await?;
    let found = gateway.endpoint(&asked.name);
    let ready = found.is_ok_and(|endpoint| {
        let serves = version(&asked).is_none_or(|version| endpoint.version_asked(version).is_ok());
        serves && endpoint.is_ready()
    });
    Ok(call::answer(ModelReadyResponse { ready }))
}

pub(super) async fn model(
    State(gateway): State<Arc<Gateway>>,
    request: Request,
) -> Result<Response, ApiError> {
    let (origin, asked) = asked_by(request).await?;
    let metadata = gateway
        .metadata(&asked.name, version(&asked), origin)
        .await
        .map_err(GatewayError::into_api)?;
    let tensors = |tensors: Vec<corliss_engine::protocol::TensorMetadata>| {
        let tensor = |tensor: corliss_engine::protocol::TensorMetadata| TensorMetadata {
            name: tensor.name,
            datatype: tensor.datatype,
            shape: tensor.shape,
        };
        tensors.into_iter().map(tensor).collect()
    };
    Ok(call::answer(ModelMetadataResponse {
        name: metadata.name,
        versions: metadata.versions,
        platform: metadata.platform,
        inputs: tensors(metadata.inputs),
        outputs: tensors(metadata.outputs),
    }))
}

pub(super) async fn config(
    State(gateway): State<Arc<Gateway>>,
    request: Request,
) -> Result<Response, ApiError> {
    let (origin, asked) = asked_by(request).await?;
    let config = model_config::read(&gateway, &asked.name, version(&asked), origin)
        .await
        .map_err(GatewayError::into_api)?;
    let dynamic_batching = (config.rows_max > 0).then_some(ModelDynamicBatching {
        preferred_batch_size: config
            .preferred
            .iter()
            .map(|rows| i32::try_from(*rows).unwrap_or(i32::MAX))
            .collect(),
        max_queue_delay_microseconds: config.delay_us,
    });
    let input = |tensor: model_config::TensorConfig| ModelInput {
        name: tensor.name,
        data_type: tensor.kind.1,
        dims: tensor.dims,
    };
    let output = |tensor: model_config::TensorConfig| ModelOutput {
        name: tensor.name,
        data_type: tensor.kind.1,
        dims: tensor.dims,
    };
    let config = ModelConfig {
        platform: config.platform,
        backend: config.backend.to_owned(),
        version_policy: Some(ModelVersionPolicy {
            specific: Some(SpecificVersions {
                versions: vec![config.version],
            }),
        }),
        max_batch_size: i32::try_from(config.rows_max).unwrap_or(i32::MAX),
        input: config.inputs.into_iter().map(input).collect(),
        output: config.outputs.into_iter().map(output).collect(),
        instance_group: vec![ModelInstanceGroup {
            name: config.name.clone(),
            count: i32::try_from(config.instances).unwrap_or(i32::MAX),
            kind: KIND_CPU,
        }],
        dynamic_batching,
        name: config.name,
    };
    Ok(call::answer(ModelConfigResponse { config: Some(config) }))
}

pub(super) async fn statistics(
    State(gateway): State<Arc<Gateway>>,
    request: Request,
) -> Result<Response, ApiError> {
    let (_, asked) = question::<ModelRequest>(request).await?;
    let name = Some(asked.name.as_str()).filter(|name| !name.is_empty());
    let all = gateway
        .statistics(name, version(&asked))
        .await
        .map_err(GatewayError::into_api)?;
    let model_stats = all.into_iter().map(statistics_of).collect();
    Ok(call::answer(ModelStatisticsResponse { model_stats }))
}

fn statistics_of(model: infer::ModelStatistics) -> ModelStatistics {
    let took = |took: Took| {
        Some(StatisticDuration {
            count: took.count,
            ns: took.ns,
        })
    };
    let stats = model.stats;
    let batches = stats
        .batches
        .into_iter()
        .map(|(rows, compute)| InferBatchStatistics {
            batch_size: u64::from(rows),
            compute_input: took(compute.input),
            compute_infer: took(compute.infer),
            compute_output: took(compute.output),
        });
    ModelStatistics {
        name: model.name,
        version: model.version,
        last_inference: stats.last_ms,
        inference_count: stats.inferences,
        execution_count: stats.executions,
        inference_stats: Some(InferStatistics {
            success: took(stats.success),
            fail: took(stats.fail),
            queue: took(stats.queue),
            compute_input: took(stats.compute.input),
            compute_infer: took(stats.compute.infer),
            compute_output: took(stats.compute.output),
        }),
        batch_stats: batches.collect(),
    }
}

async fn question<Q: prost::Message + Default + 'static>(request: Request) -> Result<(Parts, Q), ApiError> {
    call::message(request, QUESTION_MAX_BYTES).await
}

/// A question about a model, and who asks.
async fn asked_by(request: Request) -> Result<(Origin, ModelRequest), ApiError> {
    let (mut parts, asked) = question::<ModelRequest>(request).await?;
    Ok((Origin::from_request_parts(&mut parts, &()).await?, asked))
}

fn version(asked: &ModelRequest) -> Option<&str> {
    Some(asked.version.as_str()).filter(|version| !version.is_empty())
}
