//! What every plan must satisfy; used by the property tests, by the simulator and by live assertions.

use std::collections::{BTreeMap, BTreeSet};

use corliss_types::JobId;

use crate::cluster::{Cluster, Topology};
use crate::nodes::{Ask, Share, Spot, WHOLE};
use crate::queues::{Decay, Demand, Overtaking, Queues};
use crate::{Gang, Plan, Running, Start, View};

/// Shares do not matter here.
const INSTANT: Decay = Decay {
    half_life_ms: None,
    ahead_ms: 0,
    since_ms: 0,
};

/// The first rule that the plan breaks, in words; `None` if it keeps them all.
#[must_use]
pub fn check(view: &View, plan: &Plan) -> Option<String> {
    let known = Known::of(view);
    each_at_most_once(&known, plan)
        .or_else(|| {
            plan.starts
                .iter()
                .chain(&plan.promises)
                .find_map(|start| whole(view, &known, start))
        })
        .or_else(|| victims_may_be_stopped(view, &known, plan))
        .or_else(|| nothing_twice(view, &known, plan))
        .or_else(|| promises_are_covered(view, &known, plan))
        .or_else(|| quotas_are_kept(view, &known, plan))
        .or_else(|| nobody_overtakes(view, plan))
}

struct Known<'a> {
    queued: BTreeMap<&'a JobId, &'a Gang>,
    promised: BTreeMap<&'a JobId, &'a Gang>,
    running: BTreeMap<&'a JobId, &'a Running>,
}

impl<'a> Known<'a> {
    fn of(view: &'a View) -> Self {
        Self {
            queued: view.queued.iter().map(|gang| (&gang.job, gang)).collect(),
            promised: view
                .promised
                .iter()
                .map(|one| (&one.gang.job, &one.gang))
                .collect(),
            running: view.running.iter().map(|one| (&one.gang.job, one)).collect(),
        }
    }

    fn gang(&self, job: &JobId) -> Option<&'a Gang> {
        self.queued.get(job).or_else(|| self.promised.get(job)).copied()
    }
}

fn each_at_most_once(known: &Known<'_>, plan: &Plan) -> Option<String> {
    let starts = plan.starts.iter().chain(&plan.promises).map(|start| &start.job);
    let mut seen = BTreeSet::new();
    for job in starts.chain(plan.refusals.iter().map(|refusal| &refusal.job)) {
        if known.gang(job).is_none() {
            return Some(format!("gang {job} does not wait"));
        }
        if !seen.insert(job) {
            return Some(format!("gang {job} is decided twice"));
        }
    }
    None
}

fn whole(view: &View, known: &Known<'_>, start: &Start) -> Option<String> {
    let wanted = &known.gang(&start.job)?.wanted;
    let broken = |what: &str| Some(format!("gang {}: {what}", start.job));
    let workers = start.spots.len();
    if workers < wanted.least.max(1) as usize || workers > wanted.most.max(wanted.least).max(1) as usize {
        return broken("it is not started whole");
    }
    for spot in &start.spots {
        let Some(seat) = view.nodes.get(spot.node as usize).filter(|seat| seat.is_open) else {
            return broken("a node is not there, or takes nothing");
        };
        let distinct: BTreeSet<u32> = spot.accelerators.iter().copied().collect();
        let right = match wanted.ask.share {
            Share::None => spot.accelerators.is_empty(),
            Share::Part(_) => distinct.len() == 1 && spot.accelerators.len() == 1,
            Share::Whole(count) => {
                distinct.len() == count as usize && spot.accelerators.len() == count as usize
            }
        };
        let exist = distinct
            .iter()
            .all(|index| (*index as usize) < seat.node.accelerators.len());
        if !right || !exist || !seat.node.takes(&wanted.ask) {
            return broken("a worker is on another node, or has other accelerators, than it asked for");
        }
    }
    if let Topology::Within(level) = wanted.topology {
        let domain = |spot: &Spot| view.nodes[spot.node as usize].domains.get(..=usize::from(level));
        let first = start.spots.first().and_then(domain);
        if first.is_none() || start.spots.iter().any(|spot| domain(spot) != first) {
            return broken("it is not within one domain");
        }
    }
    None
}

fn victims_may_be_stopped(view: &View, known: &Known<'_>, plan: &Plan) -> Option<String> {
    let mut seen = BTreeSet::new();
    for stopped in &plan.preemptions {
        let Some(running) = known.running.get(&stopped.job) else {
            return Some(format!("gang {} is stopped and does not run", stopped.job));
        };
        let ran_ms = view.now.since(running.since).0;
        if !running.gang.is_preemptible || running.is_ending || ran_ms < view.rules.least_run_ms.max(1) {
            return Some(format!("gang {} is stopped and may not be", stopped.job));
        }
        if !seen.insert(&stopped.job) {
            return Some(format!("gang {} is stopped twice", stopped.job));
        }
        if !plan.promises.iter().any(|promise| promise.job == stopped.for_job) {
            return Some(format!("gang {} is stopped for nobody", stopped.job));
        }
    }
    None
}

/// The nodes with what runs on them.
fn occupied(view: &View) -> Cluster {
    let mut cluster = Cluster::new(
        view.rules.placement,
        view.nodes.iter().cloned(),
        view.rules.usual.clone(),
    );
    for running in &view.running {
        for spot in &running.spots {
            cluster.take(&running.gang.wanted.ask, spot);
        }
    }
    cluster
}

fn is_overfull(cluster: &Cluster, spot: &Spot, ask: &Ask) -> bool {
    cluster.node(spot.node).is_none_or(|(_, free)| {
        let short = |index: &u32| {
            free.accelerators
                .get(*index as usize)
                .is_none_or(|free| *free < 0 || *free > WHOLE)
        };
        (ask.cpu_milli > 0 && free.cpu_milli < 0)
            || (ask.memory > 0 && free.memory < 0)
            || spot.accelerators.iter().any(short)
    })
}

/// What starts now is on what nobody holds.
fn nothing_twice(view: &View, known: &Known<'_>, plan: &Plan) -> Option<String> {
    let mut cluster = occupied(view);
    for start in &plan.starts {
        let ask = &known.gang(&start.job)?.wanted.ask;
        for spot in &start.spots {
            cluster.take(ask, spot);
            if is_overfull(&cluster, spot, ask) {
                return Some(format!(
                    "gang {} is given what is not free on node {}",
                    start.job, spot.node
                ));
            }
        }
    }
    None
}

/// When those have ended that are being ended, all that were promised something have it, whatever starts now.
fn promises_are_covered(view: &View, known: &Known<'_>, plan: &Plan) -> Option<String> {
    let mut cluster = occupied(view);
    let stopped: BTreeSet<&JobId> = plan.preemptions.iter().map(|stopped| &stopped.job).collect();
    for running in view
        .running
        .iter()
        .filter(|one| one.is_ending || stopped.contains(&one.gang.job))
    {
        for spot in &running.spots {
            cluster.give(&running.gang.wanted.ask, spot);
        }
    }
    let earlier = view.promised.iter().map(|one| (&one.gang, &one.spots));
    let started = plan
        .starts
        .iter()
        .filter(|start| !known.promised.contains_key(&start.job));
    let new = started
        .chain(&plan.promises)
        .filter_map(|one| Some((known.gang(&one.job)?, &one.spots)));
    for (gang, spots) in earlier.chain(new) {
        for spot in spots {
            cluster.take(&gang.wanted.ask, spot);
            if is_overfull(&cluster, spot, &gang.wanted.ask) {
                return Some(format!(
                    "what is promised to gang {} is given to others",
                    gang.job
                ));
            }
        }
    }
    None
}

fn quotas_are_kept(view: &View, known: &Known<'_>, plan: &Plan) -> Option<String> {
    let mut queues = Queues::new(view.queues.iter().cloned());
    let demand = |gang: &Gang, spots: &[Spot]| {
        let ask = &gang.wanted.ask;
        let workers = i64::try_from(spots.len()).unwrap_or(i64::MAX);
        let node = spots.first().and_then(|spot| view.nodes.get(spot.node as usize));
        Demand {
            cpu_milli: ask.cpu_milli.saturating_mul(workers),
            memory: ask.memory.saturating_mul(workers),
            accelerator_milli: ask.share.milli().saturating_mul(workers),
            model: node
                .map(|seat| seat.node.model)
                .filter(|_| ask.share != Share::None),
        }
    };
    // What is being ended is charged no more.
    let stopped: BTreeSet<&JobId> = plan.preemptions.iter().map(|stopped| &stopped.job).collect();
    let running = view.running.iter();
    let stays = running.filter(|one| !one.is_ending && !stopped.contains(&one.gang.job));
    let held = stays.map(|one| (&one.gang, &one.spots));
    for (gang, spots) in held.chain(view.promised.iter().map(|one| (&one.gang, &one.spots))) {
        if let Some(queue) = queues.index(&gang.queue) {
            queues.begin(queue, &gang.user, &demand(gang, spots), 0, &INSTANT, 0);
        }
    }
    for start in &plan.starts {
        let Some(gang) = known.queued.get(&start.job) else {
            continue;
        };
        let Some(queue) = queues.index(&gang.queue) else {
            return Some(format!("gang {} starts from no queue", start.job));
        };
        let demand = demand(gang, &start.spots);
        if let Some(over) = queues.refuses(queue, Some(&gang.user), &demand) {
            return Some(format!("gang {} starts over its quota: {over:?}", start.job));
        }
        queues.begin(queue, &gang.user, &demand, 0, &INSTANT, 0);
    }
    None
}

/// In queues where nobody overtakes, all that start come before all that wait, by priority and then by order.
fn nobody_overtakes(view: &View, plan: &Plan) -> Option<String> {
    let started: BTreeSet<&JobId> = plan
        .starts
        .iter()
        .chain(&plan.promises)
        .map(|start| &start.job)
        .collect();
    let refused: BTreeSet<&JobId> = plan.refusals.iter().map(|refusal| &refusal.job).collect();
    let is_due =
        |gang: &&Gang| gang.not_before.is_none_or(|at| at <= view.now) && !refused.contains(&gang.job);
    let strict = view
        .queues
        .iter()
        .filter(|queue| queue.overtaking == Overtaking::Never && !queue.is_fair);
    for queue in strict.filter(|queue| queue.order == crate::order::Order::Fifo) {
        let turn = |gang: &Gang| (-i64::from(gang.priority), gang.submitted, gang.job.clone());
        let here = view
            .queued
            .iter()
            .filter(|gang| gang.queue == queue.name)
            .filter(is_due);
        let (started, waiting): (Vec<&Gang>, Vec<&Gang>) = here.partition(|gang| started.contains(&gang.job));
        let first = waiting.iter().map(|gang| turn(gang)).min();
        let last = started.iter().max_by_key(|gang| turn(gang));
        if let (Some(first), Some(last)) = (first, last)
            && turn(last) > first
        {
            return Some(format!("gang {} overtakes one that waits", last.job));
        }
    }
    None
}
