//! Endpoints as shown.

use super::Serving;
use crate::ServingError;
use crate::store::{self, EndpointRow, ReplicaRow};
use crate::types::{EndpointView, ReplicaPhase, ReplicaView};

impl Serving {
    /// Every endpoint, by name.
    pub async fn list(&self) -> Result<Vec<EndpointView>, ServingError> {
        let (endpoints, mut replicas) = self
            .parts
            .store
            .read(|tx| Ok::<_, ServingError>((store::list_endpoints(tx)?, store::list_replicas(tx)?)))
            .await?;
        let view = |row: EndpointRow| {
            let replicas = replicas.remove(&row.name).unwrap_or_default();
            self.view(row, replicas)
        };
        Ok(endpoints.into_iter().map(view).collect())
    }

    /// The endpoint of this name.
    pub async fn get(&self, name: &str) -> Result<EndpointView, ServingError> {
        let found = self
            .list()
            .await?
            .into_iter()
            .find(|endpoint| endpoint.name == name);
        match found {
            Some(endpoint) => Ok(endpoint),
            None => Err(self.not_found(name).await),
        }
    }

    fn view(&self, row: EndpointRow, replicas: Vec<ReplicaRow>) -> EndpointView {
        let ready = || {
            replicas
                .iter()
                .filter(|replica| replica.phase == ReplicaPhase::Ready)
        };
        EndpointView {
            serving_version: ready().map(|replica| replica.version).max(),
            replicas_ready: u32::try_from(ready().count()).unwrap_or(u32::MAX),
            requests_total: replicas
                .iter()
                .map(|replica| self.stats(&replica.id).completed_total)
                .sum(),
            name: row.name,
            model: row.desired.reference,
            model_name: row.desired.model,
            desired_version: row.desired.version,
            flavor: row.desired.flavor,
            state: row.phase,
            reason: row.reason,
            replicas_desired: row.desired.replicas,
            resources: row.desired.resources,
            routing: row.routing,
            allow_pickle: row.desired.allow_pickle,
            batching: row.desired.batching,
            deployed_by: row.deployed_by,
            created_ms: row.created,
            updated_ms: row.updated,
            replicas: replicas
                .into_iter()
                .map(|replica| self.replica_view(replica))
                .collect(),
        }
    }

    fn replica_view(&self, row: ReplicaRow) -> ReplicaView {
        let stats = self.stats(&row.id);
        ReplicaView {
            in_flight: stats.running + stats.waiting,
            id: row.id,
            version: row.version,
            state: row.phase,
            reason: row.reason,
            job_id: row.job,
            restarts: row.restarts,
            started_ms: row.created,
            ended_ms: row.ended,
        }
    }
}
