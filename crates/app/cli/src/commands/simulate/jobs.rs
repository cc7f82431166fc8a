//! Recorded jobs of a cluster: in which order they are given places, and when each would have ended.

use corliss_policy_scheduling::order::Order;
use corliss_sim_cluster::trace::{Cluster, muri};
use corliss_sim_cluster::{Replay, Replayed, replay};

use super::plot::{self, Curve};
use super::{TIMES, about_jobs, document, in_file, policies, say_jobs, say_refused, times};
use crate::args::{Recording, SimulateArgs};
use crate::context::Context;
use crate::error::{CliError, CliResult};
use crate::output::{self, Table};
use crate::units;

/// These jobs have no deadlines.
const ORDERS: [Order; 5] = [Order::Fifo, Order::Sjf, Order::Srtf, Order::Srsf, Order::Las];

/// Reads the trace, replays the jobs under each policy and prints what came of it.
pub fn run(
    context: &Context,
    args: &SimulateArgs,
    (trace, text): (&Recording, &str),
    on: Cluster,
) -> CliResult {
    let jobs = muri::jobs(text).map_err(|error| in_file(trace, &error))?;
    let mut results = Vec::new();
    for order in policies(args, &ORDERS)? {
        let setup = Replay {
            order,
            cluster: on,
            start_at_every_event: args.cluster.start_costs,
        };
        results.push(replay(&jobs, &setup).map_err(|error| CliError::diagnosed(&error))?);
    }
    let shown = table(&results);
    if let Some(file) = &args.cluster.plot {
        let curves: Vec<Curve<'_>> = results
            .iter()
            .map(|result| Curve {
                name: result.policy,
                took_ms: &result.jct_ms,
            })
            .collect();
        plot::write(file, &trace.to_string(), &curves, &shown)?;
    }
    if context.json {
        let mut about = about_jobs(trace, jobs.len(), on);
        about["start_costs"] = args.cluster.start_costs.into();
        output::say_json(&document(about, &results)?);
        return Ok(());
    }
    say_jobs(trace, jobs.len(), on);
    shown.print("");
    say_refused(results.first().map(|result| result.refused));
    Ok(())
}

fn table(results: &[Replayed]) -> Table {
    let mut table = Table::new(&[&TIMES[..], &["utilisation", "preemptions", "gpu-hours"]].concat());
    for result in results {
        let mut row = times(result.policy, &result.jct_s, &result.waiting_s, result.makespan_s);
        row.extend([
            format!("{:.1}%", result.utilisation_percent),
            units::grouped(result.preemptions),
            format!("{:.0}", result.gpu_hours),
        ]);
        table.row(row);
    }
    table
}
