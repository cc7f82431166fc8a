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

use super::{Constraint, schema};
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
    EngineError::invalid(FIELD, plain(&reason))
}

/// What llguidance said, without what is only for its own authors.
pub(in crate::gguf) fn plain(reason: &str) -> String {
    let said = reason.split("<non-verbose/>").next().unwrap_or_default().trim();
    if said.is_empty() || said == "NoExtensionBias" {
        return "no text is an answer to it".to_owned();
    }
    said.chars().take(500).collect()
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

fn compile(factory: &ParserFactory, format: &AnswerFormat) -> Result<Kept, String> {
    let parser = factory
        .create_parser(grammar(format)?)
        .map_err(|error| format!("{error:#}"))?;
    let mut matcher = Matcher::new(Ok(parser));
    let first = matcher.compute_mask().map_err(|error| format!("{error:#}"))?;
    if first.is_zero() {
        return Err("no text is an answer to it".to_owned());
    }
    Ok(Kept {
        format: format.clone(),
        matcher,
        first,
    })
}

fn grammar(format: &AnswerFormat) -> Result<TopLevelGrammar, String> {
    Ok(match format {
        AnswerFormat::JsonObject => TopLevelGrammar::from_json_schema(spaced(&json!({"type": "object"}))),
        AnswerFormat::JsonSchema(schema) => TopLevelGrammar::from_json_schema(spaced(schema)),
        AnswerFormat::Regex(pattern) => TopLevelGrammar::from_regex(pattern),
        AnswerFormat::Choice(choices) => {
            let choices: Vec<String> = choices.iter().map(|text| json!(text).to_string()).collect();
            TopLevelGrammar::from_lark(format!("start: {}", choices.join(" | ")))
        }
        AnswerFormat::Lark(text) => TopLevelGrammar::from_lark(text.clone()),
    })
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
mod tests {
    use super::*;

    /// A vocabulary of single bytes, some words, and one token that ends.
    fn vocabulary() -> (Vec<Box<[u8]>>, Vec<bool>) {
        let words = ["{\"", "\":", "true", "name", " ", "the "];
        let mut pieces: Vec<Box<[u8]>> = (0..=255_u8).map(|byte| Box::from([byte])).collect();
        pieces.extend(words.map(|word| Box::from(word.as_bytes())));
        pieces.push(Box::from([]));
        let mut ends = vec![false; pieces.len()];
        ends[pieces.len() - 1] = true;
        (pieces, ends)
    }

    fn begun(format: &AnswerFormat) -> Result<Constraint, String> {
        let (pieces, ends) = vocabulary();
        begin(&factory(&pieces, &ends).unwrap(), format, &mut VecDeque::new())
    }

    /// Whether the grammar takes a text byte by byte, and may end behind it.
    fn takes(format: &AnswerFormat, text: &str) -> bool {
        let end = vocabulary().0.len() - 1;
        let mut constraint = begun(format).unwrap();
        for (at, byte) in text.bytes().enumerate() {
            if !constraint.allowed().unwrap().get(usize::from(byte)) {
                return false;
            }
            if constraint.accept(usize::from(byte)).unwrap() {
                return at + 1 == text.len();
            }
        }
        constraint.allowed().unwrap().get(end)
    }

    fn of_schema(schema: Value) -> AnswerFormat {
        AnswerFormat::JsonSchema(schema)
    }

    #[test]
    fn only_what_the_schema_says_may_come_and_it_ends_where_it_is_complete() {
        let person = of_schema(json!({
            "type": "object", "required": ["name", "age"], "additionalProperties": false,
            "properties": {"name": {"type": "string", "maxLength": 5}, "age": {"type": "integer", "minimum": 0}},
        }));
        assert!(takes(&person, r#"{"name": "Ada", "age": 36}"#));
        assert!(takes(&person, "{\"name\":\"Ada\",\n  \"age\":36}"));
        for wrong in [
            r#"{"age": 36, "name": "Ada"}"#,
            r#"{"name": "Ada"}"#,
            r#"{"name": "Adalbert", "age": 3}"#,
            r#"{"name": "Ada", "age": -3}"#,
            r#"{"name": "Ada", "age": 36"#,
            r#"{"name":   "Ada", "age": 36}"#,
            "hello",
        ] {
            assert!(!takes(&person, wrong), "{wrong}");
        }
    }

    #[test]
    fn objects_patterns_choices_and_grammars() {
        assert!(takes(&AnswerFormat::JsonObject, r#"{"a": [1, {"b": null}]}"#));
        assert!(!takes(&AnswerFormat::JsonObject, "[1]"));
        let year = AnswerFormat::Regex("[12][0-9]{3}".to_owned());
        assert!(takes(&year, "1843") && !takes(&year, "3000") && !takes(&year, "184"));
        let choice = AnswerFormat::Choice(vec!["yes \"sir\"".to_owned(), "né\n".to_owned()]);
        assert!(takes(&choice, "yes \"sir\"") && takes(&choice, "né\n") && !takes(&choice, "yes"));
        let lark = AnswerFormat::Lark("start: \"a\"+ end\nend: \"b\" | \"c\"".to_owned());
        assert!(takes(&lark, "aab") && takes(&lark, "c") == takes(&lark, "b"));
    }

    #[test]
    fn tools_are_called_in_the_form_of_the_template_or_text_is_written() {
        use crate::gguf::tools::{Form, offer};
        use crate::protocol::{ChatMessage, GenerateRequest, Tool, ToolChoice};
        let request = |tool_choice, parallel_tool_calls| GenerateRequest {
            messages: Some(vec![ChatMessage::new("user", "x")]),
            tools: vec![Tool {
                name: "f".to_owned(),
                parameters: Some(
                    json!({"type": "object", "required": ["a"], "additionalProperties": false,
                    "properties": {"a": {"type": "integer"}}}),
                ),
                ..Tool::default()
            }],
            tool_choice,
            parallel_tool_calls,
            ..GenerateRequest::default()
        };
        let grammar = |request: &GenerateRequest, form| {
            let offer = offer(request, form).unwrap().unwrap();
            offer.formats.first().unwrap().clone()
        };
        let call = "<tool_call>\n{\"name\": \"f\", \"arguments\": {\"a\": 1}}\n</tool_call>";
        let free = grammar(&request(ToolChoice::Auto, true), Form::Tagged);
        for text in ["", "I would <call> {\"name\": \"f\"}.", call] {
            assert!(takes(&free, text), "{text}");
        }
        assert!(takes(&free, &format!("Let me see.\n{call}\n{call}")));
        assert!(!takes(&free, &format!("{call} and more")));
        assert!(!takes(
            &free,
            "<tool_call>\n{\"name\": \"g\", \"arguments\": {\"a\": 1}}\n</tool_call>"
        ));
        assert!(!takes(
            &free,
            "<tool_call>\n{\"name\": \"f\", \"arguments\": {\"b\": 1}}\n</tool_call>"
        ));
        let must = grammar(&request(ToolChoice::Required, true), Form::Tagged);
        assert!(takes(&must, call) && takes(&must, &format!("{call}{call}")));
        assert!(!takes(&must, "") && !takes(&must, "Hello") && !takes(&must, &format!("{call}Hello")));
        for choice in [
            ToolChoice::Required,
            ToolChoice::Auto,
            ToolChoice::Named("f".to_owned()),
        ] {
            let one = grammar(
                &request(choice.clone(), choice == ToolChoice::Named("f".to_owned())),
                Form::Tagged,
            );
            assert!(takes(&one, call) && !takes(&one, &format!("{call}\n{call}")));
        }
        let bare = grammar(&request(ToolChoice::Auto, true), Form::Bare);
        assert!(takes(&bare, "{\"name\": \"f\", \"parameters\": {\"a\": 1}}"));
        assert!(takes(&bare, "Hello {") && takes(&bare, "{\"names\": 3}"));
        assert!(!takes(&bare, "{\"name\": \"f\", \"parameters\": {}}"));
        let mut told = request(ToolChoice::Auto, true);
        told.format = Some(of_schema(
            json!({"type": "object", "required": ["b"], "properties": {"b": {}}}),
        ));
        let either = grammar(&told, Form::Tagged);
        assert!(takes(&either, call) && takes(&either, "{\"b\": 1}"));
        assert!(!takes(&either, "Hello") && !takes(&either, "{}"));
    }

    #[test]
    fn members_come_in_the_order_of_the_schema() {
        let schema: Value = serde_json::from_str(
            r#"{"type":"object","required":["z","a"],"additionalProperties":false,
                "properties":{"z":{"const":1},"a":{"const":2}}}"#,
        )
        .unwrap();
        assert!(takes(&of_schema(schema.clone()), r#"{"z":1,"a":2}"#));
        assert!(!takes(&of_schema(schema), r#"{"a":2,"z":1}"#));
    }

    #[test]
    fn a_kept_grammar_begins_anew_each_time() {
        let (pieces, ends) = vocabulary();
        let factory = factory(&pieces, &ends).unwrap();
        let format = AnswerFormat::Regex("ab".to_owned());
        let mut kept = VecDeque::new();
        for _ in 0..3 {
            let mut constraint = begin(&factory, &format, &mut kept).unwrap();
            assert!(constraint.allowed().unwrap().get(usize::from(b'a')));
            assert!(!constraint.accept(usize::from(b'a')).unwrap());
            assert!(constraint.accept(usize::from(b'b')).unwrap());
        }
        assert_eq!(kept.len(), 1);
        for number in 0..2 * KEPT {
            begin(&factory, &AnswerFormat::Regex(format!("a{number}")), &mut kept).unwrap();
        }
        assert_eq!(kept.len(), KEPT);
    }

    #[test]
    fn what_only_llguidances_authors_understand_is_not_told() {
        assert_eq!(
            plain("NoExtensionBias\n<non-verbose/>"),
            "no text is an answer to it"
        );
        assert_eq!(plain("too many items\n<non-verbose/>"), "too many items");
        assert_eq!(plain(&"x".repeat(900)).len(), 500);
    }

    #[test]
    fn what_no_text_satisfies_is_refused() {
        for schema in [
            json!(false),
            json!({"type": "integer", "minimum": 3, "maximum": 2}),
            json!({"allOf": [{"type": "string"}, {"type": "number"}]}),
            json!({"$ref": "#"}),
            json!({"$ref": "#/$defs/gone"}),
            json!({"type": "string", "format": "no-such-format"}),
            json!({"type": "string", "pattern": "("}),
            json!({"type": "king"}),
        ] {
            assert!(begun(&of_schema(schema.clone())).is_err(), "{schema}");
        }
        assert!(begun(&AnswerFormat::Lark("start: start".to_owned())).is_err());
        assert!(begun(&AnswerFormat::Lark("nothing".to_owned())).is_err());
        assert!(begun(&AnswerFormat::Regex("(".to_owned())).is_err());
    }
}
