//! Grammars made ready, away from the thread that decodes.
//!
//! Callers choose what is compiled, so it is bounded: what they send in size, the work by llguidance's own
//! counters, and their wait by the clock. One thread compiles, with less weight than those that decode: whatever
//! is sent, the answers of others have the rest of the machine.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError, mpsc};
use std::time::Duration;

use llguidance::api::{ParserLimits, TopLevelGrammar};
use llguidance::earley::SlicedBiasComputer;
use llguidance::toktrie::{ApproximateTokEnv, InferenceCapabilities, SimpleVob, TokEnv, TokRxInfo, TokTrie};
use llguidance::{Matcher, ParserFactory};
use serde_json::{Value, json};
use tokio::sync::oneshot;

use super::{Constraint, blame, schema, words};
use crate::EngineError;
use crate::gguf::loaded::Loaded;
use crate::protocol::AnswerFormat;

/// How long a grammar may take.
const PATIENCE: Duration = Duration::from_secs(3);
/// How long it may wait behind others, and for the vocabulary, which is made ready with the first.
const QUEUE_PATIENCE: Duration = Duration::from_secs(15);
/// Grammars that wait to be compiled.
const WAITING_MAX: usize = 32;
/// Compiled ones that are kept.
const KEPT: usize = 16;
/// Bytes of a pattern, a grammar, or all choices together.
const MAX_TEXT_BYTES: usize = 64 << 10;
const MAX_CHOICES: usize = 1024;
/// Of the thread: what is compiled may be nested.
const STACK_BYTES: usize = 16 << 20;
/// Less weight than the threads that decode.
const NICENESS: i32 = 10;
/// Name of the request's field in errors.
const FIELD: &str = "format";

/// White space between the parts of a JSON text: none, one space, or a line break with indentation. A model that
/// may write any amount sometimes writes nothing else.
const JSON_SPACE: &str = "[ ]|\n[ ]{0,20}";

/// What llguidance may spend. A step runs between two batches that everybody waits for: a few milliseconds.
fn limits() -> ParserLimits {
    ParserLimits {
        initial_lexer_fuel: 1_000_000,
        step_lexer_fuel: 50_000,
        step_max_items: 20_000,
        max_lexer_states: 20_000,
        max_grammar_size: 200_000,
        precompute_large_lexemes: false,
        verbose_errors: false,
        ..ParserLimits::default()
    }
}

struct Task {
    format: AnswerFormat,
    begun: oneshot::Sender<()>,
    answer: oneshot::Sender<Result<Constraint, String>>,
}

/// The way to the thread that compiles. The thread starts with the first grammar.
pub(in crate::gguf) struct Compiler {
    loaded: Arc<Loaded>,
    tasks: Mutex<Option<mpsc::SyncSender<Task>>>,
}

impl Compiler {
    /// For answers in this model's tokens.
    pub fn new(loaded: Arc<Loaded>) -> Self {
        Self {
            loaded,
            tasks: Mutex::new(None),
        }
    }

    /// A grammar's beginning.
    ///
    /// # Errors
    /// If it is not one, too large, or takes too long; or if others wait already.
    pub async fn compile(&self, format: &AnswerFormat) -> Result<Constraint, EngineError> {
        check(format)?;
        self.compile_checked(format).await
    }

    /// The same of a format whose parts were checked.
    ///
    /// # Errors
    /// As [`Compiler::compile`].
    pub async fn compile_checked(&self, format: &AnswerFormat) -> Result<Constraint, EngineError> {
        let (answer, answered) = oneshot::channel();
        let (begun, has_begun) = oneshot::channel();
        let task = Task {
            format: format.clone(),
            begun,
            answer,
        };
        if self.tasks()?.try_send(task).is_err() {
            return Err(EngineError::QueueFull { limit: WAITING_MAX });
        }
        if tokio::time::timeout(QUEUE_PATIENCE, has_begun).await.is_err() {
            return Err(EngineError::QueueFull { limit: WAITING_MAX });
        }
        match tokio::time::timeout(PATIENCE, answered).await {
            Ok(Ok(compiled)) => compiled.map_err(refused),
            // The thread panicked, which is llguidance's fault and the grammar's doing.
            Ok(Err(_)) => {
                *self.lock() = None;
                Err(refused("it cannot be compiled".to_owned()))
            }
            Err(_) => Err(refused(format!(
                "it takes more than {} s to compile",
                PATIENCE.as_secs()
            ))),
        }
    }

    fn tasks(&self) -> Result<mpsc::SyncSender<Task>, EngineError> {
        let mut tasks = self.lock();
        if let Some(tasks) = tasks.as_ref() {
            return Ok(tasks.clone());
        }
        let (sender, receiver) = mpsc::sync_channel(WAITING_MAX);
        let loaded = Arc::clone(&self.loaded);
        std::thread::Builder::new()
            .name("grammar".to_owned())
            .stack_size(STACK_BYTES)
            .spawn(move || run(&loaded, &receiver))
            .map_err(|source| EngineError::io("cannot start the thread that compiles grammars", source))?;
        *tasks = Some(sender.clone());
        Ok(sender)
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Option<mpsc::SyncSender<Task>>> {
        self.tasks.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn refused(reason: String) -> EngineError {
    EngineError::invalid(FIELD, reason)
}

/// What can be refused without compiling.
fn check(format: &AnswerFormat) -> Result<(), EngineError> {
    match format {
        AnswerFormat::JsonSchema(wanted) => {
            schema::check(wanted).map_err(|refusal| refused(refusal.to_string()))
        }
        AnswerFormat::Regex(text) | AnswerFormat::Lark(text) if text.len() > MAX_TEXT_BYTES => {
            Err(refused(format!(
                "it has {} bytes, and at most {MAX_TEXT_BYTES} are taken",
                text.len()
            )))
        }
        AnswerFormat::Choice(choices)
            if choices.is_empty()
                || choices.len() > MAX_CHOICES
                || choices.iter().map(String::len).sum::<usize>() > MAX_TEXT_BYTES
                || choices.iter().any(String::is_empty) =>
        {
            Err(refused(format!(
                "between 1 and {MAX_CHOICES} texts are taken, none empty, of {MAX_TEXT_BYTES} bytes together"
            )))
        }
        _ => Ok(()),
    }
}

fn run(loaded: &Loaded, tasks: &mpsc::Receiver<Task>) {
    // Of this thread alone, as Linux has it. One that is not made nicer computes all the same.
    let _ = rustix::process::setpriority_process(None, NICENESS);
    let factory = factory(&loaded.pieces, &loaded.ends);
    let mut kept = VecDeque::new();
    while let Ok(task) = tasks.recv() {
        if task.answer.is_closed() {
            continue;
        }
        let _ = task.begun.send(());
        let compiled = match &factory {
            Ok(factory) => begin(factory, &task.format, &mut kept),
            Err(error) => Err(error.clone()),
        };
        let _ = task.answer.send(compiled);
    }
}

/// The vocabulary as a trie of bytes, which is the same for all grammars.
fn factory(pieces: &[Box<[u8]>], ends: &[bool]) -> Result<ParserFactory, String> {
    let size = u32::try_from(pieces.len()).map_err(|error| error.to_string())?;
    let ends: Vec<u32> = (0..size)
        .zip(ends)
        .filter(|(_, ends)| **ends)
        .map(|(id, _)| id)
        .collect();
    let Some(first) = ends.first() else {
        return Err("no token of this model ends an answer".to_owned());
    };
    // 0xff marks names of control tokens there, and no text holds that byte.
    let words: Vec<Vec<u8>> = pieces
        .iter()
        .map(|piece| match piece.first() {
            Some(0xff) | None => Vec::new(),
            Some(_) => piece.to_vec(),
        })
        .collect();
    let trie = TokTrie::from(&TokRxInfo::new(size, *first), &words).with_eos_tokens(&ends);
    let env: TokEnv = Arc::new(ApproximateTokEnv::new(trie));
    let mut factory = ParserFactory::new(
        &env,
        InferenceCapabilities::default(),
        &SlicedBiasComputer::json_slices(),
    )
    .map_err(|error| error.to_string())?;
    factory.quiet();
    *factory.limits_mut() = limits();
    Ok(factory)
}

/// A grammar that was compiled before, and what may come first in it.
struct Kept {
    format: AnswerFormat,
    matcher: Matcher,
    first: SimpleVob,
}

/// An answer at the beginning of its grammar: of one that is kept, or of a new one, whose first step is tried here,
/// where nobody else waits for it.
fn begin(
    factory: &ParserFactory,
    format: &AnswerFormat,
    kept: &mut VecDeque<Kept>,
) -> Result<Constraint, String> {
    let known = kept.iter().position(|known| known.format == *format);
    let grammar = match known.and_then(|at| kept.remove(at)) {
        Some(known) => known,
        None => compile(factory, format)?,
    };
    let constraint = Constraint {
        matcher: grammar.matcher.deep_clone(),
        allowed: Some(grammar.first.clone()),
    };
    if kept.len() >= KEPT {
        kept.pop_front();
    }
    kept.push_back(grammar);
    Ok(constraint)
}

/// A grammar from its format; if there is none, why, in words of the format.
fn compile(factory: &ParserFactory, format: &AnswerFormat) -> Result<Kept, String> {
    let (matcher, first) = attempt(factory, grammar(format)).map_err(|said| match format {
        AnswerFormat::JsonSchema(schema) => {
            let fails = |part: &Value| {
                if part == &Value::Bool(false) {
                    return Some("Unsatisfiable schema: schema is false".to_owned());
                }
                let part = TopLevelGrammar::from_json_schema(spaced(part));
                attempt(factory, part).err()
            };
            blame::refusal(schema, &said, fails).to_string()
        }
        _ => format!("it {}", words::of(&said).text),
    })?;
    Ok(Kept {
        format: format.clone(),
        matcher,
        first,
    })
}

/// A grammar, and what may come first; or what llguidance says.
fn attempt(factory: &ParserFactory, grammar: TopLevelGrammar) -> Result<(Matcher, SimpleVob), String> {
    let parser = factory
        .create_parser(grammar)
        .map_err(|error| format!("{error:#}"))?;
    let mut matcher = Matcher::new(Ok(parser));
    let first = matcher.compute_mask().map_err(|error| format!("{error:#}"))?;
    if first.is_zero() {
        // Of what no text fits it has nothing to say.
        return Err(String::new());
    }
    Ok((matcher, first))
}

fn grammar(format: &AnswerFormat) -> TopLevelGrammar {
    match format {
        AnswerFormat::JsonObject => TopLevelGrammar::from_json_schema(spaced(&json!({"type": "object"}))),
        AnswerFormat::JsonSchema(schema) => TopLevelGrammar::from_json_schema(spaced(schema)),
        AnswerFormat::Regex(pattern) => TopLevelGrammar::from_regex(pattern),
        AnswerFormat::Choice(choices) => {
            let choices: Vec<String> = choices.iter().map(|text| json!(text).to_string()).collect();
            TopLevelGrammar::from_lark(format!("start: {}", choices.join(" | ")))
        }
        AnswerFormat::Lark(text) => TopLevelGrammar::from_lark(text.clone()),
    }
}

/// The schema with our bound on white space. Its own draft is left out: keywords are those that [`schema`] knows.
pub(in crate::gguf) fn spaced(schema: &Value) -> Value {
    let mut members = schema.as_object().cloned().unwrap_or_default();
    members.shift_remove("$schema");
    if schema == &Value::Bool(false) {
        members.insert("enum".to_owned(), json!([]));
    }
    members.insert(
        "x-guidance".to_owned(),
        json!({ "whitespace_pattern": JSON_SPACE }),
    );
    Value::Object(members)
}

#[cfg(test)]
mod tests;
