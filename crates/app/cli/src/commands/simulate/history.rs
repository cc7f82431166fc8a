//! What this platform ran, under other queues, on other machines: what would have been.
//!
//! Attempts that made room for others are one job with those that went on from them. The policy is told how long each job
//! really ran, as it is of lists.

use std::collections::{BTreeMap, BTreeSet};

use corliss_jobs::{DEFAULT_QUEUE, QueueSettings};
use corliss_policy_scheduling::cluster::{Seat, Topology, Wanted};
use corliss_policy_scheduling::nodes::{Ask, Node, Share, WHOLE};
use corliss_policy_scheduling::queues::Queue;
use corliss_policy_scheduling::{Gang, View};
use corliss_sim_cluster::{Arrival, Discipline, Schedule, Scheduled, Spread, schedule, spread};
use corliss_types::{JobId, Resources, Timestamp};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::plot::{self, Curve};
use super::{FELL, TIMES, about_outages, document, fell, outages, policies, saves, say_refused, times};
use crate::api::Api;
use crate::args::SimulateArgs;
use crate::context::{Context, typed};
use crate::error::{CliError, CliResult};
use crate::output::{self, Table};
use crate::views::Page;
use crate::{settings_file, units};

const DAY_MS: i64 = 86_400_000;
const PAGE: usize = 1_000;
/// Jobs that are read; more are left out, the oldest.
const JOBS_MAX: usize = 100_000;
/// Most machines and accelerators of each.
const MACHINES_MAX: u32 = 10_000;
const EACH_MAX: u32 = 64;
/// The queues as they were set, beside ways to run them.
const AS_SET: &str = "as_set";
/// What came of it here.
const AS_IT_WAS: &str = "(as it was)";

/// A job as the server tells of it.
#[derive(Debug, Clone, Deserialize)]
struct Ran {
    id: JobId,
    kind: String,
    run_id: Option<String>,
    step: Option<String>,
    attempt: u32,
    class: Option<String>,
    workers: u32,
    resources_per_worker: Resources,
    queue: String,
    #[serde(default)]
    user: String,
    priority: i32,
    preemptible: bool,
    created_ms: i64,
    started_ms: Option<i64>,
    ended_ms: Option<i64>,
}

/// What it waited and took here, and as it would come to a simulated queue.
struct Played {
    arrival: Arrival,
    waited_ms: i64,
    ended_ms: i64,
}

/// How it was.
#[derive(Debug, Serialize)]
struct Recorded {
    jct_s: Spread,
    #[serde(skip)]
    jct_ms: Vec<u64>,
    waiting_s: Spread,
    makespan_s: f64,
}

/// What came of one way.
#[derive(Serialize)]
struct Came {
    policy: &'static str,
    #[serde(flatten)]
    came: Scheduled,
}

/// Machines that are all alike.
struct Machines {
    count: u32,
    each: Resources,
}

/// Reads what ran here, plays it under the queues and each policy and prints what came of it.
pub fn run(context: &Context, args: &SimulateArgs) -> CliResult {
    let api = context.api()?;
    let now_ms = units::now_ms();
    let from_ms = now_ms - i64::from(args.cluster.days) * DAY_MS;
    let settings = queues(&api, args)?;
    let machines = machines(&api, args)?;
    let mut played = join(&read(&api, from_ms)?, &settings, now_ms);
    played.sort_by_key(|job| job.arrival.gang.submitted);
    if played.is_empty() {
        return Err(CliError::input(format!(
            "no job ran here in the last {}",
            units::plural(u64::from(args.cluster.days), "day")
        ))
        .hint("give more --days, or a --trace"));
    }
    let recorded = recorded(&played);
    let arrivals: Vec<Arrival> = played.into_iter().map(|job| job.arrival).collect();
    let mut results = vec![play(args, &arrivals, &machines, &settings, None)?];
    if !args.cluster.policies.is_empty() {
        for discipline in policies(args, &Discipline::ALL)? {
            results.push(play(args, &arrivals, &machines, &settings, Some(discipline))?);
        }
    }
    let shown = table(&recorded, &results, args.cluster.mtbf_h.is_some());
    if let Some(file) = &args.cluster.plot {
        let was = std::iter::once(Curve {
            name: AS_IT_WAS,
            took_ms: &recorded.jct_ms,
        });
        let would = results.iter().map(|result| Curve {
            name: result.policy,
            took_ms: &result.came.jct_ms,
        });
        let title = format!(
            "What ran here, on {}",
            units::plural(u64::from(machines.count), "machine")
        );
        plot::write(file, &title, &was.chain(would).collect::<Vec<_>>(), &shown)?;
    }
    if context.json {
        let mut about = json!({
            "trace": {"kind": "history", "from_ms": from_ms, "to_ms": now_ms, "jobs": arrivals.len()},
            "cluster": {"nodes": machines.count, "each": machines.each},
            "recorded": recorded,
        });
        about_outages(&mut about, &outages(args));
        output::say_json(&document(about, &results)?);
        return Ok(());
    }
    output::say(&format!(
        "{} of the last {}, on {} of {} each.\n",
        units::plural(arrivals.len() as u64, "job"),
        units::plural(u64::from(args.cluster.days), "day"),
        units::plural(u64::from(machines.count), "machine"),
        units::resources(&machines.each),
    ));
    shown.print("");
    say_refused(results.first().map(|result| result.came.refused));
    Ok(())
}

fn queues(api: &Api, args: &SimulateArgs) -> CliResult<QueueSettings> {
    let mut settings = match &args.cluster.queues {
        Some(file) => settings_file::read(file, |error| {
            error.hint("it holds queues as `corliss admin queues show --json` prints them")
        })?,
        None => api.get::<Value>("/api/v1/queues")?,
    };
    if let Some(shown) = settings.get_mut("settings") {
        settings = shown.take();
    }
    let settings: QueueSettings =
        serde_json::from_value(settings).map_err(|error| CliError::input(format!("--queues: {error}")))?;
    settings.check().map_err(|error| CliError::diagnosed(&error))?;
    Ok(settings)
}

fn machines(api: &Api, args: &SimulateArgs) -> CliResult<Machines> {
    let queue: Value = api.get("/api/v1/queue")?;
    let each: Resources = typed(queue["inventory"]["total"].clone())?;
    let Some(given) = &args.cluster.cluster else {
        return Ok(Machines { count: 1, each });
    };
    let numbers = given.to_str().and_then(|text| text.split_once('x'));
    let numbers = numbers.and_then(|(count, each)| Some((count.parse().ok()?, each.parse().ok()?)));
    match numbers {
        Some((count @ 1..=MACHINES_MAX, accelerators @ 0..=EACH_MAX)) => Ok(Machines {
            count,
            each: Resources { accelerators, ..each },
        }),
        _ => Err(CliError::input(format!(
            "--cluster: '{}' is not 1 to {MACHINES_MAX} machines and 0 to {EACH_MAX} accelerators of each, such as 2x8",
            given.display()
        ))),
    }
}

/// The jobs that came since then.
fn read(api: &Api, from_ms: i64) -> CliResult<Vec<Ran>> {
    let mut jobs: Vec<Ran> = Vec::new();
    let mut next: Option<String> = None;
    while jobs.len() < JOBS_MAX {
        let after = next
            .take()
            .map_or_else(String::new, |token| format!("&page_token={token}"));
        let page: Page<Ran> = api.get(&format!("/api/v1/jobs?limit={PAGE}{after}"))?;
        let is_past = page.items.last().is_none_or(|last| last.created_ms < from_ms);
        jobs.extend(page.items.into_iter().filter(|job| job.created_ms >= from_ms));
        next = page.next_page_token.filter(|_| !is_past);
        if next.is_none() {
            break;
        }
    }
    Ok(jobs)
}

/// Jobs that ran, with the attempts that went on from one another in one. What still runs has run until now.
fn join(jobs: &[Ran], settings: &QueueSettings, now_ms: i64) -> Vec<Played> {
    let mut steps: BTreeMap<(String, String), Vec<&Ran>> = BTreeMap::new();
    let mut chains: Vec<Vec<&Ran>> = Vec::new();
    for job in jobs {
        match (&job.run_id, &job.step) {
            (Some(run), Some(step)) => steps.entry((run.clone(), step.clone())).or_default().push(job),
            _ => chains.push(vec![job]),
        }
    }
    for mut attempts in steps.into_values() {
        attempts.sort_by_key(|job| job.attempt);
        let mut goes_on = false;
        for attempt in attempts {
            match chains.last_mut().filter(|_| goes_on) {
                Some(chain) => chain.push(attempt),
                None => chains.push(vec![attempt]),
            }
            goes_on = attempt.class.as_deref() == Some("preempted");
        }
    }
    let played = chains.iter().filter_map(|chain| played(chain, settings, now_ms));
    played.collect()
}

fn played(chain: &[&Ran], settings: &QueueSettings, now_ms: i64) -> Option<Played> {
    let (first, last) = (chain.first()?, chain.last()?);
    let ran = |job: &Ran| Some(job.ended_ms.unwrap_or(now_ms).saturating_sub(job.started_ms?));
    let runs_ms = chain.iter().filter_map(|job| ran(job)).sum::<i64>();
    let started_ms = chain.iter().find_map(|job| job.started_ms)?;
    let runs_ms = u64::try_from(runs_ms).ok()?.max(1);
    let each = &first.resources_per_worker;
    let queue = if settings.is_known(&first.queue) {
        first.queue.clone()
    } else {
        DEFAULT_QUEUE.to_owned()
    };
    let gang = Gang {
        job: first.id.clone(),
        queue,
        user: first.user.clone(),
        submitted: Timestamp::from_millis(first.created_ms),
        not_before: None,
        priority: first.priority,
        is_preemptible: first.preemptible && first.kind == "batch",
        wanted: Wanted {
            ask: Ask {
                cpu_milli: signed(each.cpu_milli),
                memory: signed(each.memory_bytes),
                share: match each.accelerators {
                    0 => Share::None,
                    count => Share::Whole(count),
                },
                models: BTreeSet::new(),
                avoids_spot: false,
            },
            least: first.workers.max(1),
            most: first.workers.max(1),
            topology: Topology::Anywhere,
        },
        run_ms: Some(runs_ms),
        served_ms: 0,
        deadline: None,
    };
    Some(Played {
        arrival: Arrival { gang, runs_ms },
        waited_ms: started_ms - first.created_ms,
        ended_ms: last.ended_ms.unwrap_or(now_ms),
    })
}

fn recorded(played: &[Played]) -> Recorded {
    let came = |job: &Played| job.arrival.gang.submitted.as_millis();
    let micros = |ms: i64| u64::try_from(ms).unwrap_or(0).saturating_mul(1_000);
    let first = played.iter().map(came).min().unwrap_or(0);
    let last = played.iter().map(|job| job.ended_ms).max().unwrap_or(0);
    let mut jct_ms: Vec<u64> = played
        .iter()
        .map(|job| u64::try_from(job.ended_ms - came(job)).unwrap_or(0))
        .collect();
    jct_ms.sort_unstable();
    Recorded {
        jct_ms,
        jct_s: spread(played.iter().map(|job| micros(job.ended_ms - came(job)))),
        waiting_s: spread(played.iter().map(|job| micros(job.waited_ms))),
        makespan_s: spread(std::iter::once(micros(last - first))).max,
    }
}

fn play(
    args: &SimulateArgs,
    arrivals: &[Arrival],
    machines: &Machines,
    settings: &QueueSettings,
    discipline: Option<Discipline>,
) -> CliResult<Came> {
    let node = Node {
        model: 0,
        cpu_milli: signed(machines.each.cpu_milli),
        memory: signed(machines.each.memory_bytes),
        accelerators: vec![WHOLE; machines.each.accelerators as usize],
        is_spot: false,
    };
    let run = |queue: Queue| discipline.map_or_else(|| queue.clone(), |way| way.of(queue.clone()));
    let setup = Schedule {
        view: View {
            now: Timestamp::from_millis(0),
            rules: settings.rules(),
            nodes: vec![Seat::of(node); machines.count as usize],
            queues: settings.queues().into_iter().map(run).collect(),
            past: Vec::new(),
            running: Vec::new(),
            promised: Vec::new(),
            queued: Vec::new(),
        },
        grace_ms: args.cluster.grace_s.saturating_mul(1_000),
        saves: saves(args),
        outages: outages(args),
        check: false,
    };
    Ok(Came {
        policy: discipline.map_or(AS_SET, Discipline::name),
        came: schedule(arrivals, &setup).map_err(|error| CliError::diagnosed(&error))?,
    })
}

fn signed(amount: u64) -> i64 {
    i64::try_from(amount).unwrap_or(i64::MAX)
}

fn table(recorded: &Recorded, results: &[Came], nodes_fail: bool) -> Table {
    let more: &[&str] = if nodes_fail { &FELL } else { &[] };
    let mut table = Table::new(&[&TIMES[..], &["utilisation", "preemptions"], more].concat());
    table.row(times(
        AS_IT_WAS,
        &recorded.jct_s,
        &recorded.waiting_s,
        recorded.makespan_s,
    ));
    for Came { policy, came } in results {
        let mut row = times(policy, &came.jct_s, &came.waiting_s, came.makespan_s);
        row.extend([
            format!("{:.1}%", came.utilisation_percent),
            units::grouped(came.preemptions),
        ]);
        if nodes_fail {
            row.extend(fell(came));
        }
        table.row(row);
    }
    table
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ran(attempt: u32, class: Option<&str>, [created, started, ended]: [i64; 3]) -> Ran {
        let id = format!("job_0000000000000000000000000{attempt}");
        serde_json::from_value(json!({
            "id": id, "kind": "batch", "run_id": "run_1", "step": "train", "attempt": attempt, "class": class, "workers": 2,
            "resources_per_worker": {"cpu_milli": 1000, "memory_bytes": 0, "accelerators": 1}, "queue": "gone", "user": "ada",
            "priority": 3, "preemptible": true, "created_ms": created, "started_ms": started, "ended_ms": ended,
        }))
        .unwrap()
    }

    #[test]
    fn what_made_room_is_one_job_with_what_went_on_from_it() {
        let jobs = [
            ran(3, None, [5_000, 6_000, 9_000]),
            ran(1, Some("preempted"), [0, 100, 1_100]),
            ran(2, Some("user"), [1_100, 2_100, 4_100]),
        ];
        let mut played = join(&jobs, &QueueSettings::default(), 10_000);
        played.sort_by_key(|job| job.arrival.gang.submitted);
        let of: Vec<_> = played
            .iter()
            .map(|job| (job.arrival.runs_ms, job.waited_ms, job.ended_ms))
            .collect();
        // The second attempt went on from the first; the third is a retry, which began anew.
        assert_eq!(of, [(3_000, 100, 4_100), (3_000, 1_000, 9_000)]);
        let gang = &played[0].arrival.gang;
        assert_eq!(
            (gang.queue.as_str(), gang.wanted.least, gang.priority),
            ("default", 2, 3)
        );
        let told = recorded(&played);
        assert!(
            (told.makespan_s - 9.0).abs() < 1e-9 && (told.jct_s.max - 4.1).abs() < 1e-9,
            "{told:?}"
        );
    }
}
