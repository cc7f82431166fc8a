//! One pass: follow aliases, see what replicas do, decide, apply, publish.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use corliss_diagnostics::counted;
use corliss_policy_serving::{self as policy, Phase, Plan};
use corliss_reconcile::{BoxedDiagnose, Outcome, Reconciler};
use corliss_types::Timestamp;

use super::release;
use super::words;
use crate::routes::{RouteEndpoint, RouteReplica};
use crate::store::{self, EndpointRow, ReleaseRow, ReplicaRow};
use crate::types::{EndpointPhase, ReplicaPhase};
use crate::{Order, Serving, ServingError};

/// While a replica comes up or goes away, nobody signals: its engine is asked this often.
const MOVING: Duration = Duration::from_millis(50);

/// The reconciler of all endpoints.
pub struct EndpointReconciler {
    pub(super) serving: Arc<Serving>,
}

/// An endpoint with its replicas that have not ended.
pub(super) struct Live {
    pub(super) row: EndpointRow,
    pub(super) replicas: Vec<ReplicaRow>,
    /// Its newest release.
    pub(super) release: Option<ReleaseRow>,
}

/// What became of one endpoint in a pass; nothing of one that is gone.
#[derive(Default)]
struct Step {
    /// When to look again.
    next: Option<Duration>,
    /// How it is, and why.
    told: Option<(EndpointPhase, Option<String>)>,
    route: Option<RouteEndpoint>,
}

impl EndpointReconciler {
    /// A reconciler of this room.
    pub fn new(serving: Arc<Serving>) -> Self {
        Self { serving }
    }

    async fn load(&self) -> Result<Vec<Live>, ServingError> {
        let (endpoints, mut replicas, mut releases) = self
            .serving
            .parts
            .store
            .read(|tx| {
                let (endpoints, replicas) = (store::list_endpoints(tx)?, store::live_replicas(tx)?);
                let releases = store::newest_releases(tx)?;
                Ok::<_, ServingError>((endpoints, replicas, releases))
            })
            .await?;
        let active = releases.values().filter(|release| release.is_active());
        self.serving
            .baselines
            .keep(&active.map(|release| &release.id).collect::<Vec<_>>());
        let live = |row: EndpointRow| {
            let replicas = replicas.remove(&row.name).unwrap_or_default();
            let release = releases.remove(&row.name);
            Live {
                row,
                replicas,
                release,
            }
        };
        Ok(endpoints.into_iter().map(live).collect())
    }

    /// Where a reference follows an alias, the alias may have moved. A reference that means nothing any more
    /// leaves the endpoint as it is: what serves must not stop because a name was deleted. Answers why it was not followed.
    async fn follow_alias(&self, live: &mut Live) -> Result<Option<String>, ServingError> {
        let current = &live.row.desired;
        if live.row.deleting || !current.reference.contains('@') {
            return Ok(None);
        }
        // What somebody releases by name is not what the alias says, and is not disturbed by it.
        let by_alias = |release: &ReleaseRow| release.target.reference == current.reference;
        if live.active().is_some_and(|release| !by_alias(release)) {
            return Ok(None);
        }
        let Ok(model) = self.serving.parts.models.resolve(&current.reference).await else {
            return Ok(None);
        };
        if model.files == current.files && model.version == current.version && model.model == current.model {
            self.supersede(live, "the alias names the version again that serves")
                .await?;
            return Ok(None);
        }
        if live.is_releasing(&model) {
            return Ok(None);
        }
        if self.was_rolled_back(live, &model).await? {
            return Ok(Some(format!(
                "version {}, which the alias names, was rolled back and is not tried again until it is deployed",
                model.version
            )));
        }
        let servable = self
            .serving
            .servable(&model, current.allow_pickle, &current.resources);
        let flavor = match servable.await {
            Ok(flavor) => flavor,
            Err(error) => {
                return Ok(Some(format!(
                    "{}/{} cannot be served: {error}",
                    model.model, model.version
                )));
            }
        };
        let to = release::followed(current, model, flavor);
        if self.release_followed(live, &to).await? {
            return Ok(None);
        }
        let (row, now) = (live.row.clone(), self.now());
        let moved = {
            let (row, to) = (row.clone(), to.clone());
            let store = &self.serving.parts.store;
            store
                .write(move |tx| Ok::<_, ServingError>(store::redirect(tx, &row, &to, now)?))
                .await?
        };
        if moved {
            live.row = EndpointRow {
                desired: to,
                generation: row.generation + 1,
                crashes: 0,
                last_crash: Timestamp::default(),
                updated: now,
                deployed_by: None,
                ..row
            };
        }
        Ok(None)
    }

    /// Tells the model's log what the endpoint was told to serve, once for each time.
    async fn log_order(&self, live: &mut Live) -> Result<(), ServingError> {
        let (row, order) = (live.row.clone(), live.row.order());
        if row.deleting || row.logged == order {
            return Ok(());
        }
        let lineage = &self.serving.parts.lineage;
        lineage
            .ordered(Order {
                endpoint: row.name.clone(),
                reference: row.desired.reference.clone(),
                model: row.desired.model.clone(),
                version: row.desired.version,
                by: row.deployed_by.clone(),
                allow_pickle: row.desired.allow_pickle,
                key: format!("{}/{}/{}", row.name, row.created.as_millis(), row.generation),
            })
            .await?;
        live.row.logged.clone_from(&order);
        let store = &self.serving.parts.store;
        store
            .write(move |tx| Ok(store::set_logged(tx, &row, &order)?))
            .await
    }

    fn view(&self, live: &Live) -> policy::View {
        let desired = policy::Desired {
            version: live.row.desired.version,
            replicas: live.row.desired.replicas,
        };
        let replicas = live
            .replicas
            .iter()
            .filter(|replica| !replica.phase.has_ended())
            .map(|replica| {
                let stats = self.serving.stats(&replica.id);
                // One with other settings is replaced as one of another version is.
                let is_current = replica.created >= live.row.settings_since;
                policy::Replica {
                    id: replica.id.clone(),
                    version: if is_current { replica.version } else { 0 },
                    state: replica_state(replica),
                    in_flight: u32::try_from(stats.running + stats.waiting).unwrap_or(u32::MAX),
                }
            });
        policy::View {
            now: self.now(),
            desired: (!live.row.deleting).then_some(desired),
            replicas: replicas.collect(),
            crashes: policy::Crashes {
                in_a_row: live.row.crashes,
                last: live.row.last_crash,
            },
            beside: live.beside(),
            limits: policy::Limits::default(),
        }
    }

    /// Brings one endpoint a step further.
    async fn step(&self, live: &mut Live) -> Result<Step, ServingError> {
        let not_followed = self.follow_alias(live).await?;
        self.log_order(live).await?;
        self.observe(live).await?;
        let released = self.advance(live).await?;
        let view = self.view(live);
        let plan = policy::decide(&view);
        debug_assert_eq!(policy::invariants::check(&view, &plan), None);
        // What drains or stops leaves the table before it hears of it.
        self.apply(live, &plan).await?;
        if plan.phase == Phase::Stopped {
            return Ok(Step::default());
        }
        let last_failure = self.last_failure(&live.row).await?;
        let mut replicas = live.replicas.iter();
        let queued = replicas.find(|replica| replica.phase == ReplicaPhase::Queued);
        let waits = queued.and_then(|replica| replica.reason.as_deref());
        let sentence = words::sentence(&plan, view.now, last_failure.as_ref(), waits);
        let words = [not_followed, live.release_words(), sentence];
        let reasons: Vec<String> = words.into_iter().flatten().collect();
        let reason = (!reasons.is_empty()).then(|| reasons.join("; "));
        let next = [self.next_look(live, &plan), released]
            .into_iter()
            .flatten()
            .min();
        Ok(Step {
            next,
            told: Some((phase_of(&plan), reason.clone())),
            route: Some(self.route(live, reason)),
        })
    }

    fn next_look(&self, live: &Live, plan: &Plan) -> Option<Duration> {
        let moving = live.replicas.iter().any(|replica| {
            matches!(
                replica.phase,
                ReplicaPhase::Starting | ReplicaPhase::Draining | ReplicaPhase::Stopping
            )
        });
        let by_plan = plan.wake_at.map(|at| Duration::from(at.since(self.now())));
        [moving.then_some(MOVING), by_plan].into_iter().flatten().min()
    }

    fn route(&self, live: &Live, reason: Option<String>) -> RouteEndpoint {
        let ready = || {
            live.replicas
                .iter()
                .filter(|replica| replica.phase == ReplicaPhase::Ready)
        };
        let socket = |replica: &ReplicaRow| self.serving.sockets.path(&replica.id);
        RouteEndpoint {
            name: live.row.name.clone(),
            model: live.row.desired.model.clone(),
            version: ready()
                .map(|replica| replica.version)
                .filter(|version| {
                    live.active()
                        .is_none_or(|release| release.target.version != *version)
                })
                .max()
                .unwrap_or(live.row.desired.version),
            flavor: live.row.desired.flavor,
            reason,
            routing: Arc::new(live.row.routing.clone()),
            replicas: ready()
                .map(|replica| RouteReplica {
                    id: replica.id.clone(),
                    version: replica.version,
                    socket: socket(replica),
                })
                .collect(),
            release: live.route_release(),
        }
    }

    async fn tell(
        &self,
        row: &EndpointRow,
        phase: EndpointPhase,
        reason: Option<String>,
    ) -> Result<(), ServingError> {
        if row.phase == phase && row.reason == reason {
            return Ok(());
        }
        let row = row.clone();
        let store = &self.serving.parts.store;
        store
            .write(move |tx| Ok(store::set_phase(tx, &row, phase, reason.as_deref())?))
            .await
    }

    pub(super) fn now(&self) -> Timestamp {
        self.serving.parts.sources.clock.now()
    }
}

#[async_trait]
impl Reconciler for EndpointReconciler {
    fn name(&self) -> &'static str {
        "serving.endpoints"
    }

    async fn reconcile(&self) -> Result<Outcome, BoxedDiagnose> {
        let mut endpoints = self.load().await?;
        let (mut table, mut next, mut failed) = (Vec::new(), None::<Duration>, None);
        let mut told = Vec::with_capacity(endpoints.len());
        for live in &mut endpoints {
            // One endpoint in trouble must not hold up the others.
            match self.step(live).await {
                Ok(step) => {
                    next = [next, step.next].into_iter().flatten().min();
                    table.extend(step.route);
                    told.extend(step.told.map(|(phase, reason)| (live.row.clone(), phase, reason)));
                }
                Err(error) => {
                    table.push(self.route(live, live.row.reason.clone()));
                    failed = Some(error);
                }
            }
        }
        let ready: usize = table.iter().map(|endpoint| endpoint.replicas.len()).sum();
        let progress = format!(
            "{}, {} ready",
            counted(table.len(), "endpoint", "endpoints"),
            counted(ready, "replica", "replicas")
        );
        self.serving.publish(table);
        self.serving.publish_services().await?;
        // Who is told that an endpoint is ready may ask it at once.
        for (row, phase, reason) in told {
            self.tell(&row, phase, reason).await?;
        }
        match failed {
            Some(error) => Err(error.into()),
            None => Ok(Outcome {
                progress,
                wake_after: next,
            }),
        }
    }
}

fn replica_state(replica: &ReplicaRow) -> policy::ReplicaState {
    match replica.phase {
        ReplicaPhase::Queued => policy::ReplicaState::Queued,
        ReplicaPhase::Starting => policy::ReplicaState::Starting {
            since: replica.phase_since,
        },
        ReplicaPhase::Ready => policy::ReplicaState::Ready,
        ReplicaPhase::Draining => policy::ReplicaState::Draining {
            since: replica.phase_since,
        },
        ReplicaPhase::Stopping | ReplicaPhase::Failed | ReplicaPhase::Stopped => {
            policy::ReplicaState::Stopping
        }
    }
}

fn phase_of(plan: &Plan) -> EndpointPhase {
    match plan.phase {
        Phase::Deploying => EndpointPhase::Deploying,
        Phase::Ready => EndpointPhase::Ready,
        Phase::Degraded => EndpointPhase::Degraded,
        Phase::Failed => EndpointPhase::Failed,
        Phase::Stopping | Phase::Stopped => EndpointPhase::Stopping,
    }
}
