//! A run deploys by storing what an endpoint should be, as a person would.

use std::sync::Arc;

use async_trait::async_trait;
use corliss_pipelines::ports::{Deployment, EndpointsPort, PortError};
use corliss_serving::{Batching, DeployRequest, Serving};

/// Deployments.
pub struct Endpoints(pub Arc<Serving>);

#[async_trait]
impl EndpointsPort for Endpoints {
    async fn deploy(&self, deployment: &Deployment) -> Result<(), PortError> {
        let request = DeployRequest {
            model: format!("{}@{}", deployment.model, deployment.alias),
            replicas: Some(deployment.replicas),
            resources: Some(deployment.resources),
            // A file that anybody may submit is not the word of somebody who may allow this.
            allow_pickle: false,
            release: None,
            batching: Batching::default(),
        };
        self.0
            .deploy(&deployment.name, request, &deployment.submitted_by)
            .await
            .map(drop)
            .map_err(|error| PortError::of(&error))
    }
}
