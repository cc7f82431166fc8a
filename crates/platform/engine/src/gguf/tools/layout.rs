//! A chat with tools, as templates take it: as Hugging Face hands it to them where the template knows tools, and in
//! messages of ours where it does not.

use serde_json::{Value, json};

use super::Form;
use crate::EngineError;
use crate::gguf::json_text::json_text;
use crate::protocol::{ChatMessage, Tool, ToolCall};

/// What a template is given.
#[derive(Debug, PartialEq)]
pub(in crate::gguf) struct Laid {
    pub messages: Vec<Value>,
    /// For a template that knows tools.
    pub tools: Option<Vec<Value>>,
}

/// Lays out messages and the tools offered for a template whose calls have this form, if it knows any.
pub(in crate::gguf) fn lay_out(
    messages: &[ChatMessage],
    tools: &[Tool],
    form: Option<Form>,
) -> Result<Laid, EngineError> {
    match form {
        Some(_) => Ok(Laid {
            messages: messages
                .iter()
                .enumerate()
                .map(|(at, message)| native(at, message))
                .collect::<Result<_, _>>()?,
            tools: (!tools.is_empty()).then(|| tools.iter().map(described).collect()),
        }),
        None => Ok(Laid {
            messages: plain(messages, tools)?,
            tools: None,
        }),
    }
}

/// A tool as OpenAI's clients write it, which is what templates expect.
fn described(tool: &Tool) -> Value {
    let mut function = json!({ "name": tool.name });
    if let Some(description) = &tool.description {
        function["description"] = json!(description);
    }
    function["parameters"] = match &tool.parameters {
        Some(parameters) => parameters.clone(),
        None => json!({"type": "object", "properties": {}}),
    };
    json!({ "type": "function", "function": function })
}

fn arguments(at: usize, call: &ToolCall) -> Result<Value, EngineError> {
    let arguments = if call.arguments.is_empty() {
        "{}"
    } else {
        &call.arguments
    };
    serde_json::from_str(arguments)
        .ok()
        .filter(Value::is_object)
        .ok_or_else(|| {
            EngineError::invalid(
                format!("messages[{at}].tool_calls"),
                "the arguments of a call must be a JSON object as a text",
            )
        })
}

fn native(at: usize, message: &ChatMessage) -> Result<Value, EngineError> {
    let mut laid = json!({ "role": message.role, "content": message.content });
    if !message.tool_calls.is_empty() {
        let mut calls = Vec::with_capacity(message.tool_calls.len());
        for call in &message.tool_calls {
            let function = json!({ "name": call.name, "arguments": arguments(at, call)? });
            calls.push(json!({ "type": "function", "id": call.id, "function": function }));
        }
        laid["tool_calls"] = json!(calls);
    }
    if let Some(id) = &message.tool_call_id {
        laid["tool_call_id"] = json!(id);
    }
    if let Some(name) = &message.name {
        laid["name"] = json!(name);
    }
    Ok(laid)
}

/// In the roles that every template knows.
fn plain(messages: &[ChatMessage], tools: &[Tool]) -> Result<Vec<Value>, EngineError> {
    let mut laid: Vec<(&str, String)> = Vec::with_capacity(messages.len() + 1);
    if !tools.is_empty() {
        laid.push(("system", instructions(tools)));
    }
    // Results of several calls are one message: many templates want roles to alternate.
    let mut after_result = false;
    for (at, message) in messages.iter().enumerate() {
        let is_result = message.role == "tool";
        let mut content = message.content.clone();
        if is_result {
            content = format!("<tool_response>\n{content}\n</tool_response>");
        }
        for call in &message.tool_calls {
            let call = json!({ "name": call.name, "arguments": arguments(at, call)? });
            let before = if content.is_empty() { "" } else { "\n" };
            content.push_str(&format!("{before}<tool_call>\n{}\n</tool_call>", python(&call)));
        }
        match laid.last_mut() {
            Some((_, last)) if is_result && after_result => {
                last.push('\n');
                last.push_str(&content);
            }
            Some(("system", last)) if at == 0 && message.role == "system" => {
                *last = format!("{content}\n\n{last}");
            }
            _ => laid.push((if is_result { "user" } else { &message.role }, content)),
        }
        after_result = is_result;
    }
    Ok(laid
        .into_iter()
        .map(|(role, content)| json!({ "role": role, "content": content }))
        .collect())
}

fn instructions(tools: &[Tool]) -> String {
    let tools: Vec<String> = tools.iter().map(|tool| python(&described(tool))).collect();
    format!(
        "You may call functions to answer. They are, one a line:\n<tools>\n{}\n</tools>\n\
         A call is its name and arguments as JSON between tags, and nothing else:\n\
         <tool_call>\n{{\"name\": \"the function's name\", \"arguments\": {{\"an argument\": \"its value\"}}}}\n</tool_call>\n\
         What it returns is sent between <tool_response> tags.",
        tools.join("\n")
    )
}

fn python(value: &Value) -> String {
    json_text(value, None)
}

#[cfg(test)]
mod tests {
    use corliss_diagnostics::Diagnose;

    use super::*;

    fn tools() -> Vec<Tool> {
        vec![Tool {
            name: "weather".to_owned(),
            description: Some("tells the weather".to_owned()),
            parameters: None,
            strict: false,
        }]
    }

    fn chat() -> Vec<ChatMessage> {
        let call = |id: &str| ToolCall {
            id: id.to_owned(),
            name: "weather".to_owned(),
            arguments: "{\"city\": \"Rome\"}".to_owned(),
        };
        let result = |id: &str, content: &str| ChatMessage {
            tool_call_id: Some(id.to_owned()),
            ..ChatMessage::new("tool", content)
        };
        vec![
            ChatMessage::new("system", "Be brief."),
            ChatMessage::new("user", "Weather?"),
            ChatMessage {
                tool_calls: vec![call("1"), call("2")],
                ..ChatMessage::new("assistant", "")
            },
            result("1", "sun"),
            result("2", "rain"),
        ]
    }

    #[test]
    fn a_template_that_knows_tools_is_given_them() {
        let laid = lay_out(&chat(), &tools(), Some(Form::Tagged)).unwrap();
        assert_eq!(laid.tools.unwrap()[0]["function"]["name"], "weather");
        assert_eq!(
            laid.messages[2]["tool_calls"][1]["function"]["arguments"],
            json!({"city": "Rome"})
        );
        assert_eq!(laid.messages[3]["tool_call_id"], "1");
        assert_eq!(
            laid.messages[0],
            json!({"role": "system", "content": "Be brief."})
        );
    }

    #[test]
    fn another_is_given_messages_in_the_usual_roles() {
        let laid = lay_out(&chat(), &tools(), None).unwrap();
        assert_eq!(laid.tools, None);
        let roles: Vec<_> = laid.messages.iter().map(|message| &message["role"]).collect();
        assert_eq!(roles, ["system", "user", "assistant", "user"]);
        let content = |at: usize| laid.messages[at]["content"].as_str().unwrap();
        assert!(content(0).starts_with("Be brief.\n\n") && content(0).contains("\"name\": \"weather\""));
        let call = "<tool_call>\n{\"name\": \"weather\", \"arguments\": {\"city\": \"Rome\"}}\n</tool_call>";
        assert_eq!(content(2), format!("{call}\n{call}"));
        assert_eq!(
            content(3),
            "<tool_response>\nsun\n</tool_response>\n<tool_response>\nrain\n</tool_response>"
        );
        let alone = lay_out(&[ChatMessage::new("user", "x")], &tools(), None).unwrap();
        assert_eq!(alone.messages.len(), 2);
        let without = lay_out(&[ChatMessage::new("user", "x")], &[], None).unwrap();
        assert_eq!(without.messages, [json!({"role": "user", "content": "x"})]);
    }

    #[test]
    fn arguments_that_are_no_object_are_refused_by_place() {
        let mut messages = chat();
        messages[2].tool_calls[1].arguments = "[1]".to_owned();
        for form in [None, Some(Form::Tagged)] {
            let error = lay_out(&messages, &[], form).unwrap_err();
            assert_eq!(error.field().as_deref(), Some("messages[2].tool_calls"));
        }
    }
}
