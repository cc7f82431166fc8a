//! A cluster that is filled: pods are drawn from a trace at random and put on nodes until they ask for more accelerators
//! than there are, by so much. What fits nowhere is passed over. How much of the accelerators is in use then says how well
//! they were packed.

use corliss_policy_scheduling::cluster::{Cluster, Seat};
use corliss_policy_scheduling::nodes::{Ask, Node, Share};
use corliss_policy_scheduling::place::{Mix, Placement};
use corliss_sim_trace::SimError;
use serde::Serialize;

use crate::random::Random;

/// The asks that make up so much of the trace are usual.
const USUAL_PERCENT: u64 = 95;
/// Most times the cluster's accelerators that are asked for.
const ARRIVALS_MAX: f64 = 100.0;

/// How a cluster is filled.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Fill {
    /// Where pods are put.
    pub placement: Placement,
    /// Accelerators that are asked for, against those that there are.
    pub arrivals: f64,
    /// What draws are made of.
    pub seed: u64,
}

/// What came of it.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Filled {
    /// The placement's name.
    pub policy: &'static str,
    /// What draws were made of.
    pub seed: u64,
    /// Nodes.
    pub nodes: u64,
    /// Accelerators of all nodes.
    pub gpus: u64,
    /// Pods that were drawn.
    pub pods: u64,
    /// Those of them that were put somewhere.
    pub placed: u64,
    /// Accelerators that were asked for, in percent of those that there are.
    pub gpu_arrivals_percent: f64,
    /// Accelerators in use, in percent.
    pub gpu_allocation_percent: f64,
    /// Accelerators that are free and of no use to what is usually asked for, in percent of all.
    pub gpu_fragments_percent: f64,
}

/// Fills the nodes.
///
/// # Errors
/// If there is nothing to fill, or nothing to fill it with.
pub fn fill(nodes: Vec<Node>, pods: &[Ask], setup: &Fill) -> Result<Filled, SimError> {
    let capacity: i64 = nodes.iter().map(Node::accelerator_milli).sum();
    if capacity == 0 {
        return Err(SimError::setup(
            "nodes",
            "the nodes have no accelerators",
            "name others",
        ));
    }
    if pods.iter().all(|pod| pod.share == Share::None) {
        return Err(SimError::setup(
            "trace",
            "no pod asks for an accelerator",
            "name another trace",
        ));
    }
    if !(0.0..=ARRIVALS_MAX).contains(&setup.arrivals) {
        let problem = format!("{} is not between 0 and {ARRIVALS_MAX}", setup.arrivals);
        return Err(SimError::setup("arrivals", problem, "give a factor such as 1.3"));
    }
    let count = nodes.len() as u64;
    let goal = wanted(capacity, setup.arrivals);
    let usual = Mix::of(pods, USUAL_PERCENT);
    let mut cluster = Cluster::new(setup.placement, nodes.into_iter().map(Seat::of), usual);
    let mut random = Random(setup.seed);
    let (mut asked, mut used, mut drawn, mut placed) = (0, 0, 0, 0);
    while asked < goal {
        let pod = &pods[random.below(pods.len())];
        drawn += 1;
        asked += pod.share.milli();
        if cluster.place_one(pod, random.next()).is_some() {
            placed += 1;
            used += pod.share.milli();
        }
    }
    Ok(Filled {
        policy: setup.placement.name(),
        seed: setup.seed,
        nodes: count,
        gpus: u64::try_from(capacity / 1_000).unwrap_or(0),
        pods: drawn,
        placed,
        gpu_arrivals_percent: percent(asked, capacity),
        gpu_allocation_percent: percent(used, capacity),
        gpu_fragments_percent: percent(cluster.fragments_milli(), capacity),
    })
}

#[expect(
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    reason = "a factor in range of thousandths of accelerators, far below 2^52"
)]
fn wanted(capacity: i64, arrivals: f64) -> i64 {
    (capacity as f64 * arrivals) as i64
}

#[expect(clippy::cast_precision_loss, reason = "a share is told, not counted")]
fn percent(part: i64, all: i64) -> f64 {
    100.0 * part as f64 / all as f64
}
