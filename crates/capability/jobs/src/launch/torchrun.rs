//! The environment that torchrun gives its workers. Corliss is the agent of every node: one worker per rank, restart by a new
//! attempt of the whole gang.

use corliss_types::Resources;

use crate::{Job, Place};

/// Every variable of torchrun's contract for this rank.
pub(super) fn variables(job: &Job, rank: u32, master_port: u16) -> Vec<(&'static str, String)> {
    let here = Node::of(job, rank);
    let (rank, world) = (rank.to_string(), job.spec.workers.to_string());
    let restarts = job.spec.attempt.saturating_sub(1).to_string();
    let run_id = job
        .spec
        .run_id
        .as_ref()
        .map_or_else(|| job.id.to_string(), ToString::to_string);
    vec![
        ("RANK", rank.clone()),
        ("LOCAL_RANK", here.local_rank.to_string()),
        ("WORLD_SIZE", world.clone()),
        ("LOCAL_WORLD_SIZE", here.workers.to_string()),
        // A group is the workers of one node.
        ("GROUP_RANK", here.rank.to_string()),
        ("GROUP_WORLD_SIZE", here.nodes.to_string()),
        ("ROLE_RANK", rank),
        ("ROLE_WORLD_SIZE", world),
        ("ROLE_NAME", "default".to_owned()),
        ("MASTER_ADDR", "127.0.0.1".to_owned()),
        ("MASTER_PORT", master_port.to_string()),
        ("TORCHELASTIC_RUN_ID", run_id),
        ("TORCHELASTIC_MAX_RESTARTS", restarts.clone()),
        ("TORCHELASTIC_RESTART_COUNT", restarts),
        // Rank 0 itself keeps the store: there is no agent process that would.
        ("TORCHELASTIC_USE_AGENT_STORE", "False".to_owned()),
    ]
}

/// The node of a rank among those of its gang.
struct Node {
    rank: usize,
    nodes: usize,
    local_rank: usize,
    /// Of the gang, there.
    workers: usize,
}

impl Node {
    fn of(job: &Job, rank: u32) -> Self {
        let mut names: Vec<&str> = Vec::new();
        for place in &job.placement {
            if !names.contains(&place.node.as_str()) {
                names.push(&place.node);
            }
        }
        let name = job.placement.get(rank as usize).map(|place| place.node.as_str());
        let is_here = |place: &&Place| Some(place.node.as_str()) == name;
        Self {
            rank: names.iter().position(|known| Some(*known) == name).unwrap_or(0),
            nodes: names.len().max(1),
            local_rank: job.placement.iter().take(rank as usize).filter(is_here).count(),
            workers: job.placement.iter().filter(is_here).count(),
        }
    }
}

/// Threads for each worker: its whole CPUs, at least one. Without this every rank would take all of them.
pub(super) fn threads(resources: &Resources) -> u64 {
    (resources.cpu_milli / 1000).max(1)
}
