//! The engine's errors: each says which file, input or number is at fault.

use std::time::Duration;

use corliss_diagnostics::{Diagnose, ErrorReport, Meaning};

/// What else can run an ONNX model. It stands in the sentence itself, which is all that an endpoint's reason holds.
const ONNX_RUNTIME: &str =
    "ONNX Runtime may run it, if serving.onnx_runtime in config.toml names its library";

/// Everything that can go wrong in an engine process or on the way to it.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum EngineError {
    /// No file of a kind that the engine loads.
    #[error("the model folder holds no {wanted} file{found}", found = list_found(.found))]
    ModelMissing {
        /// `.onnx`, `.gguf`, or both.
        wanted: &'static str,
        /// What it holds instead, a few names.
        found: Vec<String>,
    },
    /// More than one file could be the model.
    #[error("the model folder holds {} {wanted} files: {}", .found.len(), .found.join(", "))]
    ModelAmbiguous {
        /// `.onnx` or `.gguf`.
        wanted: &'static str,
        /// Their names.
        found: Vec<String>,
    },
    /// A Python pickle, which runs code when loaded.
    #[error("'{file}' is a Python pickle, and pickles are never loaded: they run code when opened")]
    ModelIsPickle {
        /// File name.
        file: String,
    },
    /// The file ends before its own header says it should.
    #[error("'{file}' is cut short: {detail}")]
    ModelTruncated {
        /// File name.
        file: String,
        /// What is missing.
        detail: String,
    },
    /// The file is not what its name says.
    #[error("'{file}' is not a valid {format} file: {detail}")]
    ModelInvalid {
        /// File name.
        file: String,
        /// `ONNX` or `GGUF`.
        format: &'static str,
        /// What is wrong.
        detail: String,
    },
    /// A link or a reference that leaves the model folder.
    #[error("'{file}' leads out of the model folder")]
    ModelEscapes {
        /// File name.
        file: String,
    },
    /// The library below could not load or run it.
    #[error("the model cannot be loaded: {detail}")]
    ModelUnsupported {
        /// The library's reason.
        detail: String,
    },
    /// tract cannot load or run an ONNX model, or not on tensors of these shapes.
    #[error("the model cannot be run by the engine that is built in: {detail}; {ONNX_RUNTIME}")]
    OnnxUnsupported {
        /// Which operator or shape is the matter.
        detail: String,
    },
    /// tract failed to compute an answer.
    #[error("the model failed to compute: {detail}; {ONNX_RUNTIME}")]
    OnnxFailed {
        /// Which operator or shape is the matter.
        detail: String,
    },
    /// Loading it runs code of whoever made it, and nobody allowed that.
    #[error("loading the model runs code: {detail}")]
    ModelRunsCode {
        /// Why.
        detail: String,
    },
    /// The model raised an exception, usually because of its input.
    #[error("the model raised {detail}")]
    ModelRaised {
        /// The exception, in a line.
        detail: String,
    },
    /// The model gave something else than its signature says that it gives.
    #[error("the model's answer breaks its signature: {detail}")]
    SignatureBroken {
        /// What is declared, and what came.
        detail: String,
    },
    /// No Python of the model's version is there.
    #[error("the model was logged with Python {wanted}, which is not found here{}", pythons(.found))]
    PythonMissing {
        /// Minor version.
        wanted: String,
        /// Versions that are there.
        found: Vec<String>,
    },
    /// The model's Python environment could not be made.
    #[error("the model's Python environment cannot be used: {detail}")]
    Environment {
        /// Why.
        detail: String,
    },
    /// The model's Python process ended in the middle of a request.
    #[error("the model's Python process is gone: {how}")]
    WorkerEnded {
        /// How it ended.
        how: String,
    },
    /// The library that was named for ONNX models cannot be used.
    #[error("ONNX Runtime '{library}' cannot be used: {detail}")]
    OnnxRuntime {
        /// Its path.
        library: String,
        /// Why.
        detail: String,
    },
    /// The machine lacks what the engine was compiled for.
    #[error("this CPU lacks {missing}, which the language model engine was built for")]
    CpuUnsupported {
        /// Feature names.
        missing: String,
    },
    /// The model is not loaded (yet, or any more).
    #[error("the model is not ready: {state}")]
    NotReady {
        /// `loading`, `draining` or `failed`.
        state: &'static str,
    },
    /// The queue is full.
    #[error("the engine's queue is full ({limit} requests waiting)")]
    QueueFull {
        /// Its bound.
        limit: usize,
    },
    /// Those that wait have as many tokens as may wait.
    #[error("requests with {waiting_tokens} tokens wait already, and at most {limit_tokens} may")]
    TooManyTokens {
        /// Of prompts and of answers as long as they may become.
        waiting_tokens: u64,
        /// Their bound.
        limit_tokens: u64,
        /// When there will be room, at the rate of late.
        retry_after_s: u64,
    },
    /// It would wait too long.
    #[error("{before} requests wait already, and are answered more slowly than is worth waiting for")]
    TooLong {
        /// How many go before it.
        before: usize,
        /// When the wait will be short enough, at the rate of late.
        retry_after_s: u64,
    },
    /// What a request said about its own time.
    #[error("the request was not answered within the {} that it gave itself", span(*.after))]
    DeadlineExceeded {
        /// As asked for.
        after: Duration,
    },
    /// A request field is wrong.
    #[error("{detail}")]
    InvalidRequest {
        /// Field, in dotted form.
        field: String,
        /// What is wrong.
        detail: String,
        /// The fix.
        hint: Option<String>,
    },
    /// Prompt and answer do not fit into the context.
    #[error("{}", context_message(*.prompt_tokens, *.counted, *.max_tokens, *.context_tokens))]
    ContextLengthExceeded {
        /// Tokens of the prompt.
        prompt_tokens: usize,
        /// Whether they were counted; of a text that cannot fit only the least number is known.
        counted: bool,
        /// Tokens asked for beyond it, if any were named.
        max_tokens: Option<u32>,
        /// Tokens that fit.
        context_tokens: u32,
    },
    /// The request body is too large.
    #[error("the request body is larger than {limit_bytes} bytes")]
    BodyTooLarge {
        /// Limit.
        limit_bytes: usize,
    },
    /// No such path in the protocol, or not for this kind of model.
    #[error("a {flavor} engine has no {method} {path}")]
    NoSuchRoute {
        /// `onnx` or `gguf`.
        flavor: &'static str,
        /// HTTP method.
        method: String,
        /// HTTP path.
        path: String,
    },
    /// Computing failed.
    #[error("the model failed to compute: {detail}")]
    Compute {
        /// The library's reason.
        detail: String,
    },
    /// The engine was stopped before the answer was complete.
    #[error("the engine stopped before the answer was complete")]
    Stopped,
    /// No connection could be made; the request was not sent, so another replica may take it.
    #[error("the engine cannot be reached")]
    Unreachable {
        /// Socket path.
        socket: String,
        /// Cause.
        source: std::io::Error,
    },
    /// The connection broke after the request was sent.
    #[error("the connection to the engine broke: {detail}")]
    ConnectionLost {
        /// Cause.
        detail: String,
    },
    /// The engine answered with an error.
    #[error("{}", .report.message)]
    Remote {
        /// HTTP status.
        status: u16,
        /// Its report.
        report: Box<ErrorReport>,
    },
    /// The engine has too much to do, and said when to come again.
    #[error("{}", .report.message)]
    Overloaded {
        /// Seconds until there will be room.
        retry_after_s: u64,
        /// Its report.
        report: Box<ErrorReport>,
    },
    /// The engine answered what this client does not understand.
    #[error("the engine's answer is not understood: {detail}")]
    Protocol {
        /// What was wrong.
        detail: String,
    },
    /// The operating system refused.
    #[error("{doing}")]
    Io {
        /// What was tried.
        doing: String,
        /// Cause.
        source: std::io::Error,
    },
}

/// A time in the largest unit of which it is a whole number.
fn span(time: Duration) -> String {
    let micros = time.as_micros();
    match (micros % 1_000_000, micros % 1_000) {
        (0, _) => format!("{} s", micros / 1_000_000),
        (_, 0) => format!("{} ms", micros / 1_000),
        _ => format!("{micros} µs"),
    }
}

fn pythons(found: &[String]) -> String {
    if found.is_empty() {
        String::new()
    } else {
        format!(" (there is {})", found.join(", "))
    }
}

fn list_found(found: &[String]) -> String {
    if found.is_empty() {
        ": it is empty".to_owned()
    } else {
        format!("; it holds {}", found.join(", "))
    }
}

fn context_message(
    prompt_tokens: usize,
    counted: bool,
    max_tokens: Option<u32>,
    context_tokens: u32,
) -> String {
    let at_least = if counted { "" } else { "at least " };
    match max_tokens {
        Some(max) if prompt_tokens <= context_tokens as usize => format!(
            "the prompt has {prompt_tokens} tokens and {max} more were asked for, but the model's context \
             holds {context_tokens}"
        ),
        _ => format!(
            "the prompt has {at_least}{prompt_tokens} tokens, but the model's context holds {context_tokens}"
        ),
    }
}

/// Codes that travel; an unknown one from a newer engine is reported as `engine_error`.
const CODES: &[&str] = &[
    "model_missing",
    "model_ambiguous",
    "model_is_pickle",
    "model_truncated",
    "model_invalid",
    "model_escapes",
    "model_unsupported",
    "model_runs_code",
    "model_raised",
    "model_signature_broken",
    "python_missing",
    "python_environment",
    "cpu_unsupported",
    "engine_not_ready",
    "engine_queue_full",
    "request_deadline_exceeded",
    "invalid_request",
    "context_length_exceeded",
    "body_too_large",
    "engine_no_such_route",
    "engine_compute_failed",
    "engine_stopped",
    "engine_unreachable",
    "engine_connection_lost",
    "engine_protocol",
    "engine_io",
];

impl Diagnose for EngineError {
    fn code(&self) -> &'static str {
        match self {
            Self::ModelMissing { .. } => "model_missing",
            Self::ModelAmbiguous { .. } => "model_ambiguous",
            Self::ModelIsPickle { .. } => "model_is_pickle",
            Self::ModelTruncated { .. } => "model_truncated",
            Self::ModelInvalid { .. } => "model_invalid",
            Self::ModelEscapes { .. } => "model_escapes",
            Self::ModelUnsupported { .. } | Self::OnnxUnsupported { .. } => "model_unsupported",
            Self::ModelRunsCode { .. } => "model_runs_code",
            Self::ModelRaised { .. } => "model_raised",
            Self::SignatureBroken { .. } => "model_signature_broken",
            Self::PythonMissing { .. } => "python_missing",
            Self::Environment { .. } => "python_environment",
            Self::OnnxRuntime { .. } => "onnx_runtime",
            // For whoever asks, the engine is what ended.
            Self::WorkerEnded { .. } => "engine_stopped",
            Self::CpuUnsupported { .. } => "cpu_unsupported",
            Self::NotReady { .. } => "engine_not_ready",
            Self::QueueFull { .. } | Self::TooManyTokens { .. } | Self::TooLong { .. } => "engine_queue_full",
            Self::DeadlineExceeded { .. } => "request_deadline_exceeded",
            Self::InvalidRequest { .. } => "invalid_request",
            Self::ContextLengthExceeded { .. } => "context_length_exceeded",
            Self::BodyTooLarge { .. } => "body_too_large",
            Self::NoSuchRoute { .. } => "engine_no_such_route",
            Self::Compute { .. } | Self::OnnxFailed { .. } => "engine_compute_failed",
            Self::Stopped => "engine_stopped",
            Self::Unreachable { .. } => "engine_unreachable",
            Self::ConnectionLost { .. } => "engine_connection_lost",
            Self::Protocol { .. } => "engine_protocol",
            Self::Io { .. } => "engine_io",
            Self::Remote { report, .. } | Self::Overloaded { report, .. } => CODES
                .iter()
                .copied()
                .find(|code| *code == report.code)
                .unwrap_or("engine_error"),
        }
    }

    fn meaning(&self) -> Meaning {
        match self {
            Self::ModelMissing { .. }
            | Self::ModelAmbiguous { .. }
            | Self::ModelIsPickle { .. }
            | Self::ModelTruncated { .. }
            | Self::ModelInvalid { .. }
            | Self::ModelEscapes { .. }
            | Self::ModelUnsupported { .. }
            | Self::OnnxUnsupported { .. }
            | Self::ModelRaised { .. }
            | Self::InvalidRequest { .. }
            | Self::ContextLengthExceeded { .. } => Meaning::InvalidInput,
            Self::ModelRunsCode { .. } => Meaning::PermissionDenied,
            Self::BodyTooLarge { .. } => Meaning::TooLarge,
            Self::NoSuchRoute { .. } => Meaning::NotFound,
            Self::QueueFull { .. }
            | Self::TooManyTokens { .. }
            | Self::TooLong { .. }
            | Self::Overloaded { .. } => Meaning::ResourceExhausted,
            Self::DeadlineExceeded { .. } => Meaning::DeadlineExceeded,
            Self::NotReady { .. }
            | Self::Stopped
            | Self::WorkerEnded { .. }
            | Self::PythonMissing { .. }
            | Self::Environment { .. }
            | Self::OnnxRuntime { .. }
            | Self::Unreachable { .. }
            | Self::ConnectionLost { .. }
            | Self::CpuUnsupported { .. } => Meaning::Unavailable,
            Self::Compute { .. }
            | Self::OnnxFailed { .. }
            | Self::SignatureBroken { .. }
            | Self::Protocol { .. }
            | Self::Io { .. } => Meaning::Internal,
            Self::Remote { status, .. } => meaning_of(*status),
        }
    }

    fn retryable(&self) -> bool {
        match self {
            Self::Remote { report, .. } | Self::Overloaded { report, .. } => report.retryable,
            Self::CpuUnsupported { .. }
            | Self::PythonMissing { .. }
            | Self::Environment { .. }
            | Self::OnnxRuntime { .. }
            | Self::DeadlineExceeded { .. } => false,
            other => other.meaning().retryable(),
        }
    }

    fn field(&self) -> Option<String> {
        match self {
            Self::InvalidRequest { field, .. } => Some(field.clone()),
            Self::Remote { report, .. } => report.field.clone(),
            _ => None,
        }
    }

    fn hint(&self) -> Option<String> {
        match self {
            Self::InvalidRequest { hint, .. } => hint.clone(),
            Self::Remote { report, .. } | Self::Overloaded { report, .. } => report.hint.clone(),
            Self::ModelMissing { .. } => {
                Some("write the trained model as model.onnx or as a .gguf file into the step's output".into())
            }
            Self::ModelAmbiguous { wanted, .. } => Some(format!(
                "keep one {wanted} file in the folder, or name the one to serve model{wanted}"
            )),
            Self::ModelIsPickle { .. } => Some(
                "export the model to ONNX, for PyTorch with torch.onnx.export(model, inputs, \"model.onnx\")"
                    .into(),
            ),
            Self::ModelRunsCode { .. } => {
                Some("let a platform-admin deploy it with --allow-pickle, if you trust whoever made it".into())
            }
            Self::SignatureBroken { .. } => Some(
                "whoever made the model can log it with the signature of what it answers: infer_signature(inputs, \
                 model.predict(inputs))"
                    .into(),
            ),
            Self::PythonMissing { .. } => Some(
                "install it, or name a Python that has what the model requires: serving.python in config.toml"
                    .into(),
            ),
            Self::Environment { .. } => Some(
                "see the replica's log, or name a Python that has what the model requires: serving.python in \
                 config.toml"
                    .into(),
            ),
            Self::OnnxRuntime { .. } => Some(
                "serving.onnx_runtime in config.toml names the file libonnxruntime.so of version 1.17 or newer; without \
                 it ONNX models run in this binary"
                    .into(),
            ),
            Self::ModelTruncated { .. } => {
                Some("write the file again; publish it under its final name only when it is complete".into())
            }
            Self::ContextLengthExceeded { .. } => Some("shorten the prompt or ask for fewer tokens".into()),
            Self::QueueFull { .. } | Self::TooManyTokens { .. } | Self::TooLong { .. } => {
                Some("try again shortly, or add replicas to the endpoint".into())
            }
            Self::CpuUnsupported { .. } => Some(
                "build Corliss on this machine with the GGML_* settings of .cargo/config.toml off".into(),
            ),
            _ => None,
        }
    }
}

fn meaning_of(status: u16) -> Meaning {
    match status {
        400 => Meaning::InvalidInput,
        404 => Meaning::NotFound,
        409 => Meaning::Conflict,
        413 => Meaning::TooLarge,
        429 => Meaning::ResourceExhausted,
        503 => Meaning::Unavailable,
        504 => Meaning::DeadlineExceeded,
        _ => Meaning::Internal,
    }
}

impl EngineError {
    /// When there will be room again, where that is known.
    #[must_use]
    pub fn retry_after_s(&self) -> Option<u64> {
        match self {
            Self::TooManyTokens { retry_after_s, .. }
            | Self::TooLong { retry_after_s, .. }
            | Self::Overloaded { retry_after_s, .. } => Some(*retry_after_s),
            _ => None,
        }
    }

    /// A request field that is wrong.
    pub(crate) fn invalid(field: impl Into<String>, detail: impl Into<String>) -> Self {
        Self::InvalidRequest {
            field: field.into(),
            detail: detail.into(),
            hint: None,
        }
    }

    /// The same with the fix.
    pub(crate) fn invalid_hint(
        field: impl Into<String>,
        detail: impl Into<String>,
        hint: impl Into<String>,
    ) -> Self {
        Self::InvalidRequest {
            field: field.into(),
            detail: detail.into(),
            hint: Some(hint.into()),
        }
    }

    /// Wraps an operating system's refusal.
    pub(crate) fn io(doing: impl Into<String>, source: std::io::Error) -> Self {
        Self::Io {
            doing: doing.into(),
            source,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_remote_error_keeps_its_code_and_status() {
        let local = EngineError::QueueFull { limit: 3 };
        let report = Box::new(ErrorReport::of(&local));
        let remote = EngineError::Remote {
            status: local.meaning().http_status(),
            report,
        };
        assert_eq!(remote.code(), local.code());
        assert_eq!(remote.meaning(), local.meaning());
        assert_eq!(remote.hint(), local.hint());
        assert!(remote.retryable());
    }

    #[test]
    fn a_deadline_is_told_as_it_was_given() {
        let told = |micros| {
            let after = Duration::from_micros(micros);
            EngineError::DeadlineExceeded { after }.to_string()
        };
        assert!(told(1).contains(" 1 µs "), "{}", told(1));
        assert!(told(1_500).contains(" 1500 µs "));
        assert!(told(40_000).contains(" 40 ms "));
        assert!(told(2_000_000).contains(" 2 s "));
    }

    #[test]
    fn the_context_message_names_both_numbers() {
        let error = EngineError::ContextLengthExceeded {
            prompt_tokens: 9000,
            counted: true,
            max_tokens: None,
            context_tokens: 8192,
        };
        assert!(error.to_string().contains("9000") && error.to_string().contains("8192"));
    }
}
