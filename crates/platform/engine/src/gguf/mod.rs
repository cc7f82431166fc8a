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
//! - `schedule` decides what goes into a batch, who waits for whom and who loses a place, and nothing else;
//! - `wait` says how long a request would wait, and whether that is too long;
//! - `sequence` is a request with a place;
//! - `patience` says how compute threads had better wait for each other, by what `run_queue` tells of the machine;
//! - `sampler` picks tokens, from scores that `adjuster` may have changed, among those that a `constraint` allows;
//! - `tools` lays out calls of tools, holds answers to their form, and reads calls out of them;
//! - `devices` says where a model is computed;
//! - `text`, `template`, `logprobs` and `echo` (of a prompt) are what their names say.
//!
//! What a request has computed stays in its place, and a later one with the same beginning goes on from there.
//! Admission is by priority, and first come, first served among equals: a large request at the head waits for room and is
//! not overtaken, so none starves. In the pool a request is promised its prompt and the beginning of its answer, and more
//! as it is needed. Where that is not there, whoever would be served last loses its place: it waits again, and is
//! computed again from its prompt and what it had answered, which its caller never notices but for the time.

mod adjuster;
mod cache;
mod constraint;
mod devices;
mod echo;
mod embedder;
mod embedding;
mod json_text;
mod loaded;
mod logprobs;
mod patience;
mod prefix;
mod queue;
mod request;
mod run_queue;
mod sampler;
mod schedule;
mod sequence;
mod spent;
mod template;
mod text;
mod tools;
mod wait;
mod worker;

use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use tokio::sync::{mpsc, oneshot};

use crate::protocol::{
    AnswerFormat, Count, CountRequest, EmbedRequest, Embeddings, GenerateEvent, GenerateRequest,
    LanguageMetadata, Metadata, Stats,
};
use crate::{EngineArgs, EngineError};
use corliss_types::Flavor;

use constraint::{Compiler, Constraint};
use loaded::Loaded;
use queue::Queue;
use template::ChatTemplate;
use tools::{Form, Offer};

/// A loaded language model that answers requests.
pub(crate) struct GgufEngine {
    name: String,
    version: String,
    loaded: Arc<Loaded>,
    queue: Arc<Queue>,
    compiler: Compiler,
}

impl GgufEngine {
    /// Loads a checked file and starts its thread. Returns once its caches stand and each has decoded once.
    pub fn load(path: &Path, args: &EngineArgs) -> Result<Self, EngineError> {
        crate::cpu::check()?;
        let loaded = Arc::new(Loaded::open(path, args)?);
        let queue = Arc::new(Queue::new(
            args.max_waiting.max(1),
            match args.max_waiting_tokens {
                0 => u64::from(loaded.limits.kv_tokens) * 8,
                given => given,
            },
            loaded.limits.kv_tokens,
            loaded.limits.max_sequences,
        ));
        worker::start(Arc::clone(&loaded), Arc::clone(&queue))?;
        Ok(Self {
            name: args.name.clone(),
            version: args.version.clone(),
            compiler: Compiler::new(Arc::clone(&loaded)),
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
            parameters: Vec::new(),
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
    pub async fn generate(
        &self,
        request: &GenerateRequest,
    ) -> Result<mpsc::UnboundedReceiver<GenerateEvent>, EngineError> {
        // Unbounded, yet bounded: a request sends at most its own max_tokens events, and the one thread
        // that computes for everybody must never wait for a slow reader.
        let (events, received) = mpsc::unbounded_channel();
        let now = Instant::now();
        let template = self.loaded.template.as_ref();
        let form = template.and_then(ChatTemplate::form).unwrap_or(Form::Tagged);
        let offer = tools::offer(request, form)?;
        let constraint = self.constraint(request, offer.as_ref()).await?;
        let calls = offer.map(|offer| offer.form);
        let job = request::prepare(request, &self.loaded, constraint, calls, now, events)?;
        self.queue.push(job)?;
        Ok(received)
    }

    /// What the answer must be, if it must be anything.
    async fn constraint(
        &self,
        request: &GenerateRequest,
        offer: Option<&Offer>,
    ) -> Result<Option<Constraint>, EngineError> {
        let Some(offer) = offer else {
            return match &request.format {
                None => Ok(None),
                Some(format) => self.compiler.compile(format).await.map(Some),
            };
        };
        if let Some(format) = &request.format {
            // So that what is wrong with it is not taken for the tools'.
            self.compiler.compile(format).await?;
        }
        let mut refused = EngineError::invalid("tools", "there is no form for their calls");
        for format in &offer.formats {
            match self.compiler.compile_checked(format).await {
                Ok(constraint) => return Ok(Some(constraint)),
                Err(EngineError::InvalidRequest { detail, .. }) => {
                    refused = EngineError::invalid("tools", format!("a schema cannot be followed: {detail}"));
                }
                Err(error) => return Err(error),
            }
        }
        self.strict_schemas(request).await?;
        Err(refused)
    }

    /// Refuses the first tool whose schema cannot be followed by itself, of those that must be.
    async fn strict_schemas(&self, request: &GenerateRequest) -> Result<(), EngineError> {
        for (at, tool) in request.tools.iter().enumerate().filter(|(_, tool)| tool.strict) {
            let Some(schema) = &tool.parameters else {
                continue;
            };
            let format = AnswerFormat::JsonSchema(schema.clone());
            match self.compiler.compile_checked(&format).await {
                Err(EngineError::InvalidRequest { detail, .. }) => {
                    return Err(EngineError::invalid(format!("tools[{at}].parameters"), detail));
                }
                other => drop(other?),
            }
        }
        Ok(())
    }

    /// Checks and queues a request for embeddings and waits for them. Dropping the future cancels it.
    pub async fn embed(&self, request: &EmbedRequest) -> Result<Embeddings, EngineError> {
        let (answer, answered) = oneshot::channel();
        let job = embedding::prepare(request, &self.loaded, answer)?;
        self.queue.push_embedding(job)?;
        answered.await.unwrap_or(Err(EngineError::Stopped))
    }

    /// The size of what would be read, as the model's own vocabulary and template make it.
    pub fn count(&self, request: &CountRequest<'_>) -> Result<Count, EngineError> {
        let mut tokens = 0;
        for prompt in &request.prompts {
            tokens += request::prompt(prompt, &self.loaded)?.len();
        }
        for (at, input) in request.inputs.iter().enumerate() {
            tokens += embedding::tokens(input, &format!("inputs[{at}]"), &self.loaded)?.len();
        }
        Ok(Count {
            tokens: tokens as u64,
        })
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
