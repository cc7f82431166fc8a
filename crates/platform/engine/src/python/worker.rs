//! The Python process that runs a model: started, spoken to and watched.

use std::io::{self, Read, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Arc, Mutex, PoisonError, mpsc};
use std::time::Duration;

use bytes::Bytes;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use tract_onnx::prelude::Tensor;

use crate::EngineError;
use crate::predict::{Named, bytes_of_tensor, datatype_name, datum_of, tensor_of_bytes};

const SOURCE: &str = include_str!("worker.py");
const HEAD_BYTES: usize = 12;
/// What an answer may have, of JSON and of tensors.
const JSON_LIMIT_BYTES: usize = 16 << 20;
const TENSORS_LIMIT_BYTES: u64 = 256 << 20;
/// A process that closed its socket is about to end; how it did is told then.
const END_PATIENCE: Duration = Duration::from_secs(2);

/// What a worker is started with.
pub(super) struct Start<'a> {
    pub python: &'a Path,
    /// A folder of its own, which is its working directory.
    pub folder: &'a Path,
    /// Its whole environment.
    pub variables: Vec<(String, String)>,
    pub order: Order<'a>,
}

/// The first message: what to load, and how its inputs reach it.
#[derive(Serialize, Clone, Copy)]
pub(super) struct Order<'a> {
    pub model: &'a Path,
    pub form: &'a str,
    pub names: &'a [&'a str],
    pub kinds: &'a [String],
    pub outputs: &'a [&'a str],
}

/// A process that has loaded the model. It ends with this one.
pub(super) struct Worker {
    wire: Mutex<UnixStream>,
    ended: Arc<Ended>,
}

/// How a process ended, once it has.
#[derive(Default)]
struct Ended {
    how: Mutex<Option<String>>,
    told: std::sync::Condvar,
}

#[derive(Serialize)]
struct Question<'a> {
    inputs: Vec<Piece<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    params: Option<&'a RawValue>,
}

#[derive(Serialize)]
struct Piece<'a> {
    datatype: &'a str,
    shape: &'a [usize],
    bytes: usize,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct Answer {
    ready: Option<String>,
    outputs: Vec<Output>,
    /// The model refused its input.
    raised: Option<String>,
    error: Option<String>,
}

#[derive(Deserialize)]
struct Output {
    name: String,
    datatype: String,
    shape: Vec<usize>,
    bytes: usize,
}

impl Worker {
    /// Starts a process and waits until it has loaded the model. Answers also the version of MLflow.
    pub fn start(start: &Start<'_>) -> Result<(Self, String), EngineError> {
        let failed = |source| EngineError::io("cannot start a Python worker", source);
        let script = write_script(start.folder).map_err(failed)?;
        let (wire, theirs) = UnixStream::pair().map_err(failed)?;
        let mut command = Command::new(start.python);
        command
            .args(["-I", "-u", "-B"])
            .arg(script)
            .arg(std::process::id().to_string())
            .current_dir(start.folder)
            .env_clear()
            .envs(start.variables.iter().map(|(name, value)| (name, value)))
            .process_group(0)
            .stdin(Stdio::from(OwnedFd::from(theirs)))
            .stdout(log().map_err(failed)?);
        let ended = keep(command).map_err(failed)?;
        let worker = Self {
            wire: Mutex::new(wire),
            ended,
        };
        let order = serde_json::to_vec(&start.order).map_err(|error| failed(error.into()))?;
        let (answer, _) = worker.talk(&order, &[])?;
        match answer {
            Answer {
                ready: Some(version), ..
            } => Ok((worker, version)),
            Answer { error, .. } => Err(EngineError::ModelUnsupported {
                detail: error.unwrap_or_else(|| "the Python worker did not say why".to_owned()),
            }),
        }
    }

    /// Runs the model once.
    pub fn run(&self, inputs: Vec<Tensor>, params: Option<&str>) -> Result<Vec<Named>, EngineError> {
        let odd = |detail: String| EngineError::Compute { detail };
        let shapes: Vec<_> = inputs
            .iter()
            .map(|tensor| (datatype_name(tensor.datum_type()), tensor.shape().to_vec()))
            .collect();
        let pieces: Vec<Bytes> = inputs
            .into_iter()
            .map(bytes_of_tensor)
            .collect::<Result<_, _>>()
            .map_err(odd)?;
        let parts = shapes.iter().zip(&pieces);
        let question = Question {
            inputs: parts
                .map(|((datatype, shape), piece)| Piece {
                    datatype,
                    shape,
                    bytes: piece.len(),
                })
                .collect(),
            params: params
                .map(serde_json::from_str)
                .transpose()
                .map_err(|error| odd(error.to_string()))?,
        };
        let question = serde_json::to_vec(&question).map_err(|error| odd(error.to_string()))?;
        let (answer, tensors) = self.talk(&question, &pieces)?;
        if let Some(detail) = answer.raised {
            return Err(EngineError::ModelRaised { detail });
        }
        if let Some(detail) = answer.error {
            return Err(odd(detail));
        }
        let mut left = tensors.as_slice();
        let read = |output: Output| {
            let (bytes, rest) = left
                .split_at_checked(output.bytes)
                .ok_or_else(|| odd(format!("the output '{}' is cut short", output.name)))?;
            left = rest;
            let datum = datum_of(&output.datatype)
                .ok_or_else(|| odd(format!("no such datatype as {}", output.datatype)))?;
            let tensor = tensor_of_bytes(bytes, datum, &output.shape)
                .map_err(|detail| odd(format!("the output '{}' {detail}", output.name)))?;
            Ok(Named {
                name: Arc::from(output.name),
                tensor,
            })
        };
        answer.outputs.into_iter().map(read).collect()
    }

    /// How it ended, if it has.
    pub fn ended(&self) -> Option<String> {
        self.ended.lock().clone()
    }

    fn talk(&self, json: &[u8], tensors: &[Bytes]) -> Result<(Answer, Vec<u8>), EngineError> {
        let mut wire = self.wire.lock().unwrap_or_else(PoisonError::into_inner);
        let outcome = send(&mut wire, json, tensors).and_then(|()| receive(&mut wire));
        outcome.map_err(|error| {
            let how = self.ended.wait().unwrap_or_else(|| {
                // It is there and cannot be understood any more.
                self.ended.tell(error.to_string());
                error.to_string()
            });
            EngineError::WorkerEnded { how }
        })
    }
}

impl Ended {
    fn lock(&self) -> std::sync::MutexGuard<'_, Option<String>> {
        self.how.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn tell(&self, how: String) {
        *self.lock() = Some(how);
        self.told.notify_all();
    }

    fn wait(&self) -> Option<String> {
        let waited = self
            .told
            .wait_timeout_while(self.lock(), END_PATIENCE, |how| how.is_none());
        waited.unwrap_or_else(PoisonError::into_inner).0.clone()
    }
}

/// Starts the process from a thread that lives as long as it does: the kernel ends it with that thread.
fn keep(mut command: Command) -> io::Result<Arc<Ended>> {
    let ended = Arc::new(Ended::default());
    let (started, told) = mpsc::channel();
    let end = Arc::clone(&ended);
    std::thread::Builder::new()
        .name("python".to_owned())
        .spawn(move || {
            let spawned = command.spawn();
            // It holds the other end of the socket, whose closing tells of the process's end.
            drop(command);
            let mut child: Child = match spawned {
                Ok(child) => child,
                Err(error) => {
                    let _ = started.send(Err(error));
                    return;
                }
            };
            let _ = started.send(Ok(()));
            end.tell(child.wait().map_or_else(|error| error.to_string(), words));
        })?;
    told.recv().map_err(io::Error::other)??;
    Ok(ended)
}

fn words(status: ExitStatus) -> String {
    match (status.code(), status.signal()) {
        (Some(code), _) => format!("it ended with status {code}"),
        (None, Some(signal)) => format!("it was ended by signal {signal}"),
        (None, None) => "it ended".to_owned(),
    }
}

/// What the model prints belongs into the replica's log.
fn log() -> io::Result<Stdio> {
    Ok(Stdio::from(io::stderr().as_fd().try_clone_to_owned()?))
}

fn write_script(folder: &Path) -> io::Result<PathBuf> {
    let script = folder.join("worker.py");
    std::fs::write(&script, SOURCE)?;
    Ok(script)
}

fn send(wire: &mut UnixStream, json: &[u8], tensors: &[Bytes]) -> io::Result<()> {
    let json_bytes = u32::try_from(json.len()).map_err(io::Error::other)?;
    let tensor_bytes: u64 = tensors.iter().map(|piece| piece.len() as u64).sum();
    let mut head = Vec::with_capacity(HEAD_BYTES + json.len());
    head.extend_from_slice(&json_bytes.to_le_bytes());
    head.extend_from_slice(&tensor_bytes.to_le_bytes());
    head.extend_from_slice(json);
    wire.write_all(&head)?;
    tensors.iter().try_for_each(|piece| wire.write_all(piece))
}

fn receive(wire: &mut UnixStream) -> io::Result<(Answer, Vec<u8>)> {
    let (mut json_bytes, mut tensor_bytes) = ([0; 4], [0; 8]);
    wire.read_exact(&mut json_bytes)?;
    wire.read_exact(&mut tensor_bytes)?;
    let json_bytes = u32::from_le_bytes(json_bytes) as usize;
    let tensor_bytes = u64::from_le_bytes(tensor_bytes);
    if json_bytes > JSON_LIMIT_BYTES || tensor_bytes > TENSORS_LIMIT_BYTES {
        return Err(io::Error::other("its answer is too large"));
    }
    let mut json = vec![0; json_bytes];
    wire.read_exact(&mut json)?;
    let mut tensors = vec![0; usize::try_from(tensor_bytes).map_err(io::Error::other)?];
    wire.read_exact(&mut tensors)?;
    Ok((serde_json::from_slice(&json)?, tensors))
}
