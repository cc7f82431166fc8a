//! Listed jobs under the queue's own scheduler: how long they wait and take by each way to run the queue.

use std::collections::BTreeSet;

use corliss_policy_scheduling::cluster::Seat;
use corliss_policy_scheduling::nodes::{Node, WHOLE};
use corliss_policy_scheduling::{Rules, View};
use corliss_sim_cluster::trace::{Cluster, listed};
use corliss_sim_cluster::{Arrival, Discipline, Schedule, Scheduled, schedule};
use corliss_types::Timestamp;
use serde::Serialize;

use super::plot::{self, Curve};
use super::{
    FELL, TIMES, about_jobs, about_outages, document, fell, in_file, outages, policies, saves, say_jobs,
    say_refused, times,
};
use crate::args::{Recording, SimulateArgs};
use crate::context::Context;
use crate::error::{CliError, CliResult};
use crate::output::{self, Table};
use crate::units;

/// What users and queues have had counts half after a week, as is Slurm's custom.
const HALF_LIFE_MS: u64 = 7 * 86_400_000;

/// What came of one way.
#[derive(Serialize)]
struct Came {
    policy: &'static str,
    #[serde(flatten)]
    came: Scheduled,
}

/// Reads the list, plays it under each policy and prints what came of it.
pub fn run(
    context: &Context,
    args: &SimulateArgs,
    (trace, text): (&Recording, &str),
    on: Cluster,
) -> CliResult {
    let jobs = listed::jobs(text, on.accelerators_per_node).map_err(|error| in_file(trace, &error))?;
    let mut results = Vec::new();
    for discipline in policies(args, &Discipline::ALL)? {
        let setup = Schedule {
            view: view(discipline, &jobs, on),
            grace_ms: args.cluster.grace_s.saturating_mul(1_000),
            saves: saves(args),
            outages: outages(args),
            check: false,
        };
        let came = schedule(&jobs, &setup).map_err(|error| CliError::diagnosed(&error))?;
        results.push(Came {
            policy: discipline.name(),
            came,
        });
    }
    let shown = table(&results, args.cluster.mtbf_h.is_some());
    if let Some(file) = &args.cluster.plot {
        let curves: Vec<Curve<'_>> = results
            .iter()
            .map(|result| Curve {
                name: result.policy,
                took_ms: &result.came.jct_ms,
            })
            .collect();
        plot::write(file, &trace.to_string(), &curves, &shown)?;
    }
    if context.json {
        let mut about = about_jobs(trace, jobs.len(), on);
        about_outages(&mut about, &outages(args));
        output::say_json(&document(about, &results)?);
        return Ok(());
    }
    say_jobs(trace, jobs.len(), on);
    shown.print("");
    say_refused(results.first().map(|result| result.came.refused));
    Ok(())
}

fn view(discipline: Discipline, jobs: &[Arrival], on: Cluster) -> View {
    let node = Node {
        model: 0,
        cpu_milli: 0,
        memory: 0,
        accelerators: vec![WHOLE; on.accelerators_per_node as usize],
        is_spot: false,
    };
    let queues: BTreeSet<&str> = jobs.iter().map(|job| job.gang.queue.as_str()).collect();
    View {
        now: Timestamp::from_millis(0),
        rules: Rules {
            half_life_ms: Some(HALF_LIFE_MS),
            ..Rules::default()
        },
        nodes: vec![Seat::of(node); on.nodes as usize],
        queues: queues.into_iter().map(|name| discipline.queue(name)).collect(),
        past: Vec::new(),
        running: Vec::new(),
        promised: Vec::new(),
        queued: Vec::new(),
    }
}

fn table(results: &[Came], nodes_fail: bool) -> Table {
    let has_deadlines = results
        .iter()
        .any(|result| result.came.deadlines_met_percent.is_some());
    let mut columns = [&TIMES[..], &["utilisation", "preemptions", "gpu-hours"]].concat();
    if nodes_fail {
        columns.extend(FELL);
    }
    if has_deadlines {
        columns.push("deadlines met");
    }
    let mut table = Table::new(&columns);
    for Came { policy, came } in results {
        let mut row = times(policy, &came.jct_s, &came.waiting_s, came.makespan_s);
        row.extend([
            format!("{:.1}%", came.utilisation_percent),
            units::grouped(came.preemptions),
            format!("{:.0}", came.gpu_hours),
        ]);
        if nodes_fail {
            row.extend(fell(came));
        }
        if has_deadlines {
            row.push(
                came.deadlines_met_percent
                    .map_or_else(String::new, |met| format!("{met:.1}%")),
            );
        }
        table.row(row);
    }
    table
}
