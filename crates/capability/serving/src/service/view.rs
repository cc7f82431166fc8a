//! Endpoints as shown.

use super::Serving;
use super::routing::note_idle;
use crate::ServingError;
use crate::services::{self, list_services};
use crate::store::{self, EndpointRow, ReleaseRow, ReplicaRow};
use crate::types::{EndpointPhase, EndpointView, ReplicaPhase, ReplicaView};

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
        note_idle(&mut all);
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
        let replicas_ready = u32::try_from(ready().count()).unwrap_or(u32::MAX);
        let state = now(row.phase, replicas_ready, row.desired.replicas, row.crashes);
        let reason = row.reason.clone().or_else(|| {
            // Of what was not told yet only the replica itself can say why.
            (state != row.phase).then(|| last_words(&replicas)).flatten()
        });
        let serving_version = ready().map(|replica| replica.version).max();
        let release = release.map(|release| self.release_view(release, &row, &replicas));
        EndpointView {
            serving_version,
            replicas_ready,
            requests_total: self.parts.traffic.requests(&row.name),
            name: row.name,
            model: row.desired.reference,
            model_name: Some(row.desired.model),
            desired_version: row.desired.version,
            flavor: row.desired.flavor,
            state,
            reason,
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

/// How an endpoint is with so many replicas ready. What is stored of it was told at the end of the last pass, and replicas
/// may have ended since: with fewer than there should be it is not ready, whatever it was.
const fn now(told: EndpointPhase, ready: u32, wanted: u32, crashes: u32) -> EndpointPhase {
    match told {
        EndpointPhase::Ready | EndpointPhase::Degraded if ready == 0 => EndpointPhase::Deploying,
        EndpointPhase::Ready if ready < wanted && crashes > 0 => EndpointPhase::Degraded,
        EndpointPhase::Ready if ready < wanted => EndpointPhase::Deploying,
        as_told => as_told,
    }
}

/// Why the replica ended that ended last.
fn last_words(replicas: &[ReplicaRow]) -> Option<String> {
    let ended = replicas.iter().filter(|replica| replica.phase.has_ended());
    ended.max_by_key(|replica| replica.ended)?.reason.clone()
}

#[cfg(test)]
mod tests {
    use EndpointPhase::{Degraded, Deploying, Failed, Ready, Stopping};

    use super::*;

    #[test]
    fn an_endpoint_is_not_ready_with_fewer_replicas_than_it_should_have() {
        for (told, ready, wanted, crashes, state) in [
            (Ready, 2, 2, 0, Ready),
            (Ready, 0, 1, 1, Deploying),
            (Ready, 0, 1, 0, Deploying),
            (Ready, 1, 2, 1, Degraded),
            (Ready, 1, 2, 0, Deploying),
            (Degraded, 1, 2, 1, Degraded),
            (Degraded, 0, 2, 1, Deploying),
            (Failed, 0, 1, 9, Failed),
            (Stopping, 0, 1, 0, Stopping),
        ] {
            assert_eq!(
                now(told, ready, wanted, crashes),
                state,
                "{told:?}, {ready} of {wanted}"
            );
        }
    }
}
