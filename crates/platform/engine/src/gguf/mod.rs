//! The language model engine: llama.cpp under a continuous-batching scheduler of our own.
//!
//! - `loaded` holds the model, its vocabulary and its template, shared with the HTTP side, which
//!   tokenises and checks requests before they queue;
//! - `queue` is the bounded line between the two;
//! - `worker` is the one thread that computes: each turn it admits, joins every sequence's next tokens
//!   into one batch, decodes, samples and sends;
//! - `embedding` is a request for embeddings, `embedder` computes them between the worker's batches;
//! - `cache` is where the keys and values of sequences lie;
//! - `prefix` says what of them a new request goes on from;
//! - `schedule` decides what goes into a batch, and nothing else;
//! - `sampler` picks tokens, from scores that `adjuster` may have changed;
//! - `text`, `template`, `logprobs` and `echo` (of a prompt) are what their names say.
//!
//! What a request has computed stays in its place, and a later one with the same beginning goes on from there.
//! A request reserves its prompt and `max_tokens` in a KV cache when it is admitted, so one that is
//! running is never thrown out again. Admission is first come, first served: a large request at the head
//! waits for room and is not overtaken, so none starves.

mod adjuster;
mod cache;
mod echo;
mod embedder;
mod embedding;
mod loaded;
mod logprobs;
mod prefix;
mod queue;
mod request;
mod sampler;
mod schedule;
mod template;
mod text;
mod worker;

use std::path::Path;
use std::sync::Arc;

use tokio::sync::{mpsc, oneshot};

use crate::protocol::{
    EmbedRequest, Embeddings, GenerateEvent, GenerateRequest, LanguageMetadata, Metadata, Stats,
};
use crate::{EngineArgs, EngineError};
use corliss_types::Flavor;

use loaded::Loaded;
use queue::Queue;

/// A loaded language model that answers requests.
pub(crate) struct GgufEngine {
    name: String,
    version: String,
    loaded: Arc<Loaded>,
    queue: Arc<Queue>,
}

impl GgufEngine {
    /// Loads a checked file and starts its thread. Returns once its caches stand and each has decoded once.
    pub fn load(path: &Path, args: &EngineArgs) -> Result<Self, EngineError> {
        crate::cpu::check()?;
        let loaded = Arc::new(Loaded::open(path, args)?);
        let queue = Arc::new(Queue::new(args.max_waiting.max(1), loaded.limits.kv_tokens));
        worker::start(Arc::clone(&loaded), Arc::clone(&queue))?;
        Ok(Self {
            name: args.name.clone(),
            version: args.version.clone(),
            loaded,
            queue,
        })
    }

    /// What the model can do.
    pub fn metadata(&self) -> Metadata {
        Metadata {
            name: self.name.clone(),
            versions: vec![self.version.clone()],
            platform: "gguf_llama_cpp".to_owned(),
            flavor: Flavor::Gguf,
            inputs: Vec::new(),
            outputs: Vec::new(),
            batching: None,
            language: Some(LanguageMetadata {
                context_tokens: self.loaded.limits.context_tokens,
                kv_tokens: self.loaded.limits.kv_tokens,
                max_sequences: self.loaded.limits.max_sequences,
                chat_template: self.loaded.template.is_some(),
                vocabulary: u32::try_from(self.loaded.pieces.len()).unwrap_or(u32::MAX),
                parameters: self.loaded.model.n_params(),
                architecture: self.loaded.architecture.clone(),
            }),
        }
    }

    /// Checks and queues a request; its events follow. Dropping the receiver cancels it before the next
    /// token.
    pub fn generate(
        &self,
        request: &GenerateRequest,
    ) -> Result<mpsc::UnboundedReceiver<GenerateEvent>, EngineError> {
        // Unbounded, yet bounded: a request sends at most its own max_tokens events, and the one thread
        // that computes for everybody must never wait for a slow reader.
        let (events, received) = mpsc::unbounded_channel();
        let job = request::prepare(request, &self.loaded, events)?;
        self.queue.push(job)?;
        Ok(received)
    }

    /// Checks and queues a request for embeddings and waits for them. Dropping the future cancels it.
    pub async fn embed(&self, request: &EmbedRequest) -> Result<Embeddings, EngineError> {
        let (answer, answered) = oneshot::channel();
        let job = embedding::prepare(request, &self.loaded, answer)?;
        self.queue.push_embedding(job)?;
        answered.await.unwrap_or(Err(EngineError::Stopped))
    }

    /// Counters.
    pub fn stats(&self) -> Stats {
        self.queue.stats()
    }

    /// Why the engine's thread ended, if it did: then nothing is answered any more.
    pub fn failure(&self) -> Option<String> {
        self.queue.failure()
    }
}

impl Drop for GgufEngine {
    fn drop(&mut self) {
        self.queue.stop();
    }
}
