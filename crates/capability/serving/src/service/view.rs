//! Endpoints as shown.

use super::Serving;
use super::routing::note_absent;
use crate::ServingError;
use crate::services::{self, list_services};
use crate::store::{self, EndpointRow, ReleaseRow, ReplicaRow};
use crate::types::{EndpointView, ReplicaPhase, ReplicaView};

impl Serving {
    /// Every endpoint, by name.
    pub async fn list(&self) -> Result<Vec<EndpointView>, ServingError> {
        let (endpoints, mut replicas, mut releases, services) = self
            .parts
            .store
            .read(|tx| {
                let (endpoints, replicas) = (store::list_endpoints(tx)?, store::list_replicas(tx)?);
                let releases = store::newest_releases(tx)?;
                Ok::<_, ServingError>((endpoints, replicas, releases, list_services(tx)?))
            })
            .await?;
        let view = |row: EndpointRow| {
            let replicas = replicas.remove(&row.name).unwrap_or_default();
            let release = releases.remove(&row.name).filter(ReleaseRow::is_active);
            self.view(row, replicas, release)
        };
        let endpoints = endpoints.into_iter().map(view);
        let services = services.into_iter().map(|row| {
            let traffic = &self.parts.traffic;
            let (requests, troubles) = (traffic.requests(&row.name), traffic.troubles(&row.name));
            services::view(row, requests, &troubles)
        });
        let mut all: Vec<EndpointView> = endpoints.chain(services).collect();
        all.sort_by(|one, other| one.name.cmp(&other.name));
        note_absent(&mut all);
        Ok(all)
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

    fn view(&self, row: EndpointRow, replicas: Vec<ReplicaRow>, release: Option<ReleaseRow>) -> EndpointView {
        let released = release.as_ref().map(|release| release.target.version);
        let ready = || {
            replicas
                .iter()
                .filter(|replica| replica.phase == ReplicaPhase::Ready && Some(replica.version) != released)
        };
        let release = release.map(|release| self.release_view(release, &row, &replicas));
        EndpointView {
            serving_version: ready().map(|replica| replica.version).max(),
            replicas_ready: u32::try_from(ready().count()).unwrap_or(u32::MAX),
            requests_total: self.parts.traffic.requests(&row.name),
            name: row.name,
            model: row.desired.reference,
            model_name: Some(row.desired.model),
            desired_version: row.desired.version,
            flavor: row.desired.flavor,
            state: row.phase,
            reason: row.reason,
            replicas_desired: row.desired.replicas,
            resources: row.desired.resources,
            routing: row.routing,
            routing_notes: Vec::new(),
            release_plan: row.release_plan,
            release,
            allow_pickle: row.desired.allow_pickle,
            batching: row.desired.batching,
            deployed_by: row.deployed_by,
            service: None,
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
