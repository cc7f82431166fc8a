//! Checks that span sections: who writes what, who reads what, cycles, and what fits the machine. Turns
//! the names of [`Raw`] into indices when nothing is wrong.

use std::collections::BTreeMap;

use corliss_types::{Resources, amount};

use super::Site;
use super::problem::{MAX_PROBLEMS, Problems, suggest};
use super::read::{Raw, RawEndpoint, RawStep};
use super::section::Spanned;
use super::spec::{Endpoint, Input, Model, ProjectFile, Queueing, Step};

/// Who stands behind each name of a file.
struct Names<'a> {
    data: BTreeMap<&'a str, ()>,
    steps: BTreeMap<&'a str, usize>,
    outputs: BTreeMap<&'a str, usize>,
    uncertain: bool,
}

pub(super) fn resolve(raw: Raw, site: Option<&Site>, problems: &mut Problems) -> Option<ProjectFile> {
    let names = names(&raw, problems);
    let graph: Vec<Wiring> = raw
        .steps
        .iter()
        .map(|step| wire(step, &names, problems))
        .collect();
    let upstream: Vec<Vec<usize>> = graph.iter().map(Wiring::upstream).collect();
    let (order, cycles) = order(&upstream);
    for cycle in &cycles {
        report_cycle(&raw.steps, cycle, problems);
    }
    for step in &raw.steps {
        check_variables(step, problems);
        if let Some(site) = site {
            step_fits(step, &site.total, problems);
            step.placing.check(site, problems);
        }
    }
    if let Some(site) = site {
        for endpoint in &raw.endpoints {
            endpoint_fits(endpoint, &site.total, problems);
        }
        let own = raw.steps.iter().filter_map(|step| step.queue.as_ref());
        for queue in raw.queue.iter().chain(own) {
            queue_is_there(queue, &site.queues, problems);
        }
    }
    let models = models(&raw, &names, problems);
    let endpoints = endpoints(&raw, names.uncertain, problems);
    if !problems.is_empty() {
        return None;
    }
    let queue = raw.queue.map(|queue| queue.value);
    let steps = raw.steps.into_iter().zip(graph).zip(upstream);
    Some(ProjectFile {
        project: raw.project?,
        data: raw.data.into_iter().map(|source| source.value).collect(),
        steps: steps
            .map(|((step, wiring), upstream)| finished(step, wiring, upstream, queue.as_deref()))
            .collect::<Option<_>>()?,
        order,
        models,
        endpoints,
    })
}

fn finished(step: RawStep, wiring: Wiring, upstream: Vec<usize>, queue: Option<&str>) -> Option<Step> {
    let own = step.queue.map(|queue| queue.value);
    Some(Step {
        name: step.name,
        run: step.run?,
        launcher: step.launcher,
        workers: step.workers,
        resources: step.resources.value,
        inputs: wiring.inputs,
        outputs: step.outputs.into_iter().map(|output| output.value).collect(),
        checkpoint: step.checkpoint,
        retries: step.retries,
        timeout_ms: step.timeout_ms,
        queueing: Queueing {
            queue: own.or_else(|| queue.map(str::to_owned)),
            placing: step.placing.placing,
            ..step.queueing
        },
        env: step.env,
        cache: step.cache,
        upstream,
    })
}

fn names<'a>(raw: &'a Raw, problems: &mut Problems) -> Names<'a> {
    let data: BTreeMap<&str, ()> = raw
        .data
        .iter()
        .map(|source| (source.value.name.as_str(), ()))
        .collect();
    let steps = raw
        .steps
        .iter()
        .enumerate()
        .map(|(index, step)| (step.name.as_str(), index))
        .collect();
    let mut outputs: BTreeMap<&str, usize> = BTreeMap::new();
    for (index, step) in raw.steps.iter().enumerate() {
        for output in &step.outputs {
            let name = output.value.as_str();
            if data.contains_key(name) {
                let message = format!("output '{name}' has the name of a data source");
                problems.add(output.at, &output.field, message);
            } else if let Some(first) = outputs.get(name) {
                let first = &raw.steps[*first].name;
                let message =
                    format!("output '{name}' is written by '{first}' as well; an output has one writer");
                problems.add(output.at, &output.field, message);
            } else {
                outputs.insert(name, index);
            }
        }
    }
    Names {
        data,
        steps,
        outputs,
        uncertain: raw.names_uncertain,
    }
}

/// What a step leans on.
struct Wiring {
    inputs: Vec<Input>,
    needs: Vec<usize>,
}

impl Wiring {
    fn upstream(&self) -> Vec<usize> {
        let mut all: Vec<usize> = self.inputs.iter().filter_map(|input| input.producer).collect();
        all.extend(&self.needs);
        all.sort_unstable();
        all.dedup();
        all
    }
}

fn wire(step: &RawStep, names: &Names<'_>, problems: &mut Problems) -> Wiring {
    let mut wiring = Wiring {
        inputs: Vec::new(),
        needs: Vec::new(),
    };
    for input in &step.inputs {
        let name = input.value.as_str();
        let producer = names.outputs.get(name).copied();
        if producer.is_none() && !names.data.contains_key(name) {
            if !names.uncertain {
                let known = names.data.keys().copied().chain(names.outputs.keys().copied());
                let message = format!("input '{name}' is neither a data source nor an output of a step");
                problems.add_with_hint(input.at, &input.field, message, suggest(name, known));
            }
            continue;
        }
        wiring.inputs.push(Input {
            name: name.to_owned(),
            producer,
        });
    }
    for need in &step.needs {
        match names.steps.get(need.value.as_str()) {
            Some(index) => wiring.needs.push(*index),
            None if names.uncertain => {}
            None => {
                let message = format!("there is no step '{}'", need.value);
                let hint = suggest(&need.value, names.steps.keys().copied());
                problems.add_with_hint(need.at, &need.field, message, hint);
            }
        }
    }
    wiring
}

/// Two names that differ only in what a variable's name cannot hold would share one variable.
fn check_variables(step: &RawStep, problems: &mut Problems) {
    for list in [&step.inputs, &step.outputs] {
        let mut seen: BTreeMap<String, &str> = BTreeMap::new();
        for item in list {
            let variable = variable_name(&item.value);
            if let Some(first) = seen.insert(variable.clone(), &item.value) {
                let message = format!(
                    "'{first}' and '{}' would share the variable ..._{variable}",
                    item.value
                );
                problems.add(item.at, &item.field, message);
            }
        }
    }
}

/// The part of an environment variable's name that stands for a name of the file.
pub fn variable_name(name: &str) -> String {
    name.chars()
        .map(|c| {
            if c.is_ascii_alphanumeric() {
                c.to_ascii_uppercase()
            } else {
                '_'
            }
        })
        .collect()
}

fn queue_is_there(queue: &Spanned<String>, known: &[String], problems: &mut Problems) {
    if !known.contains(&queue.value) {
        let hint = suggest(&queue.value, known.iter().map(String::as_str));
        let message = format!("there is no queue '{}'", queue.value);
        problems.add_with_hint(queue.at, &queue.field, message, hint);
    }
}

fn step_fits(step: &RawStep, limit: &Resources, problems: &mut Problems) {
    let workers = match step.workers {
        1 => String::new(),
        count => format!(" for its {count} workers"),
    };
    let who = format!("step '{}'", step.name);
    check_fits(&who, &step.resources, step.workers, &workers, limit, problems);
}

fn endpoint_fits(endpoint: &RawEndpoint, limit: &Resources, problems: &mut Problems) {
    let replicas = match endpoint.replicas {
        1 => String::new(),
        count => format!(" for its {count} replicas"),
    };
    let who = format!("endpoint '{}'", endpoint.name);
    check_fits(
        &who,
        &endpoint.resources,
        endpoint.replicas,
        &replicas,
        limit,
        problems,
    );
}

fn check_fits(
    who: &str,
    resources: &Spanned<Resources>,
    processes: u32,
    each: &str,
    limit: &Resources,
    problems: &mut Problems,
) {
    let Spanned { value, at, field } = resources;
    let asked = value.times(processes);
    let mut refuse = |what: String| {
        let message = format!("{who} asks for {what}");
        problems.add(*at, field, message);
    };
    if asked.cpu_milli > limit.cpu_milli {
        let (asked, has) = (asked.cpu_milli, limit.cpu_milli);
        let (asked, has) = (amount::cpus_in_words(asked), amount::cpus(has));
        refuse(format!("{asked}{each}, the machine has {has}"));
    }
    if asked.memory_bytes > limit.memory_bytes {
        let (asked, has) = (asked.memory_bytes, limit.memory_bytes);
        let (asked, has) = (amount::memory(asked), amount::memory(has));
        refuse(format!("{asked} of memory{each}, the machine has {has}"));
    }
    if asked.accelerators > limit.accelerators {
        let (asked, has) = (asked.accelerators, limit.accelerators);
        refuse(format!("{asked} accelerators{each}, the machine has {has}"));
    }
}

/// Every step after all that it needs, ties in the order of the file; and the cycles that stand against it.
///
/// When only cycles are left, one is noted and its first step let through, so that each further cycle is
/// found as well.
fn order(upstream: &[Vec<usize>]) -> (Vec<usize>, Vec<Vec<usize>>) {
    let mut missing: Vec<usize> = upstream.iter().map(Vec::len).collect();
    let mut downstream: Vec<Vec<usize>> = vec![Vec::new(); upstream.len()];
    for (step, needs) in upstream.iter().enumerate() {
        for need in needs {
            downstream[*need].push(step);
        }
    }
    let mut ready: std::collections::BTreeSet<usize> =
        (0..upstream.len()).filter(|step| missing[*step] == 0).collect();
    let mut order = Vec::with_capacity(upstream.len());
    let mut cycles = Vec::new();
    loop {
        while let Some(step) = ready.pop_first() {
            order.push(step);
            for next in &downstream[step] {
                if missing[*next] == 1 {
                    ready.insert(*next);
                }
                missing[*next] = missing[*next].saturating_sub(1);
            }
        }
        let cycle = find_cycle(upstream, &missing);
        let Some(first) = cycle.first().filter(|_| cycles.len() < MAX_PROBLEMS) else {
            return (order, cycles);
        };
        missing[*first] = 0;
        ready.insert(*first);
        cycles.push(cycle);
    }
}

/// Walks upstream among the steps that could not be ordered until one comes round again.
fn find_cycle(upstream: &[Vec<usize>], missing: &[usize]) -> Vec<usize> {
    let Some(start) = missing.iter().position(|count| *count > 0) else {
        return Vec::new();
    };
    let mut seen_at: BTreeMap<usize, usize> = BTreeMap::new();
    let mut path = Vec::new();
    let mut step = start;
    loop {
        if let Some(first) = seen_at.get(&step) {
            let mut cycle = path.split_off(*first);
            // The walk went from a step to what it needs; people read the other way.
            cycle.reverse();
            let lead = cycle
                .iter()
                .enumerate()
                .min_by_key(|(_, step)| **step)
                .map_or(0, |(index, _)| index);
            cycle.rotate_left(lead);
            return cycle;
        }
        seen_at.insert(step, path.len());
        path.push(step);
        match upstream[step].iter().find(|need| missing[**need] > 0) {
            Some(need) => step = *need,
            None => return Vec::new(),
        }
    }
}

fn report_cycle(steps: &[RawStep], cycle: &[usize], problems: &mut Problems) {
    const SHOWN: usize = 20;
    let Some(first) = cycle.first().map(|index| &steps[*index]) else {
        return;
    };
    if let [_] = cycle {
        problems.add(
            first.at,
            &first.field,
            format!("step '{}' needs itself", first.name),
        );
        return;
    }
    let mut names: Vec<&str> = cycle
        .iter()
        .take(SHOWN)
        .map(|index| steps[*index].name.as_str())
        .collect();
    if cycle.len() > SHOWN {
        names.push("…");
    }
    names.push(&first.name);
    let message = format!("these steps need each other in a cycle: {}", names.join(" -> "));
    problems.add(first.at, &first.field, message);
}

fn models(raw: &Raw, names: &Names<'_>, problems: &mut Problems) -> Vec<Model> {
    let mut models = Vec::new();
    for model in &raw.models {
        let Some(from) = &model.from else { continue };
        let (step, output) = &from.value;
        let Some(index) = names.steps.get(step.as_str()).copied() else {
            if !names.uncertain {
                let hint = suggest(step, names.steps.keys().copied());
                problems.add_with_hint(from.at, &from.field, format!("there is no step '{step}'"), hint);
            }
            continue;
        };
        let outputs = &raw.steps[index].outputs;
        if !outputs.iter().any(|known| known.value == *output) {
            if !raw.steps[index].outputs_unreadable {
                let hint = suggest(output, outputs.iter().map(|known| known.value.as_str()));
                let message = format!("step '{step}' has no output '{output}'");
                problems.add_with_hint(from.at, &from.field, message, hint);
            }
            continue;
        }
        if let Some(name) = model.name.clone() {
            let (when, alias) = (model.when.clone(), model.alias.clone());
            models.push(Model {
                name,
                step: index,
                output: output.clone(),
                when,
                alias,
            });
        }
    }
    models
}

fn endpoints(raw: &Raw, uncertain: bool, problems: &mut Problems) -> Vec<Endpoint> {
    let mut endpoints = Vec::new();
    for endpoint in &raw.endpoints {
        let Some(reference) = &endpoint.model else {
            continue;
        };
        let (model, alias) = &reference.value;
        let Some(known) = raw.models.iter().find(|known| known.key == *model) else {
            if !uncertain {
                let hint = suggest(model, raw.models.iter().map(|known| known.key.as_str()));
                let message = format!("there is no model '{model}' in this file");
                problems.add_with_hint(reference.at, &reference.field, message, hint);
            }
            continue;
        };
        if known.alias.as_ref() != Some(alias) {
            let message = format!("model '{model}' does not get the alias '{alias}'");
            let hint = match &known.alias {
                Some(set) => format!("did you mean '{model}@{set}'?"),
                None => format!("add 'alias: {alias}' to models.{model}"),
            };
            problems.add_with_hint(reference.at, &reference.field, message, Some(hint));
            continue;
        }
        if let Some(model) = known.name.clone() {
            let (name, alias) = (endpoint.name.clone(), alias.clone());
            endpoints.push(Endpoint {
                name,
                model,
                alias,
                replicas: endpoint.replicas,
                resources: endpoint.resources.value,
            });
        }
    }
    endpoints
}
