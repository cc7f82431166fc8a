//! The engine process: one model, one socket, one parent.
//!
//! It opens its socket before it loads, so that whoever started it can tell "loading" from "not there".
//! A model that cannot be loaded leaves the process up with `/ready` answering `failed` and the reason;
//! whoever watches it stops it. It ends on SIGTERM after the requests in flight, at once when its parent
//! is gone, and with status 1 when decoding no longer works.

use std::io::{self, Write};
use std::os::unix::fs::{FileTypeExt, PermissionsExt};
use std::os::unix::net::UnixStream as StdUnixStream;
use std::os::unix::process::parent_id;
use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use corliss_diagnostics::{Diagnose, ErrorReport};
use tokio::net::UnixListener;
use tokio::signal::unix::{SignalKind, signal};

use crate::gguf::GgufEngine;
use crate::server::{Cell, Engine, accept};
use crate::{EngineArgs, EngineError, model_dir, onnx, python};
use corliss_types::Flavor;

/// How often the process looks whether its parent is still there and decoding still works.
const WATCH_PERIOD: Duration = Duration::from_millis(250);
const DRAIN_PERIOD: Duration = Duration::from_millis(10);
/// How much nicer what computes is than what answers (see nice(2)): a third of its weight.
const NICER: i32 = 5;

/// Runs an engine process until it is told to stop. Errors go to standard error, which is the replica's log.
#[must_use]
pub fn main(args: EngineArgs) -> ExitCode {
    let parent = parent_id();
    log_to_stderr();
    // Computing has threads of its own; HTTP needs few.
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build();
    let outcome = match runtime {
        Ok(runtime) => {
            let outcome = runtime.block_on(serve(args, parent));
            // A model that is still loading would otherwise keep the process from ending.
            runtime.shutdown_background();
            outcome
        }
        Err(source) => Err(EngineError::io("cannot start the engine's runtime", source)),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            report(&error);
            ExitCode::FAILURE
        }
    }
}

async fn serve(args: EngineArgs, parent: u32) -> Result<(), EngineError> {
    let failed = |source| EngineError::io("cannot listen for SIGTERM", source);
    let mut terminate = signal(SignalKind::terminate()).map_err(failed)?;
    let mut interrupt = signal(SignalKind::interrupt()).map_err(failed)?;
    let listener = listen(&args.listen)?;
    let cell = Arc::new(Cell::new(args.kind));
    let server = tokio::spawn(accept(listener, Arc::clone(&cell)));
    load_in_background(&args, &cell)?;
    let outcome = tokio::select! {
        _ = terminate.recv() => {
            drain(&cell, args.grace_ms).await;
            Ok(())
        }
        _ = interrupt.recv() => {
            drain(&cell, args.grace_ms).await;
            Ok(())
        }
        outcome = watch(&cell, parent) => {
            if outcome.is_err() && args.kind == Flavor::Pyfunc {
                // Other instances finish what they compute.
                drain(&cell, args.grace_ms).await;
            }
            outcome
        }
    };
    server.abort();
    let _ = std::fs::remove_file(&args.listen);
    let _ = std::fs::remove_dir_all(python::work_folder_of(&args));
    outcome
}

fn load_in_background(args: &EngineArgs, cell: &Arc<Cell>) -> Result<(), EngineError> {
    let (args, cell) = (args.clone(), Arc::clone(cell));
    std::thread::Builder::new()
        .name("load".to_owned())
        .spawn(move || {
            // All threads and processes that compute are made by this one and inherit it. Where requests arrive faster
            // than they are computed, they are still taken in, or refused, at once.
            let _ = rustix::process::nice(NICER);
            let outcome = load(&args, &|doing| cell.doing(doing));
            if let Err(error) = &outcome {
                report(error);
            }
            cell.loaded(outcome);
        })
        .map(|_| ())
        .map_err(|source| EngineError::io("cannot start the loading thread", source))
}

/// Checks and loads the model of these arguments; `tell` is given what takes its time.
fn load(args: &EngineArgs, tell: &dyn Fn(String)) -> Result<Engine, EngineError> {
    let model = model_dir::locate(&args.model)?;
    if model.flavor != args.kind {
        return Err(EngineError::ModelUnsupported {
            detail: format!(
                "it is {} and the engine was started for {}",
                model.flavor, args.kind
            ),
        });
    }
    match model.flavor {
        Flavor::Gguf => GgufEngine::load(&model.path, args).map(Engine::Gguf),
        Flavor::Pyfunc => python::load(&model.path, args, tell).map(Engine::Predictive),
        _ => onnx::load(&model.path, args).map(Engine::Predictive),
    }
}

/// Refuses new requests and waits for those in flight, at most for the grace period.
async fn drain(cell: &Cell, grace_ms: u64) {
    cell.drain();
    let finish = async {
        while cell.active() > 0 {
            tokio::time::sleep(DRAIN_PERIOD).await;
        }
    };
    let _ = tokio::time::timeout(Duration::from_millis(grace_ms), finish).await;
}

/// Returns when there is a reason to end: the parent is gone, or the model cannot go on.
///
/// The parent is looked at instead of asking the kernel for a signal at its death, because that signal
/// comes when the parent's *thread* that started us ends, whatever becomes of the parent.
async fn watch(cell: &Cell, parent: u32) -> Result<(), EngineError> {
    loop {
        tokio::time::sleep(WATCH_PERIOD).await;
        if parent_id() != parent {
            tracing::info!("the parent process is gone; ending");
            return Ok(());
        }
        if let Some(detail) = cell.failure() {
            return Err(EngineError::Compute { detail });
        }
    }
}

/// Opens the socket, for this user alone. A socket that a killed engine left is replaced; one that
/// somebody answers on is not.
fn listen(path: &Path) -> Result<UnixListener, EngineError> {
    let failed = |source| EngineError::io(format!("cannot listen on '{}'", path.display()), source);
    match std::fs::symlink_metadata(path) {
        Ok(found) if found.file_type().is_socket() && StdUnixStream::connect(path).is_err() => {
            std::fs::remove_file(path).map_err(failed)?;
        }
        Ok(_) => return Err(failed(std::io::ErrorKind::AddrInUse.into())),
        Err(_) => {}
    }
    let listener = UnixListener::bind(path).map_err(failed)?;
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o600)).map_err(failed)?;
    Ok(listener)
}

/// Warnings by default: llama.cpp tells hundreds of lines about every model, and its errors are what
/// explains a refused file. `RUST_LOG` says otherwise. A log that the program set up already stays.
fn log_to_stderr() {
    let filter = tracing_subscriber::EnvFilter::try_from_default_env()
        .unwrap_or_else(|_| tracing_subscriber::EnvFilter::new("warn"));
    let _ = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(io::stderr)
        .log_internal_errors(false)
        .try_init();
}

fn report(error: &EngineError) {
    let report = ErrorReport::of(error);
    // Written and not printed: on a full disk printing would panic.
    let mut log = io::stderr();
    let _ = writeln!(log, "corliss engine: {} ({})", report.message, error.code());
    if let Some(hint) = report.hint {
        let _ = writeln!(log, "  {hint}");
    }
}
