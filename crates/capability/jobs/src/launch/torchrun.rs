//! The environment that torchrun gives its workers. Corliss is the agent: one machine, one worker per rank,
//! restart by a new attempt of the whole gang.

use corliss_types::Resources;

use crate::Job;

/// Every variable of torchrun's contract for this rank.
pub(super) fn variables(job: &Job, rank: u32, master_port: u16) -> Vec<(&'static str, String)> {
    let (rank, world) = (rank.to_string(), job.spec.workers.to_string());
    let restarts = job.spec.attempt.saturating_sub(1).to_string();
    let run_id = job
        .spec
        .run_id
        .as_ref()
        .map_or_else(|| job.id.to_string(), ToString::to_string);
    vec![
        ("RANK", rank.clone()),
        ("LOCAL_RANK", rank.clone()),
        ("WORLD_SIZE", world.clone()),
        ("LOCAL_WORLD_SIZE", world.clone()),
        // One group: this machine.
        ("GROUP_RANK", "0".to_owned()),
        ("GROUP_WORLD_SIZE", "1".to_owned()),
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

/// Threads for each worker: its whole CPUs, at least one. Without this every rank would take all of them.
pub(super) fn threads(resources: &Resources) -> u64 {
    (resources.cpu_milli / 1000).max(1)
}
