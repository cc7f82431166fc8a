//! The sections of a project file, one function each: from the tree to values that know their place.
//! What spans several sections is checked in `check`.

use std::collections::BTreeMap;

use corliss_types::{ModelName, Placing, Resources};

use super::condition::Condition;
use super::placing::{self, Accelerators, RawPlacing};
use super::problem::{Mark, Problems};
use super::scalar;
use super::section::{self, Located, Section, Spanned};
use super::spec::{Checkpoint, DataSource, Launcher, Queueing, Retries};
use super::tree::Node;

pub(super) const TOP_KEYS: &[&str] = &["project", "queue", "data", "steps", "models", "endpoints"];
pub(super) const STEP_KEYS: &[&str] = &[
    "run",
    "launcher",
    "workers",
    "resources",
    "inputs",
    "outputs",
    "checkpoint",
    "retries",
    "timeout",
    "env",
    "needs",
    "cache",
    "queue",
    "priority",
    "preemptible",
    "expected",
    "deadline",
    "topology",
];
pub(super) const RESOURCE_KEYS: &[&str] = &[
    "cpus",
    "memory",
    "accelerators",
    "accelerator_model",
    "accelerator_memory",
];
/// An engine runs on any node that has what it asks for.
const ENGINE_KEYS: &[&str] = &["cpus", "memory", "accelerators"];
pub(super) const CHECKPOINT_KEYS: &[&str] = &["every", "keep"];
pub(super) const RETRY_KEYS: &[&str] = &["infrastructure", "user"];
pub(super) const MODEL_KEYS: &[&str] = &["from", "when", "alias"];
pub(super) const ENDPOINT_KEYS: &[&str] = &["model", "replicas", "resources"];

/// Steps, models, endpoints or data sources of one file: more is a mistake, or a denial of service.
pub const MAX_ITEMS: usize = 10_000;
/// Largest gang.
pub const MAX_WORKERS: u32 = 1024;
/// Most engine processes of an endpoint.
pub const MAX_REPLICAS: u32 = 64;
/// Priorities go from its negative to it.
pub const MAX_PRIORITY: i32 = 1_000;
/// Most retries of a class.
pub const MAX_RETRIES: u32 = 100;
const DEFAULT_CHECKPOINT: Checkpoint = Checkpoint {
    every_ms: 60_000,
    keep: 3,
};
const MAX_KEPT_CHECKPOINTS: u32 = 100;
const MAX_COMMAND_BYTES: usize = 64 * 1024;

/// The file with its names unresolved.
#[derive(Default)]
pub(super) struct Raw {
    pub(super) project: Option<String>,
    pub(super) queue: Option<Spanned<String>>,
    pub(super) data: Vec<Spanned<DataSource>>,
    pub(super) steps: Vec<RawStep>,
    pub(super) models: Vec<RawModel>,
    pub(super) endpoints: Vec<RawEndpoint>,
    /// Some names could not be read, so "there is no such name" cannot be said with certainty.
    pub(super) names_uncertain: bool,
}

pub(super) struct RawStep {
    pub(super) name: String,
    pub(super) at: Mark,
    pub(super) field: String,
    pub(super) run: Option<String>,
    pub(super) launcher: Option<Launcher>,
    pub(super) workers: u32,
    pub(super) resources: Spanned<Resources>,
    pub(super) inputs: Vec<Spanned<String>>,
    pub(super) outputs: Vec<Spanned<String>>,
    pub(super) outputs_unreadable: bool,
    pub(super) checkpoint: Option<Checkpoint>,
    pub(super) retries: Retries,
    pub(super) timeout_ms: Option<u64>,
    pub(super) env: BTreeMap<String, String>,
    pub(super) needs: Vec<Spanned<String>>,
    pub(super) cache: bool,
    pub(super) queue: Option<Spanned<String>>,
    pub(super) placing: RawPlacing,
    /// All but the queue and what of nodes will do.
    pub(super) queueing: Queueing,
}

pub(super) struct RawModel {
    pub(super) name: Option<ModelName>,
    pub(super) key: String,
    /// `(step, output)`.
    pub(super) from: Option<Spanned<(String, String)>>,
    pub(super) when: Option<Condition>,
    pub(super) alias: Option<String>,
}

pub(super) struct RawEndpoint {
    pub(super) name: String,
    /// `(model, alias)`.
    pub(super) model: Option<Spanned<(String, String)>>,
    pub(super) replicas: u32,
    pub(super) resources: Spanned<Resources>,
}

pub(super) fn file(root: &Node, problems: &mut Problems) -> Raw {
    let Some(top) = Section::open(root, "", Mark::START, TOP_KEYS, problems) else {
        return Raw::default();
    };
    let mut raw = Raw {
        project: top.require("project", problems, section::name),
        queue: top.get("queue", problems, section::spanned_name),
        ..Raw::default()
    };
    let data = each(&top, "data", problems, data_source);
    let steps = each(&top, "steps", problems, step);
    let models = each(&top, "models", problems, model);
    raw.names_uncertain = data.unreadable || steps.unreadable || models.unreadable;
    raw.names_uncertain |= steps.items.iter().any(|step| step.outputs_unreadable);
    (raw.data, raw.steps, raw.models) = (data.items, steps.items, models.items);
    raw.endpoints = each(&top, "endpoints", problems, endpoint).items;
    if top.entry("steps").is_none() {
        problems.add(
            Mark::START,
            "steps",
            "'steps' is missing: a project has at least one",
        );
    } else if raw.steps.is_empty() && problems.is_empty() {
        problems.add(Mark::START, "steps", "a project has at least one step");
    }
    raw
}

/// One named item of a section.
struct Item<'a> {
    key: &'a str,
    at: Mark,
    field: String,
    value: &'a Node,
}

/// The readable items of a section, and whether there are others.
struct Items<T> {
    items: Vec<T>,
    unreadable: bool,
}

fn each<T>(
    top: &Section<'_>,
    key: &str,
    problems: &mut Problems,
    read: impl Fn(&Item<'_>, &mut Problems) -> Option<T>,
) -> Items<T> {
    let mut found = Items {
        items: Vec::new(),
        unreadable: false,
    };
    let Some(entry) = top.entry(key) else { return found };
    let Some(entries) = section::mapping(&entry.value, key, problems) else {
        found.unreadable = true;
        return found;
    };
    if entries.len() > MAX_ITEMS {
        problems.add(
            entry.key_at,
            key,
            format!("'{key}' holds more than {MAX_ITEMS} items"),
        );
        found.unreadable = true;
        return found;
    }
    for entry in entries {
        let field = format!("{key}.{}", entry.key);
        let item = Item {
            key: &entry.key,
            at: entry.key_at,
            field,
            value: &entry.value,
        };
        let read = read(&item, problems);
        found.unreadable |= read.is_none();
        found.items.extend(read);
    }
    found
}

fn data_source(item: &Item<'_>, problems: &mut Problems) -> Option<Spanned<DataSource>> {
    let named = section::is_name(item.key, item.at, &item.field, problems);
    let located = Located {
        node: item.value,
        field: &item.field,
    };
    let folder = section::parsed(located, problems, |text| match text.split_once("://") {
        Some((scheme, _)) => Err(format!(
            "'{scheme}://' is not a folder; data is a folder such as ./data"
        )),
        None => Ok(text.to_owned()),
    });
    // A wrong folder still defines the name: its readers are not at fault.
    let folder = folder.unwrap_or_default();
    named.then(|| Spanned {
        value: DataSource {
            name: item.key.to_owned(),
            folder,
            line: item.at.line,
            column: item.at.column,
        },
        at: item.at,
        field: item.field.clone(),
    })
}

fn step(item: &Item<'_>, problems: &mut Problems) -> Option<RawStep> {
    let named = section::is_name(item.key, item.at, &item.field, problems);
    let section = Section::open(item.value, &item.field, item.at, STEP_KEYS, problems)?;
    let launcher = section.get("launcher", problems, |at, problems| {
        section::parsed(at, problems, |text| match text {
            "torchrun" => Ok(Launcher::Torchrun),
            other => Err(format!("'{other}' is not a launcher; the only one is torchrun")),
        })
    });
    let run = section.require("run", problems, |at, problems| {
        section::parsed(at, problems, |text| command(text, launcher))
    });
    let list =
        |key: &str, problems: &mut Problems| section.get(key, problems, section::names).unwrap_or_default();
    let inputs = list("inputs", problems);
    let before = problems.count();
    let outputs = list("outputs", problems);
    let outputs_unreadable = problems.count() > before;
    let needs = list("needs", problems);
    let mut placing = RawPlacing::default();
    section.get("topology", problems, |at, p| placing.read_topology(at, p));
    let step = RawStep {
        run,
        launcher,
        inputs,
        outputs,
        outputs_unreadable,
        needs,
        workers: section
            .get("workers", problems, |at, p| {
                section::integer(at, p, 1..=MAX_WORKERS)
            })
            .unwrap_or(1),
        resources: resources(&section, (A_WORKERS, RESOURCE_KEYS), &mut placing, problems),
        placing,
        checkpoint: section.get("checkpoint", problems, checkpoint),
        retries: section.get("retries", problems, retries).unwrap_or_default(),
        timeout_ms: section.get("timeout", problems, |at, p| {
            section::quantity(at, p, scalar::duration_ms)
        }),
        env: section.get("env", problems, env).unwrap_or_default(),
        cache: section.get("cache", problems, section::boolean).unwrap_or(true),
        queue: section.get("queue", problems, section::spanned_name),
        queueing: queueing(&section, problems),
        name: item.key.to_owned(),
        at: item.at,
        field: item.field.clone(),
    };
    named.then_some(step)
}

fn queueing(section: &Section<'_>, problems: &mut Problems) -> Queueing {
    Queueing {
        queue: None,
        priority: section
            .get("priority", problems, |at, p| {
                section::integer(at, p, -MAX_PRIORITY..=MAX_PRIORITY)
            })
            .unwrap_or(0),
        preemptible: section.get("preemptible", problems, section::boolean),
        expected_ms: section.get("expected", problems, |at, p| {
            section::quantity(at, p, scalar::duration_ms)
        }),
        deadline_ms: section.get("deadline", problems, |at, p| {
            section::quantity(at, p, scalar::duration_ms)
        }),
        placing: Placing::default(),
    }
}

fn command(text: &str, launcher: Option<Launcher>) -> Result<String, String> {
    if text.len() > MAX_COMMAND_BYTES {
        return Err(format!(
            "the command is longer than {} KiB",
            MAX_COMMAND_BYTES / 1024
        ));
    }
    if text.contains('\0') {
        return Err("the command holds a NUL character".to_owned());
    }
    if launcher == Some(Launcher::Torchrun) {
        match shlex::split(text) {
            None => return Err("the quotes of this command do not match".to_owned()),
            Some(words) if words.first().is_none_or(|word| !word.ends_with(".py")) => {
                return Err(
                    "with launcher torchrun, 'run' is a Python script and its arguments, such as \
                            train.py --epochs 3"
                        .to_owned(),
                );
            }
            Some(_) => {}
        }
    }
    Ok(text.to_owned())
}

/// A worker that says nothing gets one CPU; no memory is reserved for it and none is enforced.
const A_WORKERS: Resources = Resources {
    cpu_milli: 1000,
    memory_bytes: 0,
    accelerators: 0,
};
/// An engine that says nothing holds nothing: it runs beside whatever else runs.
const AN_ENGINES: Resources = Resources {
    cpu_milli: 0,
    memory_bytes: 0,
    accelerators: 0,
};

/// What each process of a step or an endpoint asks for; what it does not say is as in `default`.
fn resources(
    of: &Section<'_>,
    (default, keys): (Resources, &'static [&'static str]),
    placing: &mut RawPlacing,
    problems: &mut Problems,
) -> Spanned<Resources> {
    let mut asked = default;
    let field = of.path("resources");
    let Some(entry) = of.entry("resources") else {
        return Spanned {
            value: asked,
            at: of.at,
            field,
        };
    };
    if let Some(section) = Section::open(&entry.value, &field, entry.key_at, keys, problems) {
        let cpus = section.get("cpus", problems, |at, p| {
            section::quantity(at, p, scalar::cpu_milli)
        });
        let memory = section.get("memory", problems, |at, p| {
            section::quantity(at, p, scalar::memory_bytes)
        });
        placing.read(&section, problems);
        match section.get("accelerators", problems, placing::accelerators) {
            Some(Accelerators::Whole(count)) => asked.accelerators = count,
            Some(Accelerators::Part(milli)) => placing.placing.accelerator_share = Some(milli),
            None => {}
        }
        asked.cpu_milli = cpus.unwrap_or(asked.cpu_milli);
        asked.memory_bytes = memory.unwrap_or(asked.memory_bytes);
    }
    Spanned {
        value: asked,
        at: entry.key_at,
        field,
    }
}

/// What each engine process asks for: whole accelerators, on any node that has them.
fn engine_resources(of: &Section<'_>, problems: &mut Problems) -> Spanned<Resources> {
    let mut placing = RawPlacing::default();
    let asked = resources(of, (AN_ENGINES, ENGINE_KEYS), &mut placing, problems);
    if placing.placing.accelerator_share.is_some() {
        let field = format!("{}.accelerators", asked.field);
        problems.add(asked.at, &field, "an engine takes whole accelerators".to_owned());
    }
    asked
}

fn checkpoint(located: Located<'_>, problems: &mut Problems) -> Option<Checkpoint> {
    let section = Section::open(
        located.node,
        located.field,
        located.node.at,
        CHECKPOINT_KEYS,
        problems,
    )?;
    let every = section.get("every", problems, |at, p| {
        section::quantity(at, p, scalar::duration_ms)
    });
    let keep = section.get("keep", problems, |at, p| {
        section::integer(at, p, 1..=MAX_KEPT_CHECKPOINTS)
    });
    Some(Checkpoint {
        every_ms: every.unwrap_or(DEFAULT_CHECKPOINT.every_ms),
        keep: keep.unwrap_or(DEFAULT_CHECKPOINT.keep),
    })
}

fn retries(located: Located<'_>, problems: &mut Problems) -> Option<Retries> {
    let section = Section::open(located.node, located.field, located.node.at, RETRY_KEYS, problems)?;
    let count = |key: &str, problems: &mut Problems| {
        section.get(key, problems, |at, p| section::integer(at, p, 0..=MAX_RETRIES))
    };
    let default = Retries::default();
    Some(Retries {
        infrastructure: count("infrastructure", problems).unwrap_or(default.infrastructure),
        user: count("user", problems).unwrap_or(default.user),
    })
}

fn env(located: Located<'_>, problems: &mut Problems) -> Option<BTreeMap<String, String>> {
    let entries = section::mapping(located.node, located.field, problems)?;
    let mut variables = BTreeMap::new();
    for entry in entries {
        let field = format!("{}.{}", located.field, entry.key);
        let valid = !entry.key.starts_with(|c: char| c.is_ascii_digit())
            && !entry.key.is_empty()
            && entry.key.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
        if !valid {
            problems.add(
                entry.key_at,
                &field,
                format!("'{}' is not a variable's name", entry.key),
            );
            continue;
        }
        if is_reserved(&entry.key) {
            problems.add(entry.key_at, &field, format!("'{}' is set by Corliss", entry.key));
            continue;
        }
        let value = section::any_scalar(
            Located {
                node: &entry.value,
                field: &field,
            },
            problems,
        );
        if value.as_deref().is_some_and(|value| value.contains('\0')) {
            problems.add(entry.value.at, &field, "the value holds a NUL character");
        } else if let Some(value) = value {
            variables.insert(entry.key.clone(), value);
        }
    }
    Some(variables)
}

/// Variables that a step gets from Corliss and that a file must not overrule.
fn is_reserved(name: &str) -> bool {
    const NAMES: &[&str] = &[
        "MLFLOW_TRACKING_URI",
        "MLFLOW_TRACKING_TOKEN",
        "MLFLOW_RUN_ID",
        "MLFLOW_EXPERIMENT_NAME",
    ];
    const RANKS: &[&str] = &[
        "RANK",
        "LOCAL_RANK",
        "WORLD_SIZE",
        "LOCAL_WORLD_SIZE",
        "MASTER_ADDR",
        "MASTER_PORT",
    ];
    name.starts_with("CORLISS_")
        || name.starts_with("TORCHELASTIC_")
        || NAMES.contains(&name)
        || RANKS.contains(&name)
}

fn model(item: &Item<'_>, problems: &mut Problems) -> Option<RawModel> {
    let name = match item.key.parse::<ModelName>() {
        Ok(name) => Some(name),
        Err(error) => {
            problems.add(item.at, &item.field, error.to_string());
            None
        }
    };
    let section = Section::open(item.value, &item.field, item.at, MODEL_KEYS, problems)?;
    let from = section.require("from", problems, |at, problems| {
        let pair = section::parsed(at, problems, |text| match text.split_once('.') {
            Some((step, output)) if scalar::is_name(step) && scalar::is_name(output) => {
                Ok((step.to_owned(), output.to_owned()))
            }
            _ => Err(format!(
                "'{text}' is not a step and its output, such as train.model"
            )),
        })?;
        Some(Spanned {
            value: pair,
            at: at.node.at,
            field: at.field.to_owned(),
        })
    });
    let when = section.get("when", problems, |at, problems| {
        section::parsed(at, problems, |text| {
            Condition::parse(text)
                .map_err(|error| format!("{} at character {} of '{text}'", error.message, error.offset + 1))
        })
    });
    let alias = section.get("alias", problems, |at, problems| {
        section::parsed(at, problems, alias_name)
    });
    Some(RawModel {
        name,
        key: item.key.to_owned(),
        from,
        when,
        alias,
    })
}

fn alias_name(text: &str) -> Result<String, String> {
    let numbered = text
        .strip_prefix('v')
        .unwrap_or(text)
        .bytes()
        .all(|byte| byte.is_ascii_digit());
    if !scalar::is_name(text) {
        return Err(format!("'{text}' is not an alias such as champion"));
    }
    if text == "latest" || numbered {
        return Err(format!(
            "'{text}' is not free as an alias: it already names a version"
        ));
    }
    Ok(text.to_owned())
}

fn endpoint(item: &Item<'_>, problems: &mut Problems) -> Option<RawEndpoint> {
    let named = section::is_name(item.key, item.at, &item.field, problems);
    let section = Section::open(item.value, &item.field, item.at, ENDPOINT_KEYS, problems)?;
    let model = section.require("model", problems, |at, problems| {
        let pair = section::parsed(at, problems, |text| match text.split_once('@') {
            Some((model, alias)) if !model.is_empty() && !alias.is_empty() => {
                Ok((model.to_owned(), alias.to_owned()))
            }
            _ => Err(format!(
                "'{text}' is not a model and its alias, such as digits@champion"
            )),
        })?;
        Some(Spanned {
            value: pair,
            at: at.node.at,
            field: at.field.to_owned(),
        })
    });
    let replicas = section.get("replicas", problems, |at, p| {
        section::integer(at, p, 1..=MAX_REPLICAS)
    });
    named.then(|| RawEndpoint {
        name: item.key.to_owned(),
        model,
        replicas: replicas.unwrap_or(1),
        resources: engine_resources(&section, problems),
    })
}
