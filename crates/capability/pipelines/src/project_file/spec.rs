//! A project file that has no problems: what is to run, with every reference resolved.

use std::collections::BTreeMap;

use corliss_types::{ModelName, Placing, Resources};

use super::condition::Condition;

/// One workload end to end.
#[derive(Debug, Clone, PartialEq)]
pub struct ProjectFile {
    /// Name of the project; also the name of its tracking experiment.
    pub project: String,
    /// Data that comes from outside, in the order of the file.
    pub data: Vec<DataSource>,
    /// Steps in the order of the file.
    pub steps: Vec<Step>,
    /// Indices into `steps`: every step after all that it needs; ties in the order of the file.
    pub order: Vec<usize>,
    /// Models to register once the steps have succeeded.
    pub models: Vec<Model>,
    /// Endpoints to deploy after that.
    pub endpoints: Vec<Endpoint>,
}

/// A folder that becomes a dataset version.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DataSource {
    /// Name within the file and of the dataset.
    pub name: String,
    /// The folder, relative to the project file.
    pub folder: String,
    /// Line of the entry, from 1.
    pub line: u32,
    /// Column of the entry, from 1, in characters.
    pub column: u32,
}

/// One step.
#[derive(Debug, Clone, PartialEq)]
pub struct Step {
    /// Name, unique in the file.
    pub name: String,
    /// A shell command, or with a launcher a script and its arguments.
    pub run: String,
    /// What starts the workers.
    pub launcher: Option<Launcher>,
    /// Processes of the gang: all start or none.
    pub workers: u32,
    /// What each worker asks for.
    pub resources: Resources,
    /// Folders the step reads.
    pub inputs: Vec<Input>,
    /// Names of the folders the step writes.
    pub outputs: Vec<String>,
    /// Whether and how the step checkpoints.
    pub checkpoint: Option<Checkpoint>,
    /// How many times it is tried again.
    pub retries: Retries,
    /// Longest time one attempt may run.
    pub timeout_ms: Option<u64>,
    /// How it stands in the queue.
    pub queueing: Queueing,
    /// Variables of its environment.
    pub env: BTreeMap<String, String>,
    /// Whether an earlier result with the same inputs may stand in for running it.
    pub cache: bool,
    /// Indices of the steps that must succeed first, ascending: producers of inputs, and `needs`.
    pub upstream: Vec<usize>,
}

/// How a step stands in the queue.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Queueing {
    /// The queue that it waits in, if the file names one.
    pub queue: Option<String>,
    /// Higher goes first, within the queue.
    pub priority: i32,
    /// Whether it may be stopped for another; without it, as its queue says.
    pub preemptible: Option<bool>,
    /// How long it is expected to run; without it, its time-out counts.
    pub expected_ms: Option<u64>,
    /// How long after the run's submission it has to be done.
    pub deadline_ms: Option<u64>,
    /// What of nodes will do.
    pub placing: Placing,
}

/// Where an input comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Input {
    /// Name of the data or output.
    pub name: String,
    /// Index of the step that writes it; `None` if it is data from outside.
    pub producer: Option<usize>,
}

/// What starts the workers of a step.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Launcher {
    /// The script is written for PyTorch's torchrun.
    Torchrun,
}

impl Launcher {
    /// The name as written in the file.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Torchrun => "torchrun",
        }
    }
}

/// How a step checkpoints.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Checkpoint {
    /// How often the script is asked to write one.
    pub every_ms: u64,
    /// How many complete ones are kept.
    pub keep: u32,
}

/// Retries by class of failure.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Retries {
    /// After a failure of the machine: a lost process, a signal from outside.
    pub infrastructure: u32,
    /// After a failure of the step itself: an exit code, a time-out, too little memory.
    pub user: u32,
}

impl Default for Retries {
    fn default() -> Self {
        Self {
            infrastructure: 5,
            user: 0,
        }
    }
}

/// A model to register.
#[derive(Debug, Clone, PartialEq)]
pub struct Model {
    /// Name in the registry.
    pub name: ModelName,
    /// Index of the step that writes it.
    pub step: usize,
    /// Name of that step's output.
    pub output: String,
    /// The gate; without one every version passes.
    pub when: Option<Condition>,
    /// The alias that moves to the new version.
    pub alias: Option<String>,
}

/// An endpoint to deploy.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Endpoint {
    /// Name; part of its address.
    pub name: String,
    /// A model of this file.
    pub model: ModelName,
    /// The alias that it follows, which that model sets.
    pub alias: String,
    /// Engine processes.
    pub replicas: u32,
    /// What each of them holds.
    pub resources: Resources,
}

impl ProjectFile {
    /// The step of this name.
    #[must_use]
    pub fn step(&self, name: &str) -> Option<(usize, &Step)> {
        self.steps.iter().enumerate().find(|(_, step)| step.name == name)
    }
}
