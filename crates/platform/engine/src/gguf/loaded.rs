//! A language model in memory: weights (mapped, not copied), vocabulary, template and limits.

use std::path::Path;
use std::sync::{Mutex, OnceLock, PoisonError};

use llama_cpp_2::llama_backend::LlamaBackend;
use llama_cpp_2::model::LlamaModel;
use llama_cpp_2::model::params::LlamaModelParams;
use llama_cpp_2::token::LlamaToken;

use super::template::ChatTemplate;
use super::{cache, devices};
use crate::model_dir::summarise_gguf;
use crate::{EngineArgs, EngineError};

/// Tokens of one request at most when not told otherwise, however long the model's own context is.
const DEFAULT_CONTEXT_TOKENS: u32 = 8192;
/// llama.cpp's own bound on sequences.
const MAX_SEQUENCES: u32 = 256;

/// How much fits.
#[derive(Debug, Clone, Copy)]
pub(super) struct Limits {
    /// Tokens of one request.
    pub context_tokens: u32,
    /// Cells of all KV caches together.
    pub kv_tokens: u32,
    /// Requests decoded together.
    pub max_sequences: u32,
    /// Compute threads.
    pub threads: i32,
}

/// A model as the rest of the engine uses it.
pub(super) struct Loaded {
    pub model: LlamaModel,
    /// Each token's bytes, so that decoding allocates nothing to find them.
    pub pieces: Vec<Box<[u8]>>,
    /// Whether each token ends an answer.
    pub ends: Vec<bool>,
    pub template: Option<ChatTemplate>,
    pub limits: Limits,
    pub architecture: String,
}

impl Loaded {
    /// Maps the file and reads its vocabulary and template.
    pub fn open(path: &Path, args: &EngineArgs) -> Result<Self, EngineError> {
        let summary = summarise_gguf(path)?;
        let backend = backend()?;
        let params = LlamaModelParams::default().with_n_gpu_layers(devices::layers());
        let model = LlamaModel::load_from_file(backend, path, &params)
            .map_err(|error| unsupported(format!("llama.cpp refused the file ({error})")))?;
        let limits = limits(&model, args);
        let vocab = model.vocab();
        let pieces = vocab
            .tokens()
            .map(|token| vocab.token_to_piece(token, false, None).into_boxed_slice());
        let pieces: Vec<Box<[u8]>> = pieces.collect();
        let ends = vocab.tokens().map(|token| vocab.is_eog(token)).collect();
        let template = match model.chat_template(None) {
            Ok(source) => {
                let source = source
                    .to_string()
                    .map_err(|error| unsupported(error.to_string()))?;
                let name = |token: LlamaToken| {
                    vocab
                        .text(token)
                        .map(|text| text.to_string_lossy().into_owned())
                        .unwrap_or_default()
                };
                let controls = vocab
                    .tokens()
                    .filter(|token| vocab.is_control(*token))
                    .map(name)
                    .filter(|text| text.chars().nth(1).is_some())
                    .collect();
                Some(ChatTemplate::new(
                    source,
                    name(vocab.bos()),
                    name(vocab.eos()),
                    controls,
                )?)
            }
            Err(_) => None,
        };
        Ok(Self {
            pieces,
            ends,
            template,
            limits,
            architecture: summary.architecture,
            model,
        })
    }

    /// A value of the file's metadata, as text, by its name within the architecture.
    pub fn property(&self, name: &str) -> Option<String> {
        self.model
            .meta_val_str(&format!("{}.{name}", self.architecture))
            .ok()
    }

    /// Numbers of an embedding.
    pub fn embedding_length(&self) -> u32 {
        u32::try_from(self.model.n_embd_out()).unwrap_or(0)
    }

    /// A token's bytes, and of a control token its name: in answers those have no text.
    pub fn shown(&self, token: usize) -> Vec<u8> {
        match self.pieces.get(token) {
            Some(piece) if !piece.is_empty() => piece.to_vec(),
            Some(_) => i32::try_from(token).map_or_else(
                |_| Vec::new(),
                |id| self.model.vocab().token_to_piece(LlamaToken::new(id), true, None),
            ),
            None => Vec::new(),
        }
    }

    /// Tokens of a text. `special` adds what the model wants at the beginning (BOS).
    pub fn tokenise(&self, text: &str, special: bool) -> Vec<LlamaToken> {
        self.model.vocab().tokenize(text.as_bytes(), special, true)
    }
}

fn limits(model: &LlamaModel, args: &EngineArgs) -> Limits {
    let trained = model.n_ctx_train().max(1);
    let context_tokens = match args.context_tokens {
        0 => trained.min(DEFAULT_CONTEXT_TOKENS),
        given => given.min(trained),
    };
    let max_sequences = match args.max_sequences {
        0 => cache::default_sequences(cell_bytes(model)),
        given => given.min(MAX_SEQUENCES),
    };
    let cells = match args.kv_tokens {
        0 => cache::default_cells(context_tokens, max_sequences),
        given => given.max(context_tokens),
    };
    let caches = cache::shapes(cells, context_tokens, max_sequences);
    Limits {
        context_tokens,
        kv_tokens: caches.iter().map(|shape| shape.cells(max_sequences)).sum(),
        max_sequences,
        threads: i32::try_from(args.compute_threads()).unwrap_or(1),
    }
}

/// Bytes of keys and values, 16 bits each, that a token has in a cache.
fn cell_bytes(model: &LlamaModel) -> u64 {
    let head = u64::from(model.n_embd().unsigned_abs()) / u64::from(model.n_head().max(1));
    u64::from(model.n_layer()) * u64::from(model.n_head_kv()) * head * 2 * 2
}

/// llama.cpp's process-wide state, made once. Its log goes to tracing, so that an error of its own is
/// found in the replica's log.
pub(super) fn backend() -> Result<&'static LlamaBackend, EngineError> {
    static BACKEND: OnceLock<LlamaBackend> = OnceLock::new();
    static MAKING: Mutex<()> = Mutex::new(());
    let _making = MAKING.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(backend) = BACKEND.get() {
        return Ok(backend);
    }
    llama_cpp_2::send_logs_to_tracing(llama_cpp_2::LogOptions::default());
    let backend = LlamaBackend::init().map_err(|error| unsupported(error.to_string()))?;
    Ok(BACKEND.get_or_init(|| backend))
}

pub(super) fn unsupported(detail: String) -> EngineError {
    EngineError::ModelUnsupported { detail }
}
