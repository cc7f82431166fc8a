//! The grammar of an answer that may or must call tools, in llguidance's variant of Lark.

use std::fmt::Write;

use serde_json::{Value, json};

use super::Form;
use crate::EngineError;
use crate::gguf::constraint::spaced;
use crate::protocol::{AnswerFormat, GenerateRequest, ToolChoice};

/// The grammar of an answer that calls these tools, by name and schema of the arguments.
pub(super) fn of(
    form: Form,
    request: &GenerateRequest,
    tools: &[(&str, Value)],
) -> Result<AnswerFormat, EngineError> {
    let several = request.parallel_tool_calls
        && form == Form::Tagged
        && !matches!(request.tool_choice, ToolChoice::Named(_));
    let more = if several { " (\"\\n\"? call)*" } else { "" };
    let mut text = match (&request.tool_choice, &request.format) {
        (ToolChoice::Auto, None) => {
            let begun = match form {
                // What is written before a call stays free: it ends with the first tag, which is read with it.
                Form::Tagged => "tagged body",
                Form::Bare => "call",
            };
            format!("start: FREE? | {begun}{more}\n{}", free(form))
        }
        (ToolChoice::Auto, Some(format)) => {
            let json = match format {
                AnswerFormat::JsonObject => json!({"type": "object"}),
                AnswerFormat::JsonSchema(schema) => schema.clone(),
                _ => {
                    let detail = "beside tools the answer's format must be JSON";
                    return Err(EngineError::invalid("format", detail));
                }
            };
            format!("start: answer | call{more}\nanswer: %json {}\n", spaced(&json))
        }
        _ => format!("start: call{more}\n"),
    };
    let names: Vec<String> = (0..tools.len()).map(|at| format!("call_{at}")).collect();
    let (tag, open, close) = match form {
        Form::Tagged => ("\"<tool_call>\" ", "\n", "}\n</tool_call>"),
        Form::Bare => ("", "", "}"),
    };
    // Writing to a String cannot fail.
    let _ = writeln!(text, "call: {tag}body\nbody: {}", names.join(" | "));
    for ((name, schema), call) in tools.iter().zip(&names) {
        let open = json!(format!(
            "{open}{{\"name\": \"{name}\", \"{}\": ",
            form.arguments()
        ));
        let _ = writeln!(text, "{call}: {open} {call}_with {}", json!(close));
        let _ = writeln!(text, "{call}_with: %json {}", spaced(schema));
    }
    Ok(AnswerFormat::Lark(text))
}

/// Text that is no call and does not begin one.
fn free(form: Form) -> &'static str {
    match form {
        Form::Tagged => {
            "FREE: /(?s:.+)/ & ~/(?s:.*)<tool_call>(?s:.*)/\ntagged[lazy]: /(?s:.*)<tool_call>/\n"
        }
        Form::Bare => "FREE: /(?s:.+)/ & ~/\\{\"name\": \"(?s:.*)/\n",
    }
}
