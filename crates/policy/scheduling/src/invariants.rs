//! What every plan must satisfy; used by the property tests and by live assertions.

use std::collections::{BTreeMap, BTreeSet};

use corliss_types::{JobId, Resources};

use crate::{Plan, QueuedGang, View};

/// The first rule that the plan breaks, in words; `None` if it keeps them all.
#[must_use]
pub fn check(view: &View, plan: &Plan) -> Option<String> {
    each_gang_once(view, plan)
        .or_else(|| whole_gangs(view, plan))
        .or_else(|| never_oversubscribed(view, plan))
        .or_else(|| accelerators_held_once(view, plan))
        .or_else(|| nobody_overtakes(view, plan))
}

fn gangs(view: &View) -> BTreeMap<&JobId, &QueuedGang> {
    view.queued.iter().map(|gang| (&gang.job, gang)).collect()
}

fn each_gang_once(view: &View, plan: &Plan) -> Option<String> {
    let starts = plan.starts.iter().map(|start| &start.job);
    let others = plan
        .waits
        .iter()
        .map(|wait| &wait.job)
        .chain(plan.refusals.iter().map(|refusal| &refusal.job));
    let mut planned: Vec<&JobId> = starts.chain(others).collect();
    let mut queued: Vec<&JobId> = view.queued.iter().map(|gang| &gang.job).collect();
    planned.sort();
    queued.sort();
    (planned != queued).then(|| "the plan does not hold each queued gang exactly once".to_owned())
}

fn whole_gangs(view: &View, plan: &Plan) -> Option<String> {
    let gangs = gangs(view);
    plan.starts.iter().find_map(|start| {
        let gang = gangs.get(&start.job)?;
        let whole = start.placements.len() == gang.workers.max(1) as usize
            && start
                .placements
                .iter()
                .all(|place| place.accelerators.len() == gang.per_worker.accelerators as usize);
        (!whole).then(|| format!("gang {} is not started whole", start.job))
    })
}

fn never_oversubscribed(view: &View, plan: &Plan) -> Option<String> {
    let gangs = gangs(view);
    let held = |sum: Resources, more: Resources| sum.plus(&more);
    let before = view
        .running
        .iter()
        .map(|gang| gang.per_worker.times(gang.workers.max(1)))
        .fold(Resources::default(), held);
    let started = plan
        .starts
        .iter()
        .filter_map(|start| gangs.get(&start.job))
        .map(|gang| gang.needs());
    let after = started.fold(before, held);
    // A machine that shrank may be oversubscribed already; then nothing that asks for that resource starts.
    let limit = view.machine.total();
    let over = |after: u64, before: u64, limit: u64| after > before && after > limit;
    let broken = over(after.cpu_milli, before.cpu_milli, limit.cpu_milli)
        || over(after.memory_bytes, before.memory_bytes, limit.memory_bytes);
    broken.then(|| "more is handed out than the machine has".to_owned())
}

fn accelerators_held_once(view: &View, plan: &Plan) -> Option<String> {
    let mut held: BTreeSet<u32> = view
        .running
        .iter()
        .flat_map(|gang| gang.accelerators.iter().copied())
        .collect();
    let places = plan.starts.iter().flat_map(|start| &start.placements);
    places.flat_map(|place| &place.accelerators).find_map(|index| {
        let known = view.machine.accelerators.contains(index);
        (!known || !held.insert(*index))
            .then(|| format!("accelerator {index} is handed out twice or does not exist"))
    })
}

fn nobody_overtakes(view: &View, plan: &Plan) -> Option<String> {
    let gangs = gangs(view);
    let order = |job: &JobId| gangs.get(job).map(|gang| (gang.submitted, gang.job.clone()));
    let first_waiting = plan.waits.iter().filter_map(|wait| order(&wait.job)).min()?;
    let overtaker = plan
        .starts
        .iter()
        .find(|start| order(&start.job) > Some(first_waiting.clone()))?;
    Some(format!("gang {} overtakes one that waits", overtaker.job))
}
