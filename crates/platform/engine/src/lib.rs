//! Model engines: child processes of the same binary, each with one model, spoken to over a Unix socket.
//!
//! Native code and other people's model files stay out of the server: a crash in llama.cpp or a panic in
//! a kernel costs one replica, which its endpoint's reconciler starts again.
//!
//! - [`process::main`] is the process: it opens its socket at once (so that `/ready` can answer
//!   `loading`), checks and loads the model, serves, and drains on SIGTERM.
//! - [`client::EngineClient`] is the way to it; [`protocol`] holds what travels.
//! - [`model_dir`] decides what a folder holds and refuses pickles, torn files and links out of it,
//!   before any native code sees a byte.
//! - `predict` is what engines of tensors share: requests, dynamic batching, answers. `onnx` runs ONNX graphs through
//!   tract, `python` runs MLflow models in Python processes; `gguf` runs language models through
//!   llama.cpp under a continuous-batching scheduler of our own.
//!
//! Nothing here knows endpoints, routes or tokens.

pub mod args;
pub mod client;
pub mod cpu;
mod error;
mod gguf;
mod inference_stats;
pub mod model_dir;
mod onnx;
mod openmp;
mod predict;
pub mod process;
pub mod protocol;
mod python;
mod server;
mod tensor_message;
mod token_gaps;

pub use args::EngineArgs;
pub use error::EngineError;
pub use model_dir::detect_flavor;
pub use predict::BATCH_ROWS;
