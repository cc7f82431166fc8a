//! The gateway's route table is serving's, in the gateway's own words; and what it calls loading is deploying.

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use async_trait::async_trait;
use corliss_diagnostics::Meaning;
use corliss_gateway::{
    Gateway, Repository, RouteEndpoint, RouteRelease, RouteReplica, RouteTable, RouteWay, Serves,
    ServiceAddress,
};
use corliss_http::ApiError;
use corliss_serving as serving;
use corliss_serving::{Batching, DeployRequest, EndpointPhase, EndpointView, Serving, ServingError};
use corliss_types::ReplicaId;
use http::HeaderValue;
use tokio::sync::watch;
use zeroize::Zeroizing;

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
        serves: Serves::Engine(endpoint.flavor),
        reason: endpoint.reason.clone(),
        routing: endpoint.routing.clone(),
        replicas: endpoint
            .replicas
            .iter()
            .map(|replica| RouteReplica {
                id: replica.id.clone(),
                version: replica.version,
                weight: 1,
                way: RouteWay::Socket(replica.socket.clone()),
            })
            .collect(),
        release: endpoint.release.as_ref().map(|release| {
            Arc::new(RouteRelease {
                id: release.id.clone(),
                version: release.version,
                split: release.split,
            })
        }),
    };
    let endpoints = table.endpoints.iter().map(endpoint);
    RouteTable {
        generation: if table.is_complete() { table.generation } else { 0 },
        endpoints: endpoints.chain(table.services.iter().map(service)).collect(),
    }
}

fn service(service: &serving::RouteService) -> RouteEndpoint {
    let key = service.key.as_ref().and_then(|key| {
        let mut text = Zeroizing::new(b"Bearer ".to_vec());
        text.extend_from_slice(&key.0);
        let mut value = HeaderValue::from_bytes(&text).ok()?;
        value.set_sensitive(true);
        Some(value)
    });
    let replicas = service.targets.iter().map(|target| RouteReplica {
        id: target.id.clone(),
        version: 1,
        weight: target.weight,
        way: RouteWay::Service(Arc::new(ServiceAddress {
            url: target.url.clone(),
            model: service.model.clone(),
            key: key.clone(),
        })),
    });
    RouteEndpoint {
        name: service.name.clone(),
        model: service.model.clone(),
        version: 1,
        serves: Serves::Service(service.dialect),
        reason: service.reason.clone(),
        routing: service.routing.clone(),
        replicas: replicas.collect(),
        release: None,
    }
}

/// What the gateway counted is what serving judges releases by. The gateway follows serving's table, so it is opened after
/// serving; until then nothing was counted.
#[derive(Default)]
pub struct Counted(OnceLock<Arc<Gateway>>);

impl Counted {
    /// From now on it is this gateway that counts.
    pub fn by(&self, gateway: &Arc<Gateway>) {
        // Set once, where the rooms are opened.
        let _ = self.0.set(gateway.clone());
    }
}

impl serving::Traffic for Counted {
    fn done(&self, endpoint: &str, version: u32) -> serving::Done {
        let Some(gateway) = self.0.get() else {
            return serving::Done::default();
        };
        let done = gateway.version_traffic(endpoint, version);
        serving::Done {
            counts: done.counts,
            copies: serving::Copies {
                same: done.same,
                different: done.different,
                skipped: done.skipped,
            },
        }
    }

    fn requests(&self, endpoint: &str) -> u64 {
        let gateway = self.0.get();
        gateway.map_or(0, |gateway| gateway.requests_total(endpoint))
    }

    fn troubles(&self, endpoint: &str) -> Vec<(ReplicaId, String)> {
        let gateway = self.0.get();
        gateway
            .map(|gateway| gateway.troubles(endpoint))
            .unwrap_or_default()
    }
}

/// Endpoints as models that are loaded and unloaded.
pub struct Deployments(pub Arc<Serving>);

#[async_trait]
impl Repository for Deployments {
    async fn load(&self, name: &str, by: &str) -> Result<(), ApiError> {
        let request = match self.0.get(name).await {
            // It is loaded where it is, as far as anyone here can know.
            Ok(known) if known.service.is_some() => return Ok(()),
            // What is being released stays as it is, too.
            Ok(known) if known.release.is_some() => return Ok(()),
            // It is there by somebody's word who may let pickles be read; whoever loads it need not be one.
            Ok(known) if known.allow_pickle && known.state != EndpointPhase::Stopping => {
                return self.until_loaded(name).await;
            }
            Ok(known) => as_it_is(&known),
            Err(ServingError::NotFound { .. }) => newest(name),
            Err(error) => return Err(error.into()),
        };
        self.0.deploy(name, request, by).await?;
        self.until_loaded(name).await
    }

    async fn unload(&self, name: &str) -> Result<(), ApiError> {
        if self.0.get(name).await?.service.is_some() {
            let message =
                format!("'{name}' is answered by a service elsewhere, which is not unloaded from here");
            return Err(
                ApiError::new(Meaning::Conflict, "endpoint_is_service", message).with_hint(format!(
                    "corliss endpoints delete {name} takes it out of the list"
                )),
            );
        }
        Ok(self.0.remove(name).await?)
    }
}

impl Deployments {
    async fn until_loaded(&self, name: &str) -> Result<(), ApiError> {
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
        replicas: None,
        resources: None,
        allow_pickle: false,
        release: None,
        batching: known.batching.clone(),
    }
}

fn newest(name: &str) -> DeployRequest {
    DeployRequest {
        model: name.to_owned(),
        replicas: None,
        resources: None,
        allow_pickle: false,
        release: None,
        batching: Batching::default(),
    }
}
