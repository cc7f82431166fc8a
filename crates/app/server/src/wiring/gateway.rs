//! The gateway's route table is serving's, in the gateway's own words; and what it calls loading is deploying.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use corliss_diagnostics::Meaning;
use corliss_gateway::{Repository, RouteEndpoint, RouteReplica, RouteTable};
use corliss_http::ApiError;
use corliss_serving as serving;
use corliss_serving::{Batching, DeployRequest, EndpointPhase, EndpointView, Serving, ServingError};
use tokio::sync::watch;

/// How long a model may take to load before whoever asked is told to look again later.
const LOAD_PATIENCE: Duration = Duration::from_secs(120);
const LOAD_PERIOD: Duration = Duration::from_millis(50);

/// Follows serving's table for as long as the server runs.
pub fn route_table(mut from: watch::Receiver<serving::RouteTable>) -> watch::Receiver<Arc<RouteTable>> {
    let first = translate(&from.borrow_and_update());
    let (sender, receiver) = watch::channel(Arc::new(first));
    tokio::spawn(async move {
        while from.changed().await.is_ok() {
            let table = translate(&from.borrow_and_update());
            sender.send_replace(Arc::new(table));
        }
    });
    receiver
}

fn translate(table: &serving::RouteTable) -> RouteTable {
    let endpoint = |endpoint: &serving::RouteEndpoint| RouteEndpoint {
        name: endpoint.name.clone(),
        model: endpoint.model.to_string(),
        version: endpoint.version,
        flavor: endpoint.flavor,
        reason: endpoint.reason.clone(),
        routing: endpoint.routing.clone(),
        replicas: endpoint
            .replicas
            .iter()
            .map(|replica| RouteReplica {
                id: replica.id.clone(),
                version: replica.version,
                socket: replica.socket.clone(),
            })
            .collect(),
    };
    RouteTable {
        generation: table.generation,
        endpoints: table.endpoints.iter().map(endpoint).collect(),
    }
}

/// Endpoints as models that are loaded and unloaded.
pub struct Deployments(pub Arc<Serving>);

#[async_trait]
impl Repository for Deployments {
    async fn load(&self, name: &str, by: &str) -> Result<(), ApiError> {
        let request = match self.0.get(name).await {
            Ok(known) => as_it_is(&known),
            Err(ServingError::NotFound { .. }) => newest(name),
            Err(error) => return Err(error.into()),
        };
        self.0.deploy(name, request, by).await?;
        match tokio::time::timeout(LOAD_PATIENCE, self.until_it_serves(name)).await {
            Ok(served) => served,
            Err(_) => Err(ApiError::new(
                Meaning::DeadlineExceeded,
                "model_still_loading",
                format!("'{name}' is still loading after {} s", LOAD_PATIENCE.as_secs()),
            )
            .with_hint("it goes on; ask for the repository's index")),
        }
    }

    async fn unload(&self, name: &str) -> Result<(), ApiError> {
        Ok(self.0.remove(name).await?)
    }
}

impl Deployments {
    async fn until_it_serves(&self, name: &str) -> Result<(), ApiError> {
        loop {
            let endpoint = self.0.get(name).await?;
            match endpoint.state {
                EndpointPhase::Ready | EndpointPhase::Degraded => return Ok(()),
                EndpointPhase::Failed => {
                    let reason = endpoint.reason.unwrap_or_else(|| "its engine ended".to_owned());
                    let message = format!("'{name}' cannot be loaded: {reason}");
                    return Err(ApiError::new(Meaning::InvalidInput, "model_load_failed", message));
                }
                EndpointPhase::Deploying | EndpointPhase::Stopping => tokio::time::sleep(LOAD_PERIOD).await,
            }
        }
    }
}

/// What the endpoint is told to be already. A pickle beside its model was allowed by someone else, for then.
fn as_it_is(known: &EndpointView) -> DeployRequest {
    DeployRequest {
        model: known.model.clone(),
        replicas: known.replicas_desired,
        resources: known.resources,
        allow_pickle: false,
        batching: known.batching.clone(),
    }
}

fn newest(name: &str) -> DeployRequest {
    DeployRequest {
        model: name.to_owned(),
        replicas: 1,
        resources: corliss_types::Resources::default(),
        allow_pickle: false,
        batching: Batching::default(),
    }
}
