//! One endpoint as the gateway sees it: its replicas' clients, the router between them, and its counters.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use corliss_engine::client::EngineClient;
use corliss_policy_serving::Routing;
use corliss_policy_serving::router::{Among, Profile, Reason, Request, RetryBudget, Router, RouterEvent};
use corliss_types::{Flavor, ReplicaId, ServiceDialect, Timestamp};

use crate::error::GatewayError;
use crate::ports::{RouteEndpoint, RouteRelease, Serves};
use crate::service::call::Call;
use crate::service::prompt;
use crate::service::record::Records;
use crate::service::shadow::Copying;
use crate::service::stats::{Counters, EndpointStats};
use crate::service::versions::{VersionCounters, Versions};
use crate::service::way::Way;

/// An endpoint. The lock is held for a pick or an update, never across an await.
pub(crate) struct Endpoint {
    name: String,
    known_since: Timestamp,
    state: Mutex<State>,
    admitted: AtomicUsize,
    pub(crate) counters: Counters,
    pub(crate) versions: Versions,
    pub(crate) copying: Copying,
    pub(crate) records: Records,
}

struct State {
    serves: Serves,
    model: String,
    version: u32,
    reason: Option<String>,
    routing: Arc<Routing>,
    router: Router,
    budget: RetryBudget,
    replicas: BTreeMap<ReplicaId, Replica>,
    release: Option<Arc<RouteRelease>>,
    /// While a version is released, the replicas of the others.
    not_released: Vec<ReplicaId>,
    /// When the last replica that was full wanted to be asked again.
    full_for_s: u64,
}

struct Replica {
    /// What it was to blame for last, unless it answered since.
    trouble: Option<Box<str>>,
    way: Way,
    version: u32,
    weight: u32,
    counters: Arc<VersionCounters>,
}

/// What a request brings to the choice of its replica.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Load<'a> {
    /// Tokens of its prompt, about.
    pub(crate) prompt_tokens: u64,
    /// Tokens that its answer is expected to have.
    pub(crate) answer_tokens: u64,
    /// The prompt's blocks.
    pub(crate) blocks: &'a [u64],
    /// 64 random bits.
    pub(crate) random: u64,
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
    pub(crate) version: u32,
    pub(crate) reason: Reason,
    pub(crate) way: Way,
    /// Those of the replica's version.
    pub(crate) counters: Arc<VersionCounters>,
    /// Tokens of the prompt that were charged to the replica.
    prompt_tokens: u64,
    /// Tokens that were charged and are not settled.
    charged: AtomicU64,
}

impl Drop for Lease {
    fn drop(&mut self) {
        let mut state = self.endpoint.state();
        let rest = self.charged.load(Ordering::Relaxed);
        state.router.on_event(RouterEvent::Settled(&self.replica, rest));
        state.router.on_event(RouterEvent::Finished(&self.replica));
    }
}

impl Lease {
    /// Tells the router that the first of an answer is there, so long after it was asked for: the prompt is
    /// computed.
    pub(crate) fn answered(&self, after: Duration, now: Timestamp) {
        let mut state = self.endpoint.state();
        let latency_us = u64::try_from(after.as_micros()).unwrap_or(u64::MAX);
        self.charged.fetch_sub(self.prompt_tokens, Ordering::Relaxed);
        let settled = RouterEvent::Settled(&self.replica, self.prompt_tokens);
        if let Some(replica) = state.replicas.get_mut(&self.replica) {
            replica.trouble = None;
        }
        for event in [
            RouterEvent::Answered(&self.replica),
            RouterEvent::Measured(&self.replica, latency_us, now),
            settled,
        ] {
            state.router.on_event(event);
        }
    }

    /// Tells the router what the replica is to blame for.
    pub(crate) fn blamed(&self, error: &GatewayError, now: Timestamp) {
        if let Some(seconds) = error.full_for_s() {
            let mut state = self.endpoint.state();
            state.full_for_s = seconds;
            state.router.on_event(RouterEvent::Full(&self.replica, now));
            return;
        }
        let event = if error.is_refusal_by_replica() {
            RouterEvent::Refused(&self.replica, now)
        } else if error.is_failure_of_replica() {
            RouterEvent::Failed(&self.replica, now)
        } else {
            return self.endpoint.silent(&self.replica, error);
        };
        self.endpoint.troubled(&self.replica, error);
        self.endpoint.state().router.on_event(event);
    }
}

impl Endpoint {
    pub(crate) fn new(name: &str, now: Timestamp) -> Arc<Self> {
        Arc::new(Self {
            name: name.to_owned(),
            known_since: now,
            state: Mutex::new(State {
                serves: Serves::Engine(Flavor::Other),
                model: String::new(),
                version: 0,
                reason: None,
                routing: Arc::default(),
                router: Router::new(),
                budget: RetryBudget::default(),
                replicas: BTreeMap::new(),
                release: None,
                not_released: Vec::new(),
                full_for_s: 1,
            }),
            admitted: AtomicUsize::new(0),
            counters: Counters::default(),
            versions: Versions::default(),
            copying: Copying::default(),
            records: Records::default(),
        })
    }

    /// Takes over what the table says; replicas that stay keep their connections and counts.
    pub(crate) fn update(&self, route: &RouteEndpoint) {
        let mut state = self.state();
        let mut replicas = BTreeMap::new();
        for replica in &route.replicas {
            let (way, trouble) = match state.replicas.remove(&replica.id) {
                Some(known) if known.way.leads_to(&replica.way) => (known.way, known.trouble),
                _ => (Way::to(&replica.way), None),
            };
            let known = Replica {
                trouble,
                way,
                version: replica.version,
                weight: replica.weight,
                counters: self.versions.of(replica.version),
            };
            replicas.insert(replica.id.clone(), known);
        }
        let released = route.release.as_ref().map(|release| release.version);
        self.versions.keep(|version| {
            released == Some(version) || replicas.values().any(|replica| replica.version == version)
        });
        state.not_released.clear();
        if released.is_some() {
            let others = replicas
                .iter()
                .filter(|(_, replica)| Some(replica.version) != released);
            state.not_released.extend(others.map(|(id, _)| id.clone()));
        }
        state.release.clone_from(&route.release);
        let ids: Vec<ReplicaId> = replicas.keys().cloned().collect();
        let routing = &route.routing;
        state
            .router
            .set(routing.router, routing.settings(prompt::block_tokens()));
        state.router.on_event(RouterEvent::Replicas(&ids));
        for (id, replica) in &replicas {
            let profile = Profile {
                version: replica.version,
                weight: routing.weight(replica.version).saturating_mul(replica.weight),
            };
            state.router.on_event(RouterEvent::Profile(id, profile));
        }
        state.routing = routing.clone();
        state.replicas = replicas;
        state.serves = route.serves;
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

    /// What stands behind it.
    pub(crate) fn serves(&self) -> Serves {
        self.state().serves
    }

    /// Whether clients know it as a language model.
    pub(crate) fn speaks(&self) -> bool {
        matches!(
            self.serves(),
            Serves::Engine(Flavor::Gguf) | Serves::Service(ServiceDialect::OpenAi)
        )
    }

    /// Refuses tensors where a language model is served.
    pub(crate) fn must_take_tensors(&self) -> Result<(), GatewayError> {
        if !self.speaks() {
            return Ok(());
        }
        Err(GatewayError::WrongKind {
            name: self.name.clone(),
            serves: "a language model",
            use_path: "POST /v1/chat/completions",
        })
    }

    /// Refuses a request for text where tensors are served.
    pub(crate) fn must_serve_language(&self) -> Result<(), GatewayError> {
        if self.speaks() {
            return Ok(());
        }
        Err(GatewayError::WrongKind {
            name: self.name.clone(),
            serves: "tensors",
            use_path: "POST /v2/models/{name}/infer",
        })
    }

    /// How its requests are routed.
    pub(crate) fn routing(&self) -> Arc<Routing> {
        self.state().routing.clone()
    }

    /// The release that goes on.
    pub(crate) fn release(&self) -> Option<Arc<RouteRelease>> {
        self.state().release.clone()
    }

    /// The version that a replica serves.
    pub(crate) fn version_of(&self, replica: &ReplicaId) -> Option<u32> {
        Some(self.state().replicas.get(replica)?.version)
    }

    /// The version that a request asks for by name; refused unless a replica serves it.
    pub(crate) fn version_asked(&self, asked: &str) -> Result<u32, GatewayError> {
        let served = asked.parse().ok().filter(|asked| {
            let state = self.state();
            let mut served = state.replicas.values().map(|replica| replica.version);
            state.version == *asked || served.any(|version| version == *asked)
        });
        served.ok_or_else(|| GatewayError::VersionNotFound {
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

    /// How many replicas take requests.
    pub(crate) fn size(&self) -> usize {
        self.state().replicas.len()
    }

    /// The engines that take requests, and the ways to them.
    pub(crate) fn engines(&self) -> Vec<(ReplicaId, EngineClient)> {
        let state = self.state();
        let replicas = state.replicas.iter();
        replicas
            .filter_map(|(id, replica)| Some((id.clone(), replica.way.engine()?.clone())))
            .collect()
    }

    /// Newest version that takes requests, or the wanted one if none does.
    pub(crate) fn version(&self) -> u32 {
        self.state().version
    }

    /// Lets one more request in.
    pub(crate) fn admit(self: &Arc<Self>, limit: usize) -> Result<Admission, GatewayError> {
        let admission = Admission(self.clone());
        self.state().deposit_attempt();
        if self.admitted.fetch_add(1, Ordering::Relaxed) >= limit {
            self.counters.refused();
            return Err(GatewayError::Busy {
                name: self.name.clone(),
                limit,
            });
        }
        Ok(admission)
    }

    /// A replica for the call, other than those in `tried`.
    pub(crate) fn lease(
        self: &Arc<Self>,
        call: &Call,
        load: &Load<'_>,
        now: Timestamp,
        tried: &[ReplicaId],
    ) -> Result<Lease, GatewayError> {
        let mut guard = self.state();
        let state = &mut *guard;
        let request = |among| Request {
            now,
            tried,
            among,
            session: call.session(),
            blocks: load.blocks,
            random: load.random,
        };
        // A version that takes no requests just now must not cost one.
        let preferred = call
            .preferably(tried, &state.not_released)
            .and_then(|among| state.router.pick(&request(among)));
        let picked = preferred.or_else(|| state.router.pick(&request(call.among())));
        let picked = picked.and_then(|pick| {
            let replica = state.replicas.get(&pick.replica)?;
            Some((
                pick,
                replica.way.clone(),
                replica.version,
                replica.counters.clone(),
            ))
        });
        let Some((pick, way, version, counters)) = picked else {
            if state.router.is_full_for(&request(call.among())) {
                return Err(GatewayError::Full {
                    name: self.name.clone(),
                    retry_after_s: state.full_for_s,
                });
            }
            return Err(state.not_ready(&self.name, &call.among()));
        };
        let cached = match pick.reason {
            Reason::PrefixHit { blocks } => u64::from(blocks) * prompt::block_tokens(),
            _ => 0,
        };
        let prompt_tokens = load.prompt_tokens.saturating_sub(cached);
        let charged = prompt_tokens + load.answer_tokens;
        for event in [
            RouterEvent::Started(&pick.replica),
            RouterEvent::Charged(&pick.replica, charged),
            RouterEvent::Cached(&pick.replica, load.blocks),
        ] {
            state.router.on_event(event);
        }
        Ok(Lease {
            endpoint: self.clone(),
            replica: pick.replica,
            version,
            reason: pick.reason,
            way,
            counters,
            prompt_tokens,
            charged: AtomicU64::new(charged),
        })
    }

    /// Whether a replica takes requests that this call may go to and that is not among these.
    pub(crate) fn has_other(&self, call: &Call, tried: &[ReplicaId]) -> bool {
        let (state, among) = (self.state(), call.among());
        let mut replicas = state.replicas.iter();
        replicas.any(|(id, replica)| !tried.contains(id) && admits(&among, id, replica.version))
    }

    /// Whether a replica takes requests that is of no version being released, and not among these.
    pub(crate) fn has_proven(&self, tried: &[ReplicaId]) -> bool {
        self.state().not_released.iter().any(|id| !tried.contains(id))
    }

    /// Notes what a replica is to blame for, for those who look at it.
    fn troubled(&self, replica: &ReplicaId, error: &GatewayError) {
        let trouble = error.in_full().into();
        if let Some(replica) = self.state().replicas.get_mut(replica) {
            replica.trouble = Some(trouble);
        }
    }

    /// The same if it gave no answer in all the time that the request had. Nothing more follows from that: an answer may
    /// be long.
    pub(crate) fn silent(&self, replica: &ReplicaId, error: &GatewayError) {
        if matches!(error, GatewayError::DeadlineExceeded { .. }) {
            self.troubled(replica, error);
        }
    }

    /// Replicas whose last request failed by their own fault, and how.
    pub(crate) fn troubles(&self) -> Vec<(ReplicaId, String)> {
        let state = self.state();
        let replicas = state.replicas.iter();
        replicas
            .filter_map(|(id, replica)| Some((id.clone(), replica.trouble.as_deref()?.to_owned())))
            .collect()
    }

    /// Takes one further attempt out of the budget; false if there is none.
    pub(crate) fn withdraw_attempt(&self, now: Timestamp) -> bool {
        let mut state = self.state();
        let percent = state.routing.retry.budget_percent;
        state.budget.withdraw(percent, now)
    }

    pub(crate) fn stats(&self) -> EndpointStats {
        let (model, version, in_flight) = {
            let state = self.state();
            (state.model.clone(), state.version, state.router.in_flight())
        };
        EndpointStats {
            versions: self.versions.stats(),
            ..self
                .counters
                .snapshot(self.name.clone(), model, version, in_flight)
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// Every request pays its share of an attempt.
    fn deposit_attempt(&mut self) {
        let percent = self.routing.retry.budget_percent;
        self.budget.deposit(percent);
    }

    fn not_ready(&self, name: &str, among: &Among<'_>) -> GatewayError {
        let reason = match (among, &self.reason) {
            (Among::Version(version), _) if !self.replicas.is_empty() => {
                format!("no replica of version {version} takes requests")
            }
            (Among::These(_), _) if !self.replicas.is_empty() => {
                "none of the replicas that its routing sends this request to takes requests".to_owned()
            }
            (_, Some(reason)) => reason.clone(),
            (_, None) => "no replica takes requests yet".to_owned(),
        };
        GatewayError::NotReady {
            name: name.to_owned(),
            reason,
        }
    }
}

fn admits(among: &Among<'_>, id: &ReplicaId, version: u32) -> bool {
    match among {
        Among::All => true,
        Among::Version(wanted) => version == *wanted,
        Among::These(ids) => ids.contains(id),
    }
}
