//! The engine's HTTP side: which model stands behind the socket, and in what state.

mod connection;
mod generate;
mod routes;

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use corliss_diagnostics::{Diagnose, ErrorReport};

use crate::EngineError;
use crate::gguf::GgufEngine;
use crate::predict::PredictiveEngine;
use crate::protocol::{EngineState, Ready};
use corliss_types::Flavor;

pub(crate) use connection::accept;

/// A model that answers.
pub(crate) enum Engine {
    /// Tensors: ONNX through tract, or MLflow's models through Python.
    Predictive(PredictiveEngine),
    /// GGUF through llama.cpp.
    Gguf(GgufEngine),
}

enum Phase {
    /// What it does meanwhile, if that takes its time.
    Loading(Option<String>),
    Ready(Arc<Engine>),
    Failed(ErrorReport),
}

/// What all connections share.
pub(crate) struct Cell {
    flavor: Flavor,
    phase: Mutex<Phase>,
    draining: AtomicBool,
    active: AtomicUsize,
}

impl Cell {
    /// A cell whose model is being loaded.
    pub fn new(flavor: Flavor) -> Self {
        Self {
            flavor,
            phase: Mutex::new(Phase::Loading(None)),
            draining: AtomicBool::new(false),
            active: AtomicUsize::new(0),
        }
    }

    /// The model is loaded, or it cannot be.
    pub fn loaded(&self, outcome: Result<Engine, EngineError>) {
        let phase = match outcome {
            Ok(engine) => Phase::Ready(Arc::new(engine)),
            Err(error) => Phase::Failed(ErrorReport::of(&error)),
        };
        *self.phase.lock().unwrap_or_else(PoisonError::into_inner) = phase;
    }

    /// What loading is busy with.
    pub fn doing(&self, what: String) {
        let mut phase = self.phase.lock().unwrap_or_else(PoisonError::into_inner);
        if let Phase::Loading(doing) = &mut *phase {
            *doing = Some(what);
        }
    }

    /// From now on new requests are refused.
    pub fn drain(&self) {
        self.draining.store(true, Ordering::SeqCst);
        if let Ok(engine) = self.engine()
            && let Engine::Predictive(engine) = engine.as_ref()
        {
            engine.drain();
        }
    }

    /// Requests whose answer is not complete.
    pub fn active(&self) -> usize {
        self.active.load(Ordering::SeqCst)
    }

    /// Why the loaded model cannot go on, if so.
    pub fn failure(&self) -> Option<String> {
        match &*self.phase.lock().unwrap_or_else(PoisonError::into_inner) {
            Phase::Ready(engine) => match engine.as_ref() {
                Engine::Gguf(engine) => engine.failure(),
                Engine::Predictive(engine) => engine.failure(),
            },
            _ => None,
        }
    }

    fn ready(&self) -> Ready {
        let (mut error, mut doing) = (None, None);
        let state = match &*self.phase.lock().unwrap_or_else(PoisonError::into_inner) {
            Phase::Failed(reason) => {
                error = Some(reason.clone());
                EngineState::Failed
            }
            _ if self.draining.load(Ordering::SeqCst) => EngineState::Draining,
            Phase::Loading(what) => {
                doing.clone_from(what);
                EngineState::Loading
            }
            Phase::Ready(_) => EngineState::Ready,
        };
        Ready {
            state,
            flavor: self.flavor,
            error,
            doing,
        }
    }

    fn engine(&self) -> Result<Arc<Engine>, EngineError> {
        match &*self.phase.lock().unwrap_or_else(PoisonError::into_inner) {
            Phase::Ready(engine) => Ok(Arc::clone(engine)),
            Phase::Loading(_) => Err(EngineError::NotReady { state: "loading" }),
            Phase::Failed(_) => Err(EngineError::NotReady { state: "failed" }),
        }
    }

    /// Takes a request in, unless the engine is draining. Counted first and checked then, so that a drain
    /// that begins in between either sees the request or refuses it.
    fn admit(self: &Arc<Self>) -> Result<Active, EngineError> {
        self.active.fetch_add(1, Ordering::SeqCst);
        let active = Active(Arc::clone(self));
        if self.draining.load(Ordering::SeqCst) {
            return Err(EngineError::NotReady { state: "draining" });
        }
        Ok(active)
    }
}

/// One request in flight; it ends when this is dropped.
struct Active(Arc<Cell>);

impl Drop for Active {
    fn drop(&mut self) {
        self.0.active.fetch_sub(1, Ordering::SeqCst);
    }
}

fn status(error: &EngineError) -> http::StatusCode {
    http::StatusCode::from_u16(error.meaning().http_status())
        .unwrap_or(http::StatusCode::INTERNAL_SERVER_ERROR)
}
