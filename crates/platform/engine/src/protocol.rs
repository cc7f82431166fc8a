//! The wire types between a model's engine process and its callers: plain data, version 1.
//!
//! The ONNX side speaks the Open Inference Protocol's own JSON, so its bodies pass through unread by
//! callers; the types here are what both sides must agree on beyond that.

use std::borrow::Cow;
use std::collections::BTreeMap;

use corliss_diagnostics::ErrorReport;
use serde::{Deserialize, Serialize};

use corliss_types::Flavor;

pub use crate::inference_stats::{ComputeStats, InferenceStats, Took};
pub use crate::tensor_message::{JSON_LENGTH_HEADER, TensorMessage};
pub use crate::token_gaps::{TOKEN_GAP_BOUNDS_US, TokenGaps};

/// Whether an engine can answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum EngineState {
    /// The model is being read and optimised.
    Loading,
    /// Requests are answered.
    Ready,
    /// Requests in flight are finished, new ones refused.
    Draining,
    /// The model cannot be served; `error` says why.
    Failed,
}

/// The answer of `GET /ready`, with status 200 only when `state` is `ready`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ready {
    /// State.
    pub state: EngineState,
    /// Kind of engine.
    pub flavor: Flavor,
    /// Why it failed.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub error: Option<ErrorReport>,
    /// What loading is busy with, where that takes its time.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub doing: Option<String>,
}

/// One input or output of an ONNX model, in the Open Inference Protocol's terms.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TensorMetadata {
    /// Name in the graph.
    pub name: String,
    /// `FP32`, `INT64`, `BOOL`, …
    pub datatype: String,
    /// Dimensions; -1 where any size is taken.
    pub shape: Vec<i64>,
}

/// The answer of `GET /metadata`. For ONNX this is also the Open Inference Protocol's own form.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Metadata {
    /// Name given on start, usually the endpoint's.
    pub name: String,
    /// Model version given on start; one entry.
    pub versions: Vec<String>,
    /// `onnx_tract`, `gguf_llama_cpp`, or by the flavour that loads it, such as `mlflow_sklearn`.
    pub platform: String,
    /// Kind of engine.
    pub flavor: Flavor,
    /// Inputs (ONNX).
    #[serde(default)]
    pub inputs: Vec<TensorMetadata>,
    /// Outputs (ONNX).
    #[serde(default)]
    pub outputs: Vec<TensorMetadata>,
    /// What a request may say beside its tensors, by name.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub parameters: Vec<String>,
    /// How requests are joined (ONNX).
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub batching: Option<Batching>,
    /// What a language model can do (GGUF).
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub language: Option<LanguageMetadata>,
}

/// How an ONNX engine joins requests into runs of the model.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Batching {
    /// The most rows of one run; 0 if the model's rows cannot be joined.
    pub rows_max: u32,
    /// How long the first request of a batch waits for others, in microseconds.
    pub delay_us: u64,
    /// Rows at which a batch is closed without waiting for more.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub preferred: Vec<u32>,
    /// Copies of the model that compute at the same time.
    pub instances: u32,
}

/// What a language model can do.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LanguageMetadata {
    /// The most tokens that prompt and answer of one request may have together.
    pub context_tokens: u32,
    /// Tokens that the KV caches hold together.
    pub kv_tokens: u32,
    /// The most requests decoded in one batch.
    pub max_sequences: u32,
    /// Whether the model carries a chat template, so that `messages` are taken.
    pub chat_template: bool,
    /// Tokens in the vocabulary.
    pub vocabulary: u32,
    /// Weights.
    pub parameters: u64,
    /// Architecture as named in the file, such as `llama`.
    pub architecture: String,
}

/// One turn of a chat.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct ChatMessage {
    /// `system`, `user`, `assistant` or `tool`; the model's template decides which it knows.
    pub role: String,
    /// Text.
    pub content: String,
    /// Calls of tools that an assistant made.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub tool_calls: Vec<ToolCall>,
    /// Which call a tool answers.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tool_call_id: Option<String>,
    /// Whose turn it is, among several of a role.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
}

impl ChatMessage {
    /// A turn that is text.
    #[must_use]
    pub fn new(role: impl Into<String>, content: impl Into<String>) -> Self {
        Self {
            role: role.into(),
            content: content.into(),
            ..Self::default()
        }
    }
}

/// A call of a tool.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct ToolCall {
    /// By which the tool's answer names it.
    pub id: String,
    /// The tool's.
    pub name: String,
    /// A JSON object as a text.
    pub arguments: String,
}

/// A tool that the model may call.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Tool {
    /// Letters, digits, dots, underscores and dashes, at most 64.
    pub name: String,
    /// What it does, for the model.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// JSON schema of its arguments. Absent: it takes none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub parameters: Option<serde_json::Value>,
    /// Refuse the request if the arguments cannot be held to the schema; otherwise they are any object then.
    pub strict: bool,
}

/// Whether tools are called.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ToolChoice {
    /// As the model decides.
    #[default]
    Auto,
    /// The model is not told of the tools.
    None,
    /// At least one.
    Required,
    /// This one.
    Named(String),
}

/// What an answer must be. It is cut only where `max_tokens` ends it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AnswerFormat {
    /// A JSON object.
    JsonObject,
    /// JSON that satisfies this schema, its members in the schema's order.
    JsonSchema(serde_json::Value),
    /// A text that this regular expression matches as a whole.
    Regex(String),
    /// One of these texts.
    Choice(Vec<String>),
    /// A text of this grammar, in llguidance's variant of Lark.
    Lark(String),
}

/// The body of `POST /generate`. Exactly one of `messages`, `prompt` and `prompt_tokens` is given.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct GenerateRequest {
    /// A chat, laid out by the model's own template.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub messages: Option<Vec<ChatMessage>>,
    /// Plain text to continue.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub prompt: Option<String>,
    /// Token ids to continue.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub prompt_tokens: Option<Vec<i32>>,
    /// The most tokens to generate; 0 is allowed. Absent: 512, or what the context leaves if that is less.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_tokens: Option<u32>,
    /// 0 takes the likeliest token always. Absent: 1.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub temperature: Option<f32>,
    /// Sample from the fewest tokens whose probabilities reach this sum. Absent: 1 (all).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub top_p: Option<f32>,
    /// Sample from the likeliest k tokens. Absent or 0: all.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub top_k: Option<u32>,
    /// Sample from tokens that have at least this share of the likeliest one's probability. Absent: 0 (all).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub min_p: Option<f32>,
    /// Taken from a token's score for each time that the answer holds it, -2 to 2. Absent: 0.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub frequency_penalty: Option<f32>,
    /// Taken from a token's score if the answer holds it, -2 to 2. Absent: 0.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub presence_penalty: Option<f32>,
    /// Above 1, tokens that prompt or answer hold become less likely; above 0, at most 10. Absent: 1.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub repetition_penalty: Option<f32>,
    /// Tokens, and what is added to their scores (-100 to 100; exactly -100 forbids one). At most 300.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub logit_bias: Vec<(i32, f32)>,
    /// Makes sampling repeatable. Other requests in the same batch may change the last bits of the
    /// logits, so a repeat is exact only when the batches are the same (always so for a lone client). For the
    /// same reason nothing of its prompt is taken from the cache.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub seed: Option<u64>,
    /// Generation ends before any of these texts. At most 16, of at most 256 bytes.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub stop: Vec<String>,
    /// Report each token's log-probability and those of this many likeliest tokens (0 to 20).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub logprobs: Option<u32>,
    /// Begin the answer with the prompt, and with its log-probabilities if `logprobs` asks for any; then the
    /// token that ends the answer is reported too. Not with `messages`.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub echo: bool,
    /// What the answer must be. Not with `stop`, which would cut it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub format: Option<AnswerFormat>,
    /// Less is sooner, also in place of what runs already. Absent: 0.
    pub priority: i32,
    /// The answer is of no use after so many milliseconds: what is not complete by then ends with an error.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub deadline_ms: Option<u64>,
    /// Tools that the model may call, in a chat. At most 128.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub tools: Vec<Tool>,
    /// Whether it calls them.
    pub tool_choice: ToolChoice,
    /// Whether one answer may make several calls.
    pub parallel_tool_calls: bool,
}

/// One text, as it is or in tokens.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum EmbedInput {
    /// As it is.
    Text(String),
    /// Token ids.
    Tokens(Vec<i32>),
}

/// The body of `POST /embed` (GGUF).
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct EmbedRequest {
    /// At least one, at most 2048.
    pub inputs: Vec<EmbedInput>,
    /// Numbers of each embedding; refused unless it is what the model has.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub dimensions: Option<u32>,
}

/// The body of `POST /count` (GGUF): what would be read, of which only the size is wanted. Nothing is computed.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct CountRequest<'a> {
    /// Generations, whose prompts are counted.
    pub prompts: Vec<Cow<'a, GenerateRequest>>,
    /// Inputs of embeddings.
    pub inputs: Vec<Cow<'a, EmbedInput>>,
}

/// The answer to `POST /count`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Count {
    /// Tokens of all of it.
    pub tokens: u64,
}

/// The answer to `POST /embed`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Embeddings {
    /// One for each input, of length one.
    pub vectors: Vec<Vec<f32>>,
    /// Tokens of all inputs.
    pub prompt_tokens: u64,
}

/// Why generation ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FinishReason {
    /// The model ended its answer, or a stop text was reached.
    Stop,
    /// `max_tokens` were generated.
    Length,
    /// The model calls tools.
    ToolCalls,
}

/// A token with its log-probability.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct TokenLogprob {
    /// Id in the vocabulary.
    pub id: i32,
    /// Its text; bytes that are not UTF-8 alone are shown as the replacement character.
    pub text: String,
    /// Its exact bytes.
    pub bytes: Vec<u8>,
    /// Natural logarithm of its probability, before biases, penalties, temperature and truncation; -9999
    /// where that is less. None for the first token of a prompt, which follows nothing.
    pub logprob: Option<f32>,
    /// The likeliest tokens at this place, likeliest first; empty in entries of this list itself.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub top: Vec<TokenLogprob>,
}

/// One line of the answer to `POST /generate`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum GenerateEvent {
    /// First: the request is admitted.
    Start {
        /// Tokens of the prompt, after the template.
        prompt_tokens: u32,
        /// How many of these were computed for an earlier request and are taken from the cache.
        #[serde(default)]
        cached_tokens: u32,
    },
    /// More text; never a torn character, never part of a stop text.
    Token {
        /// The text.
        text: String,
        /// The tokens read or decoded since the last event, if asked for.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        logprobs: Vec<TokenLogprob>,
    },
    /// More of a call of a tool.
    ToolCall {
        /// Which call of this answer, from 0.
        index: u32,
        /// The tool's name, with the first event of each call.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        name: Option<String>,
        /// More of the arguments, which are a JSON object as a text.
        arguments: String,
    },
    /// Last: all went well.
    End {
        /// Why it ended.
        finish_reason: FinishReason,
        /// Tokens generated, the ending token not counted.
        completion_tokens: u32,
        /// What it took.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        timing: Option<Timing>,
    },
    /// Last: it did not.
    Error {
        /// Why.
        error: ErrorReport,
    },
}

/// What a generation took, in microseconds.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Timing {
    /// It waited for a place.
    pub queue_us: u64,
    /// From then to the first token of its answer.
    pub prefill_us: u64,
    /// From then to its end.
    pub decode_us: u64,
    /// Sequences in the batches of its answer, itself included, on average.
    pub batch_mean: f32,
}

/// The answer of `GET /stats`. Counters start at zero with the process.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Stats {
    /// Requests being computed.
    pub running: u64,
    /// Requests waiting for a place.
    pub waiting: u64,
    /// Requests answered.
    pub completed_total: u64,
    /// Requests refused or failed.
    pub failed_total: u64,
    /// Requests whose caller went away.
    pub cancelled_total: u64,
    /// Prompt tokens computed (GGUF).
    pub prompt_tokens_total: u64,
    /// Prompt tokens of the requests that were given a place (GGUF).
    pub admitted_prompt_tokens_total: u64,
    /// Of these, how many were in the cache and were not computed again (GGUF).
    pub cached_prompt_tokens_total: u64,
    /// Requests that lost their place to another and were computed again (GGUF).
    pub preemptions_total: u64,
    /// Tokens of the requests that wait: of prompts, and of answers as long as they may become (GGUF).
    pub waiting_tokens: u64,
    /// Tokens computed in a second of work, of prompts and of answers, of late (GGUF).
    pub tokens_per_second: u64,
    /// Tokens generated (GGUF).
    pub decoded_tokens_total: u64,
    /// Tokens reserved in the KV caches now (GGUF).
    pub kv_tokens_reserved: u64,
    /// Tokens that the KV caches hold at most (GGUF).
    pub kv_tokens_total: u64,
    /// The most requests decoded in one batch (GGUF).
    pub sequences_max: u64,
    /// Times between the tokens of answers (GGUF).
    pub token_gaps: TokenGaps,
    /// How many batches had which size: sequences (GGUF) or rows (ONNX), by size.
    pub batch_sizes: BTreeMap<u32, u64>,
    /// Why each batch was closed, by reason (ONNX): `full`, `preferred`, `delay`,
    /// `deadline`, `incompatible`, `unbatchable`, `alone`, `drained`.
    pub batch_closed: BTreeMap<String, u64>,
    /// Counts and times of requests and runs (ONNX).
    pub inference: InferenceStats,
}
