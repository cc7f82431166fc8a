//! The nodes themselves: shown, changed, drained; and what a change would do before it is made.

use std::collections::BTreeMap;

use corliss_metastore::Tx;
use corliss_types::{Accelerator, JobId, Resources};
use serde::{Deserialize, Serialize};

use super::Jobs;
use super::queues::{Affected, Effect};
use crate::{Job, JobKind, JobState, JobsError, NodeSettings, NodeSpec, store};

/// The nodes, and what runs where.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct NodesView {
    /// As they are declared; this is what a change is made from.
    pub settings: NodeSettings,
    /// What the machine has.
    pub machine: Resources,
    /// By name.
    pub nodes: Vec<NodeView>,
}

/// One node, and what runs there.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct NodeView {
    /// Its name.
    pub name: String,
    /// The name of its row, rack and so on, by level.
    #[serde(rename = "in", default, skip_serializing_if = "BTreeMap::is_empty")]
    pub stands_in: BTreeMap<String, String>,
    /// Whether it may be taken away at short notice.
    pub spot: bool,
    /// Whether it takes no new work.
    pub drained: bool,
    /// What it has.
    pub total: Resources,
    /// What is free of it; of accelerators, those that nobody uses.
    pub free: Resources,
    /// Its accelerators.
    pub accelerators: Vec<AcceleratorView>,
    /// Jobs that hold something of it.
    pub jobs: Vec<NodeJob>,
}

/// An accelerator, and who uses it.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct AcceleratorView {
    /// Which it is.
    #[serde(flatten)]
    pub accelerator: Accelerator,
    /// Thousandths of it that nobody was given.
    pub free_milli: u32,
    /// Jobs that were given it or a part of it. Parts of one share its memory: nothing keeps them apart.
    pub jobs: Vec<JobId>,
}

/// A job on a node.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NodeJob {
    /// The job.
    pub job_id: JobId,
    /// Its name.
    pub name: String,
    /// Whether it is meant to end.
    pub kind: JobKind,
    /// The queue that it came from.
    pub queue: String,
    /// Its workers there.
    pub workers: u32,
    /// What those hold.
    pub held: Resources,
}

/// What came of draining a node.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Drained {
    /// Jobs that are being stopped, to start elsewhere.
    pub stopped: Vec<Affected>,
    /// Jobs that go on there.
    pub remaining: Vec<Affected>,
}

impl Jobs {
    /// The nodes as they are declared.
    ///
    /// # Errors
    /// The store failed.
    pub async fn node_settings(&self) -> Result<NodeSettings, JobsError> {
        Ok(self.store.read(store::declared).await?.nodes)
    }

    /// The nodes, and what runs where.
    ///
    /// # Errors
    /// The store failed.
    pub async fn nodes(&self) -> Result<NodesView, JobsError> {
        let (settings, active) = self
            .store
            .read(|tx| Ok::<_, JobsError>((store::declared(tx)?.nodes, store::active(tx)?)))
            .await?;
        let nodes = settings.in_force(&self.inventory);
        let nodes = nodes.into_iter().map(|(name, spec)| {
            let is_drained = settings.drained.contains(&name);
            self.node_view(name, spec, is_drained, &active)
        });
        Ok(NodesView {
            machine: self.inventory.total,
            nodes: nodes.collect(),
            settings,
        })
    }

    fn node_view(&self, name: String, spec: NodeSpec, drained: bool, active: &[Job]) -> NodeView {
        let there: Vec<&Job> = active.iter().filter(|job| is_on(job, &name)).collect();
        let machine = self.inventory.accelerators.iter();
        let own = machine.filter(|card| spec.accelerators.contains(&card.index));
        let accelerators: Vec<AcceleratorView> = own
            .map(|card| {
                let users = there.iter().filter(|job| uses(job, &name, card.index));
                let users: Vec<(JobId, u32)> = users.map(|job| (job.id.clone(), part(job))).collect();
                let given: u32 = users.iter().map(|user| user.1).sum();
                AcceleratorView {
                    accelerator: card.clone(),
                    free_milli: 1_000_u32.saturating_sub(given),
                    jobs: users.into_iter().map(|user| user.0).collect(),
                }
            })
            .collect();
        let total = Resources {
            cpu_milli: spec.cpu_milli,
            memory_bytes: spec.memory_bytes,
            accelerators: u32::try_from(accelerators.len()).unwrap_or(u32::MAX),
        };
        let jobs: Vec<NodeJob> = there.iter().map(|job| node_job(job, &name)).collect();
        let beside = jobs.iter().fold(total, |free, job| free.minus(&job.held));
        let idle = accelerators.iter().filter(|one| one.free_milli == 1_000).count();
        NodeView {
            name,
            stands_in: spec.stands_in,
            spot: spec.spot,
            drained,
            total,
            free: Resources {
                accelerators: u32::try_from(idle).unwrap_or(u32::MAX),
                ..beside
            },
            accelerators,
            jobs,
        }
    }

    /// What would follow at once if these were the nodes. Nothing is changed.
    ///
    /// # Errors
    /// They cannot be the nodes; the store failed.
    pub async fn preview_nodes(&self, settings: NodeSettings) -> Result<Effect, JobsError> {
        settings.check(&self.inventory)?;
        let nodes = settings.in_force(&self.inventory);
        let changed = self.store.read(move |tx| {
            can_go(tx, &nodes)?;
            let mut declared = store::declared(tx)?;
            declared.nodes = settings.clone().keeping(&declared.nodes);
            Ok::<_, JobsError>(declared)
        });
        self.effect(changed.await?).await
    }

    /// Makes these the nodes. Durable when this returns; jobs that wait are decided on anew.
    ///
    /// # Errors
    /// They cannot be the nodes: a field is wrong, or a job is where nothing would be any more.
    pub async fn set_nodes(&self, settings: NodeSettings) -> Result<(), JobsError> {
        settings.check(&self.inventory)?;
        let nodes = settings.in_force(&self.inventory);
        self.declare(move |tx, declared| {
            can_go(tx, &nodes)?;
            declared.nodes = settings.clone().keeping(&declared.nodes);
            Ok(())
        })
        .await
    }

    /// Has a node take no new work. With `evict`, the jobs on it are stopped as others are that make room: they get their
    /// time to save, and wait for another place. Durable when this returns.
    ///
    /// # Errors
    /// There is no such node.
    pub async fn drain(&self, node: &str, evict: bool) -> Result<Drained, JobsError> {
        self.set_drained(node, true).await?;
        let mut drained = Drained::default();
        let active = self.store.read(store::active).await?;
        for job in active.into_iter().filter(|job| is_on(job, node)) {
            let affected = Affected {
                job_id: job.id.clone(),
                name: job.spec.name.clone(),
                reason: None,
            };
            match evict && self.evict(&job, node).await? {
                true => drained.stopped.push(affected),
                false => drained.remaining.push(affected),
            }
        }
        Ok(drained)
    }

    /// Has a drained node take new work again.
    ///
    /// # Errors
    /// There is no such node.
    pub async fn undrain(&self, node: &str) -> Result<(), JobsError> {
        self.set_drained(node, false).await
    }

    async fn set_drained(&self, node: &str, is_drained: bool) -> Result<(), JobsError> {
        let node = node.to_owned();
        self.declare(move |_, declared| {
            let nodes = &mut declared.nodes;
            if !nodes.is_known(&node) {
                return Err(JobsError::NoNode {
                    nearest: corliss_diagnostics::nearest(&node, nodes.names()).map(str::to_owned),
                    node: node.chars().take(80).collect(),
                });
            }
            match is_drained {
                true => nodes.drained.insert(node.clone()),
                false => nodes.drained.remove(&node),
            };
            Ok(())
        })
        .await
    }

    /// Stops a job that is on a node, so that it starts elsewhere; whether it does, or is ending anyway.
    async fn evict(&self, job: &Job, node: &str) -> Result<bool, JobsError> {
        let (id, generation) = (job.id.clone(), job.generation);
        let reason = format!("it was stopped because node '{node}' was drained");
        let stopped = self
            .store
            .write(move |tx| {
                // It may have gone on from starting to running since.
                let now = store::by_id(tx, &id)?.map_or(generation, |job| job.generation);
                store::preempt(tx, &id, now, &reason)
            })
            .await?;
        self.lifecycle.signal();
        self.admission.signal();
        self.signal_changed(None);
        Ok(stopped || job.state == JobState::Stopping || job.stop_cause.is_some())
    }
}

fn is_on(job: &Job, node: &str) -> bool {
    job.placement.iter().any(|place| place.node == node)
}

fn uses(job: &Job, node: &str, index: u32) -> bool {
    let mut places = job.placement.iter();
    places.any(|place| place.node == node && place.accelerators.contains(&index))
}

/// Thousandths of each accelerator that a worker of the job is given.
fn part(job: &Job) -> u32 {
    let share = job.spec.terms.placing.accelerator_share;
    share.map_or(1_000, |milli| u32::try_from(milli).unwrap_or(0))
}

fn node_job(job: &Job, node: &str) -> NodeJob {
    let workers = job.placement.iter().filter(|place| place.node == node).count();
    let workers = u32::try_from(workers).unwrap_or(u32::MAX);
    NodeJob {
        job_id: job.id.clone(),
        name: job.spec.name.clone(),
        kind: job.spec.kind,
        queue: job.spec.terms.queue.clone(),
        workers,
        held: job.spec.resources.times(workers),
    }
}

/// A node or an accelerator that a job holds does not go.
fn can_go(tx: &mut dyn Tx, nodes: &BTreeMap<String, NodeSpec>) -> Result<(), JobsError> {
    for job in store::active(tx)? {
        for place in &job.placement {
            let in_use = |what: String| JobsError::NodeInUse {
                what,
                job: job.id.clone(),
                name: job.spec.name.clone(),
            };
            let Some(spec) = nodes.get(&place.node) else {
                return Err(in_use(format!("node '{}'", place.node)));
            };
            let mut held = place.accelerators.iter();
            if let Some(index) = held.find(|index| !spec.accelerators.contains(index)) {
                return Err(in_use(format!("accelerator {index} of node '{}'", place.node)));
            }
        }
    }
    Ok(())
}
