//! Recorded pods of a cluster: where each is put, and how much of the accelerators is in use in the end.

use corliss_policy_scheduling::place::Placement;
use corliss_sim_cluster::trace::openb::{self, Models};
use corliss_sim_cluster::{Fill, Filled, fill};
use serde_json::json;

use super::{document, in_file, policies};
use crate::args::{Recording, SimulateArgs};
use crate::context::Context;
use crate::error::{CliError, CliResult};
use crate::output::{self, Table};
use crate::units;

/// Reads trace and nodes, fills them under each policy and prints what came of it.
pub fn run(
    context: &Context,
    args: &SimulateArgs,
    (trace, text): (&Recording, &str),
    nodes: &(&Recording, String),
) -> CliResult {
    let mut models = Models::default();
    let on = openb::nodes(&nodes.1, &mut models).map_err(|error| in_file(nodes.0, &error))?;
    let pods = openb::pods(text, &mut models).map_err(|error| in_file(trace, &error))?;
    let mut results = Vec::new();
    for placement in policies(args, &Placement::ALL)? {
        let setup = Fill {
            placement,
            arrivals: args.cluster.arrivals,
            seed: args.seed,
        };
        results.push(fill(on.clone(), &pods, &setup).map_err(|error| of_option(&error))?);
    }
    if context.json {
        let about = json!({
            "trace": {"kind": trace.kind.name(), "file": trace.file.display().to_string(), "pods": pods.len()},
            "arrivals": args.cluster.arrivals,
            "seed": args.seed,
        });
        output::say_json(&document(about, &results)?);
        return Ok(());
    }
    output::say(&format!(
        "{}: {} on {} until they ask for {} times their accelerators.\n",
        trace,
        units::plural(pods.len() as u64, "pod"),
        units::plural(on.len() as u64, "node"),
        args.cluster.arrivals,
    ));
    show(&results);
    Ok(())
}

/// A setup that cannot be simulated, by the option that says so.
fn of_option(error: &dyn corliss_diagnostics::Diagnose) -> CliError {
    let mut error = CliError::diagnosed(error);
    error.report.field = error.report.field.map(|field| format!("--{field}"));
    error
}

fn show(results: &[Filled]) {
    let mut table = Table::new(&["policy", "in use", "fragments", "pods", "placed"]);
    for result in results {
        table.row([
            result.policy.to_owned(),
            format!("{:.2}%", result.gpu_allocation_percent),
            format!("{:.2}%", result.gpu_fragments_percent),
            units::grouped(result.pods),
            units::grouped(result.placed),
        ]);
    }
    table.print("");
}
