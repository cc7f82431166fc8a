//! One endpoint as the gateway sees it: its replicas' clients, the router between them, and its counters.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use corliss_engine::client::EngineClient;
use corliss_policy_serving::router::{Request, Router, RouterEvent};
use corliss_types::{Flavor, ReplicaId, Timestamp};

use crate::error::GatewayError;
use crate::ports::RouteEndpoint;
use crate::service::stats::{Counters, EndpointStats};

/// An endpoint. The lock is held for a pick or an update, never across an await.
pub(crate) struct Endpoint {
    name: String,
    known_since: Timestamp,
    state: Mutex<State>,
    admitted: AtomicUsize,
    pub(crate) counters: Counters,
}

struct State {
    flavor: Flavor,
    model: String,
    version: u32,
    reason: Option<String>,
    router: Router,
    clients: BTreeMap<ReplicaId, EngineClient>,
}

/// A request's place at an endpoint; dropping it makes room.
pub(crate) struct Admission(Arc<Endpoint>);

impl Drop for Admission {
    fn drop(&mut self) {
        self.0.admitted.fetch_sub(1, Ordering::Relaxed);
    }
}

/// A replica that was given a request; dropping it tells the router that the request has ended.
pub(crate) struct Lease {
    endpoint: Arc<Endpoint>,
    pub(crate) replica: ReplicaId,
    pub(crate) client: EngineClient,
}

impl Drop for Lease {
    fn drop(&mut self) {
        self.endpoint
            .state()
            .router
            .on_event(RouterEvent::Finished(&self.replica));
    }
}

impl Lease {
    /// Tells the router how it went.
    pub(crate) fn answered(&self) {
        self.endpoint
            .state()
            .router
            .on_event(RouterEvent::Answered(&self.replica));
    }

    /// Sets the replica aside for a while.
    pub(crate) fn refused(&self, now: Timestamp) {
        self.endpoint
            .state()
            .router
            .on_event(RouterEvent::Refused(&self.replica, now));
    }
}

impl Endpoint {
    pub(crate) fn new(name: &str, now: Timestamp) -> Arc<Self> {
        Arc::new(Self {
            name: name.to_owned(),
            known_since: now,
            state: Mutex::new(State {
                flavor: Flavor::Other,
                model: String::new(),
                version: 0,
                reason: None,
                router: Router::new(),
                clients: BTreeMap::new(),
            }),
            admitted: AtomicUsize::new(0),
            counters: Counters::default(),
        })
    }

    /// Takes over what the table says; replicas that stay keep their connections and counts.
    pub(crate) fn update(&self, route: &RouteEndpoint) {
        let mut state = self.state();
        let mut clients = BTreeMap::new();
        for replica in &route.replicas {
            let client = match state.clients.remove(&replica.id) {
                Some(client) if client.socket() == replica.socket => client,
                _ => EngineClient::unix(replica.socket.clone()),
            };
            clients.insert(replica.id.clone(), client);
        }
        let ids: Vec<ReplicaId> = clients.keys().cloned().collect();
        state.router.on_event(RouterEvent::Replicas(&ids));
        state.clients = clients;
        state.flavor = route.flavor;
        state.model.clone_from(&route.model);
        state.version = route.version;
        state.reason.clone_from(&route.reason);
    }

    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    pub(crate) fn known_since(&self) -> Timestamp {
        self.known_since
    }

    pub(crate) fn flavor(&self) -> Flavor {
        self.state().flavor
    }

    pub(crate) fn version(&self) -> u32 {
        self.state().version
    }

    /// Refuses a version other than the one that takes requests.
    pub(crate) fn check_version(&self, asked: &str) -> Result<(), GatewayError> {
        if asked == self.version().to_string() {
            return Ok(());
        }
        Err(GatewayError::VersionNotFound {
            name: self.name.clone(),
            version: asked.chars().take(40).collect(),
        })
    }

    pub(crate) fn is_ready(&self) -> bool {
        !self.state().router.is_empty()
    }

    /// Why it is not ready, if it is said.
    pub(crate) fn reason(&self) -> Option<String> {
        self.state().reason.clone()
    }

    /// The ways to all replicas that take requests.
    pub(crate) fn clients(&self) -> Vec<EngineClient> {
        self.state().clients.values().cloned().collect()
    }

    /// Lets one more request in.
    pub(crate) fn admit(self: &Arc<Self>, limit: usize) -> Result<Admission, GatewayError> {
        let admission = Admission(self.clone());
        if self.admitted.fetch_add(1, Ordering::Relaxed) >= limit {
            self.counters.refused();
            return Err(GatewayError::Busy {
                name: self.name.clone(),
                limit,
            });
        }
        Ok(admission)
    }

    /// The least-loaded replica, other than those in `tried`.
    pub(crate) fn lease(
        self: &Arc<Self>,
        now: Timestamp,
        tried: &[ReplicaId],
    ) -> Result<Lease, GatewayError> {
        let mut state = self.state();
        let picked = state.router.pick(&Request::new(now, tried)).and_then(|pick| {
            let client = state.clients.get(&pick.replica).cloned()?;
            Some((pick.replica, client))
        });
        let Some((replica, client)) = picked else {
            let reason = state
                .reason
                .clone()
                .unwrap_or_else(|| "no replica takes requests yet".to_owned());
            return Err(GatewayError::NotReady {
                name: self.name.clone(),
                reason,
            });
        };
        state.router.on_event(RouterEvent::Started(&replica));
        Ok(Lease {
            endpoint: self.clone(),
            replica,
            client,
        })
    }

    /// Whether a replica takes requests that is not among these.
    pub(crate) fn has_other(&self, tried: &[ReplicaId]) -> bool {
        self.state().clients.keys().any(|id| !tried.contains(id))
    }

    pub(crate) fn stats(&self) -> EndpointStats {
        let (model, version, in_flight) = {
            let state = self.state();
            (state.model.clone(), state.version, state.router.in_flight())
        };
        self.counters
            .snapshot(self.name.clone(), model, version, in_flight)
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
