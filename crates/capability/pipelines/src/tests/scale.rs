//! Chains and fan-outs: what they cost is counted, not timed.

use super::*;
use corliss_policy_pipeline::RunState;

fn chain(length: usize) -> String {
    let steps: String = (0..length)
        .map(|step| match step {
            0 => "  s0: {run: \"true\"}\n".to_owned(),
            _ => format!("  s{step}: {{run: \"true\", needs: [s{}]}}\n", step - 1),
        })
        .collect();
    format!("project: chain\nsteps:\n{steps}")
}

fn fan(width: usize) -> String {
    let steps: String = (0..width)
        .map(|step| format!("  s{step}: {{run: echo {step}, needs: [root]}}\n"))
        .collect();
    let all: Vec<String> = (0..width).map(|step| format!("s{step}")).collect();
    format!(
        "project: fan\nsteps:\n  root: {{run: \"true\"}}\n{steps}  join: {{run: \"true\", needs: [{}]}}\n",
        all.join(", ")
    )
}

/// Writes to the store for one run of a file.
async fn writes(file: &str) -> u64 {
    let (store, world) = (memory().await, World::new());
    let server = Server::start(&store, &world, Gate::default());
    let before = store.counters().writes;
    let started = std::time::Instant::now();
    let run = server.run_to_end(&world, file).await;
    println!("{} steps in {:?}", run.steps.len(), started.elapsed());
    assert_eq!(run.summary.state, RunState::Succeeded, "{:?}", run.summary.reason);
    store.counters().writes - before
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_chain_costs_few_writes_per_step() {
    let writes = writes(&chain(40)).await;
    assert!(writes <= 40 * 3 + 10, "{writes} writes for 40 steps");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_fan_out_is_written_in_batches() {
    let (narrow, wide) = (writes(&fan(100)).await, writes(&fan(1_000)).await);
    assert!(wide <= 1_002 * 3 + 10, "{wide} writes for 1,002 steps");
    println!("{narrow} writes for 100 steps, {wide} for 1,000");
}
