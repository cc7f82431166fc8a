//! `corliss queue`: what runs, what waits and why, what is free.

use serde_json::Value;

use crate::context::Context;
use crate::error::CliResult;
use crate::output::{self, Table};
use crate::units;
use crate::views::Queue;

/// Shows the queue.
pub fn run(context: &Context) -> CliResult {
    let answer: Value = context.api()?.get("/api/v1/queue")?;
    context.answer(answer, |queue: Queue| {
        output::say(&format!(
            "machine  {}\nfree     {}\n",
            units::resources(&queue.inventory.total),
            units::resources(&queue.inventory.free)
        ));
        let mut running = Table::new(&["running", "name", "kind", "workers", "for"]);
        for job in queue.running {
            let span = units::span(job.started_ms, job.ended_ms);
            running.row([job.id, job.name, job.kind, job.workers.to_string(), span]);
        }
        running.print("Nothing runs.");
        output::say("");
        let mut waiting = Table::new(&["queue", "place", "waiting", "name", "for", "because"]);
        for item in queue.items {
            let waited = units::duration(item.waiting_ms);
            waiting.row([
                item.queue,
                item.position.to_string(),
                item.job_id,
                item.name,
                waited,
                item.reason,
            ]);
        }
        waiting.print("Nothing waits.");
    })
}
