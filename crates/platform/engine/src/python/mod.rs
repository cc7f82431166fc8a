//! MLflow models through Python: one worker process an instance, in an environment of the model's own.
//!
//! - `signature` says what a model takes and gives, from the file `MLmodel`, and `promise` whether an answer is that;
//! - `environment` finds or makes the Python environment that it needs;
//! - `worker` starts the process that loads the model, speaks to it and watches it.
//!
//! Loading most models runs code of whoever made them. That needs the word of somebody who may give it, which the
//! server asks for and passes on as `--allow-code`; without it only what is known to be data alone is loaded.

mod environment;
mod promise;
mod signature;
mod worker;

use std::fs::DirBuilder;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use corliss_model_format::{Declared, MLMODEL, Python, declared};
use corliss_types::Flavor;
use tract_onnx::prelude::Tensor;

use crate::predict::{Model, Named, ParamSpec, PredictiveEngine, TensorSpec};
use crate::{EngineArgs, EngineError};
use environment::Environment;
use signature::Signature;
use worker::{Order, Start, Worker};

/// Modules whose models compute each row by itself.
const ROW_WISE: [&str; 4] = [
    "mlflow.sklearn",
    "mlflow.xgboost",
    "mlflow.lightgbm",
    "mlflow.catboost",
];
const INSTANCES_MAX: usize = 64;

/// Loads the model of this folder; `tell` is given what takes its time.
pub(crate) fn load(
    folder: &Path,
    args: &EngineArgs,
    tell: &dyn Fn(String),
) -> Result<PredictiveEngine, EngineError> {
    let (declared, python) = read(folder)?;
    if let (Some(detail), false) = (&python.runs_code, args.allow_code) {
        return Err(EngineError::ModelRunsCode {
            detail: detail.clone(),
        });
    }
    let signature = Signature::read(&declared)?;
    let environment = environment::prepare(args, folder, &python, tell)?;
    tell("loading the model in Python".to_owned());
    let instances = args.instances.clamp(1, INSTANCES_MAX);
    let work = work_folder(args)?;
    let names: Vec<&str> = signature.inputs.iter().map(|spec| spec.name.as_str()).collect();
    let outputs: Vec<&str> = signature.outputs.iter().map(|spec| spec.name.as_str()).collect();
    let start = Start {
        python: &environment.python,
        folder: &work,
        variables: variables(args, &environment, &work, instances),
        order: Order {
            model: folder,
            form: signature.form.name(),
            names: &names,
            kinds: &signature.kinds,
            outputs: &outputs,
        },
    };
    let workers = start_all(&start, instances).map_err(|error| explained(error, &python, &environment))?;
    let is_row_wise = ROW_WISE.contains(&python.loader.as_str());
    let wants_rows = match args.max_batch {
        0 => is_row_wise,
        rows => rows > 1,
    };
    let platform = python
        .loader
        .strip_prefix("mlflow.")
        .and_then(|rest| rest.split('.').next())
        .map_or_else(|| "mlflow_pyfunc".to_owned(), |name| format!("mlflow_{name}"));
    let model = Arc::new(PythonModel {
        batchable: wants_rows && signature.has_rows(),
        signature,
        workers,
        _environment: environment,
    });
    PredictiveEngine::start(model, Flavor::Pyfunc, platform, instances, args)
}

fn read(folder: &Path) -> Result<(Declared, Python), EngineError> {
    let text = std::fs::read(folder.join(MLMODEL))
        .map_err(|source| EngineError::io(format!("cannot read '{MLMODEL}'"), source))?;
    let mut declared = declared(&text);
    match declared.python.take() {
        Some(python) => Ok((declared, python)),
        None => Err(EngineError::ModelUnsupported {
            detail: format!("its {MLMODEL} has no flavour python_function"),
        }),
    }
}

/// A private folder of this engine, beside its socket. It goes with the engine.
pub(crate) fn work_folder_of(args: &EngineArgs) -> PathBuf {
    args.listen.with_extension("work")
}

fn work_folder(args: &EngineArgs) -> Result<PathBuf, EngineError> {
    let folder = work_folder_of(args);
    let failed = |source| EngineError::io(format!("cannot make the folder '{}'", folder.display()), source);
    match std::fs::remove_dir_all(&folder) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(failed(error)),
        _ => {}
    }
    DirBuilder::new().mode(0o700).create(&folder).map_err(failed)?;
    Ok(folder)
}

/// The worker's whole environment: nothing of the engine's is among it but the accelerators that it was given.
fn variables(
    args: &EngineArgs,
    environment: &Environment,
    work: &Path,
    instances: usize,
) -> Vec<(String, String)> {
    let threads = (args.compute_threads() / instances).max(1).to_string();
    let programs = environment.python.parent().unwrap_or(Path::new("/usr/bin"));
    let work = work.display().to_string();
    let mut variables = vec![
        (
            "PATH",
            format!("{}:/usr/local/bin:/usr/bin:/bin", programs.display()),
        ),
        ("LANG", "C.UTF-8".to_owned()),
        ("MLFLOW_TRACKING_URI", format!("file:{work}/mlruns")),
        ("MLFLOW_DISABLE_TELEMETRY", "true".to_owned()),
        ("MLFLOW_ALLOW_PICKLE_DESERIALIZATION", args.allow_code.to_string()),
    ];
    for folder in ["HOME", "TMPDIR", "MPLCONFIGDIR"] {
        variables.push((folder, work.clone()));
    }
    for pool in ["OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"] {
        variables.push((pool, threads.clone()));
    }
    if let Ok(devices) = std::env::var("CUDA_VISIBLE_DEVICES") {
        variables.push(("CUDA_VISIBLE_DEVICES", devices));
    }
    let owned = variables
        .into_iter()
        .map(|(name, value)| (name.to_owned(), value));
    owned.collect()
}

fn start_all(start: &Start<'_>, instances: usize) -> Result<Vec<Worker>, EngineError> {
    std::thread::scope(|scope| {
        let starting: Vec<_> = (0..instances)
            .map(|_| scope.spawn(|| Worker::start(start)))
            .collect();
        let started = starting.into_iter().map(|thread| match thread.join() {
            Ok(outcome) => outcome.map(|(worker, _)| worker),
            Err(_) => Err(EngineError::Stopped),
        });
        started.collect()
    })
}

/// Another Python than that of the model is the likeliest reason why it cannot be loaded.
fn explained(error: EngineError, python: &Python, environment: &Environment) -> EngineError {
    match (error, &python.version) {
        (EngineError::ModelUnsupported { detail }, Some(version))
            if environment::minor(version) != environment::minor(&environment.version) =>
        {
            EngineError::ModelUnsupported {
                detail: format!(
                    "{detail}; it was logged with Python {version} and the worker's is {}",
                    environment.version
                ),
            }
        }
        (other, _) => other,
    }
}

/// A model in Python processes, one an instance.
struct PythonModel {
    signature: Signature,
    batchable: bool,
    workers: Vec<Worker>,
    /// Held, so that nobody removes it.
    _environment: Environment,
}

impl Model for PythonModel {
    fn inputs(&self) -> &[TensorSpec] {
        &self.signature.inputs
    }

    fn outputs(&self) -> &[TensorSpec] {
        &self.signature.outputs
    }

    fn params(&self) -> &[ParamSpec] {
        &self.signature.params
    }

    fn batchable(&self) -> bool {
        self.batchable
    }

    fn pads(&self) -> bool {
        false
    }

    fn run(
        &self,
        instance: usize,
        inputs: Vec<Tensor>,
        params: Option<&str>,
    ) -> Result<Vec<Named>, EngineError> {
        let Some(worker) = self.workers.get(instance) else {
            return Err(EngineError::Stopped);
        };
        let rows = inputs.first().and_then(|input| input.shape().first()).copied();
        let given = ordered(worker.run(inputs, params)?, &self.signature.outputs);
        promise::hold(&given, &self.signature, rows.filter(|_| self.batchable))?;
        Ok(given)
    }

    fn failure(&self) -> Option<String> {
        let how = self.workers.iter().find_map(Worker::ended)?;
        Some(format!("the model's Python process is gone: {how}"))
    }
}

/// Outputs in the order that is declared, and called so where the model calls as many otherwise.
fn ordered(mut given: Vec<Named>, declared: &[TensorSpec]) -> Vec<Named> {
    if given.len() != declared.len() {
        return given;
    }
    let place = |output: &Named| declared.iter().position(|spec| *spec.name == *output.name);
    if given.iter().all(|output| place(output).is_some()) {
        given.sort_by_key(place);
    } else {
        for (output, spec) in given.iter_mut().zip(declared) {
            output.name = Arc::from(spec.name.as_str());
        }
    }
    given
}
