//! Calls of tools: how a chat tells the model of them, what a call looks like in what it writes, and how calls are read
//! out of that again.
//!
//! Models write calls in the form that their template shows them, and two forms are known ([`Form`]). A chat of a model
//! whose template knows no tools, or another form, is given a text of ours and the tagged form ([`lay_out`]). Whatever the
//! model, a [`grammar`] holds it to the form and to each tool's schema, so what [`CallReader`] reads is never torn but where
//! `max_tokens` ends it.

mod grammar;
mod layout;
mod reader;

use std::collections::BTreeSet;

use serde_json::Value;

use super::constraint::check_schema;
use crate::EngineError;
use crate::protocol::{AnswerFormat, GenerateRequest, Tool, ToolChoice};

pub(super) use layout::{Laid, lay_out};
pub(super) use reader::{CallReader, Part};

const MAX_TOOLS: usize = 128;
const MAX_NAME: usize = 64;

/// How a call is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Form {
    /// Between `<tool_call>` tags, as Hermes and Qwen do; several may follow each other.
    Tagged,
    /// The whole answer is one JSON object, as Llama 3 does.
    Bare,
}

impl Form {
    /// The name of the member that holds the arguments.
    fn arguments(self) -> &'static str {
        match self {
            Self::Tagged => "arguments",
            Self::Bare => "parameters",
        }
    }

    /// How a template's calls are written, if it knows tools in a form that is known here.
    pub fn of_template(source: &str) -> Option<Self> {
        if !source.contains("tools") {
            return None;
        }
        match source.contains("<tool_call>") {
            // A name of a function as a tag, its arguments too: not JSON.
            true if source.contains("<function=") => None,
            true => Some(Self::Tagged),
            false if source.contains("\"parameters\"") => Some(Self::Bare),
            false => None,
        }
    }
}

/// The tools that a request lets the model call, checked.
#[derive(Debug)]
pub(super) struct Offer {
    pub form: Form,
    /// What the answer must be, with every tool's schema; and without those of the tools that are not strict.
    pub formats: Vec<AnswerFormat>,
}

/// What a request offers, if it offers anything.
pub(super) fn offer(request: &GenerateRequest, form: Form) -> Result<Option<Offer>, EngineError> {
    if request.tools.is_empty() || request.tool_choice == ToolChoice::None {
        if matches!(request.tool_choice, ToolChoice::Required | ToolChoice::Named(_)) {
            return Err(EngineError::invalid(
                "tool_choice",
                "there are no tools to choose from",
            ));
        }
        return Ok(None);
    }
    if request.messages.is_none() {
        return Err(EngineError::invalid("tools", "tools are offered in a chat only"));
    }
    if request.tools.len() > MAX_TOOLS {
        let detail = format!(
            "{} tools are too many; at most {MAX_TOOLS} are taken",
            request.tools.len()
        );
        return Err(EngineError::invalid("tools", detail));
    }
    check_names(&request.tools)?;
    if request.tool_choice != ToolChoice::Auto && request.stop.iter().any(|stop| !stop.is_empty()) {
        return Err(EngineError::invalid(
            "stop",
            "a stop text would cut a call that must be made",
        ));
    }
    let called: Vec<&Tool> = match &request.tool_choice {
        ToolChoice::Named(name) => request.tools.iter().filter(|tool| tool.name == *name).collect(),
        _ => request.tools.iter().collect(),
    };
    if called.is_empty() {
        return Err(EngineError::invalid(
            "tool_choice",
            "it names a tool that is not among the tools",
        ));
    }
    let mut exact = Vec::with_capacity(called.len());
    for tool in &called {
        let refused = tool
            .parameters
            .as_ref()
            .and_then(|schema| check_arguments(schema).err());
        match refused {
            Some(reason) if tool.strict => {
                let at = request.tools.iter().position(|other| other.name == tool.name);
                let field = format!("tools[{}].parameters", at.unwrap_or_default());
                return Err(EngineError::invalid(field, reason));
            }
            // Without `strict` a schema describes; it is followed where it can be.
            refused => exact.push((tool.name.as_str(), schema_of(tool, refused.is_none()))),
        }
    }
    let loose: Vec<(&str, Value)> = called
        .iter()
        .map(|tool| (tool.name.as_str(), schema_of(tool, tool.strict)))
        .collect();
    let mut formats = vec![grammar::of(form, request, &exact)?];
    if loose != exact {
        formats.push(grammar::of(form, request, &loose)?);
    }
    Ok(Some(Offer { form, formats }))
}

/// Whether arguments can be held to it: they are an object, and nothing else.
fn check_arguments(schema: &Value) -> Result<(), String> {
    if schema.get("type").and_then(Value::as_str) != Some("object") {
        return Err("arguments are an object, so their schema must say \"type\": \"object\"".to_owned());
    }
    check_schema(schema)
}

/// The schema that a call's arguments are held to.
fn schema_of(tool: &Tool, exactly: bool) -> Value {
    match &tool.parameters {
        None => serde_json::json!({"type": "object", "properties": {}, "additionalProperties": false}),
        Some(schema) if exactly => schema.clone(),
        Some(_) => serde_json::json!({"type": "object"}),
    }
}

fn check_names(tools: &[Tool]) -> Result<(), EngineError> {
    let mut names = BTreeSet::new();
    for (at, tool) in tools.iter().enumerate() {
        let known = |character: char| character.is_ascii_alphanumeric() || "_-.".contains(character);
        let detail = if tool.name.is_empty() || tool.name.len() > MAX_NAME || !tool.name.chars().all(known) {
            format!("a name has 1 to {MAX_NAME} letters, digits, dots, underscores and dashes")
        } else if !names.insert(&tool.name) {
            "another tool has this name".to_owned()
        } else {
            continue;
        };
        return Err(EngineError::invalid(format!("tools[{at}].name"), detail));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use corliss_diagnostics::Diagnose;
    use serde_json::json;

    use super::*;
    use crate::protocol::ChatMessage;

    fn asking(tools: Vec<Tool>, tool_choice: ToolChoice) -> GenerateRequest {
        GenerateRequest {
            messages: Some(vec![ChatMessage::new("user", "x")]),
            tools,
            tool_choice,
            ..GenerateRequest::default()
        }
    }

    fn tool(name: &str, parameters: Value, strict: bool) -> Tool {
        Tool {
            name: name.to_owned(),
            description: None,
            parameters: Some(parameters),
            strict,
        }
    }

    #[test]
    fn the_template_says_how_calls_are_written() {
        let form = Form::of_template;
        assert_eq!(form("{% for m in messages %}{% endfor %}"), None);
        assert_eq!(form("{% if tools %}<tool_call>"), Some(Form::Tagged));
        assert_eq!(
            form("{% if tools %}{\"name\": x, \"parameters\": y}"),
            Some(Form::Bare)
        );
        assert_eq!(form("{% if tools %}<tool_call><function=x>"), None);
        assert_eq!(form("{% if tools %}[TOOL_CALLS]"), None);
    }

    #[test]
    fn nothing_is_offered_without_tools_or_by_choice() {
        let good = || vec![tool("f", json!({"type": "object"}), false)];
        for (tools, choice) in [(vec![], ToolChoice::Auto), (good(), ToolChoice::None)] {
            assert!(offer(&asking(tools, choice), Form::Tagged).unwrap().is_none());
        }
        let offered = offer(&asking(good(), ToolChoice::Auto), Form::Tagged)
            .unwrap()
            .unwrap();
        assert_eq!(offered.formats.len(), 1);
    }

    #[test]
    fn what_is_wrong_is_named() {
        let field = |request: &GenerateRequest| offer(request, Form::Tagged).unwrap_err().field().unwrap();
        let good = || tool("f", json!({}), false);
        for (tools, choice, wrong) in [
            (vec![], ToolChoice::Required, "tool_choice"),
            (vec![good()], ToolChoice::Named("g".to_owned()), "tool_choice"),
            (vec![good(), good()], ToolChoice::Auto, "tools[1].name"),
            (
                vec![tool("a b", json!({}), false)],
                ToolChoice::Auto,
                "tools[0].name",
            ),
            (vec![good(); MAX_TOOLS + 1], ToolChoice::Auto, "tools"),
            (
                vec![good(), tool("g", json!({"not": {}}), true)],
                ToolChoice::Auto,
                "tools[1].parameters",
            ),
            (
                vec![tool("f", json!({"type": "integer"}), true)],
                ToolChoice::Auto,
                "tools[0].parameters",
            ),
        ] {
            assert_eq!(field(&asking(tools, choice)), wrong);
        }
        let mut cut = asking(vec![good()], ToolChoice::Required);
        cut.stop = vec!["x".to_owned()];
        assert_eq!(field(&cut), "stop");
    }

    #[test]
    fn a_schema_that_only_describes_is_followed_where_it_can_be() {
        let tools = vec![
            tool("f", json!({"not": {}}), false),
            tool(
                "g",
                json!({"type": "object", "properties": {"a": {"const": 7}}}),
                false,
            ),
        ];
        let offered = offer(&asking(tools, ToolChoice::Auto), Form::Tagged)
            .unwrap()
            .unwrap();
        let texts: Vec<String> = offered
            .formats
            .iter()
            .map(|format| format!("{format:?}"))
            .collect();
        assert_eq!(texts.len(), 2);
        assert!(
            texts[0].contains("const") && !texts[0].contains("not"),
            "{}",
            texts[0]
        );
        assert!(!texts[1].contains("const"), "{}", texts[1]);
    }
}
