//! `corliss status`: is it up, what does it run on, are its workers well.

use serde_json::Value;

use crate::context::Context;
use crate::error::CliResult;
use crate::output::{self, Table};
use crate::units;
use crate::views::SystemStatus;

/// Shows the server, the machine and the background workers.
pub fn run(context: &Context) -> CliResult {
    let api = context.api()?;
    let answer: Value = api.get("/api/v1/system/status")?;
    context.answer(answer, |status: SystemStatus| {
        let inventory = &status.inventory;
        output::say(&format!(
            "Corliss {} at {}, up {}",
            status.version,
            status.address,
            units::span(Some(status.started_ms), None)
        ));
        output::say(&format!("home      {}", status.home));
        output::say(&format!("database  {}", status.database));
        output::say(&format!(
            "machine   {} ({} free)",
            units::resources(&inventory.total),
            units::resources(&inventory.free)
        ));
        output::say("");
        let mut table = Table::new(&["worker", "state", "progress", "last error"]);
        for worker in status.workers {
            table.row([
                worker.name,
                worker.state,
                worker.progress,
                worker.last_error.unwrap_or_default(),
            ]);
        }
        table.print("No background workers.");
    })
}
