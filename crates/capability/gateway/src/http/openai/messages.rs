//! The messages of a chat: text, calls of tools and their results, in the roles that chat templates know.

use std::collections::HashSet;

use corliss_engine::protocol::{ChatMessage, ToolCall};
use serde_json::Value;

use super::parameters::{invalid, only};
use super::tools::check_arguments;
use crate::error::GatewayError;

/// Reads `messages`.
pub(super) fn read(messages: Vec<Value>) -> Result<Vec<ChatMessage>, GatewayError> {
    if messages.is_empty() {
        return Err(invalid("messages", "must hold at least one message"));
    }
    let mut called = HashSet::new();
    let mut all = Vec::with_capacity(messages.len());
    for (index, message) in messages.iter().enumerate() {
        let read = read_one(index, message)?;
        if let Some(id) = &read.tool_call_id
            && read.role == "tool"
            && !called.contains(id)
        {
            let reason = "names no call of an assistant's message that comes before it";
            return Err(invalid(&format!("messages[{index}].tool_call_id"), reason));
        }
        called.extend(read.tool_calls.iter().map(|call| call.id.clone()));
        all.push(read);
    }
    Ok(all)
}

/// Members that a message of this role may have. What an assistant said comes back as it was told, by whatever service:
/// with reasoning, annotations and the like, which change nothing.
fn known_of(role: &str) -> Option<&'static [&'static str]> {
    match role {
        "assistant" => None,
        "tool" => Some(&["role", "content", "name", "tool_call_id"]),
        _ => Some(&["role", "content", "name"]),
    }
}

fn read_one(index: usize, message: &Value) -> Result<ChatMessage, GatewayError> {
    let at = |field: &str| format!("messages[{index}].{field}");
    let role = match message["role"].as_str() {
        // What was "system" is called "developer" by newer clients; templates know the older word.
        Some("system" | "developer") => "system",
        Some("user") => "user",
        Some("assistant") => "assistant",
        Some("tool") => "tool",
        Some("function") => {
            return Err(GatewayError::UnsupportedParameter {
                parameter: at("role"),
                instead: Some("send it with the role tool, and the id of the call"),
            });
        }
        _ => {
            return Err(invalid(
                &at("role"),
                "must be system, developer, user, assistant or tool",
            ));
        }
    };
    for field in ["function_call", "audio"] {
        if !message[field].is_null() {
            return Err(GatewayError::UnsupportedParameter {
                parameter: at(field),
                instead: (field == "function_call").then_some("send it as tool_calls"),
            });
        }
    }
    let text = |field: &str| match &message[field] {
        Value::Null => Ok(None),
        Value::String(text) => Ok(Some(text.clone())),
        _ => Err(invalid(&at(field), "must be a text")),
    };
    let tool_call_id = text("tool_call_id")?;
    if role == "tool" && tool_call_id.is_none() {
        return Err(invalid(
            &at("tool_call_id"),
            "must name the call that this answers",
        ));
    }
    let read = ChatMessage {
        role: role.to_owned(),
        content: text_of(&message["content"], role, &at("content"))?,
        tool_calls: calls_of(&message["tool_calls"], role, &at("tool_calls"))?,
        tool_call_id,
        name: text("name")?,
    };
    if let (Some(known), Some(members)) = (known_of(role), message.as_object()) {
        only(&format!("messages[{index}]"), members, known)?;
    }
    Ok(read)
}

/// Calls that the assistant made, as it was told them.
fn calls_of(calls: &Value, role: &str, name: &str) -> Result<Vec<ToolCall>, GatewayError> {
    let calls = match calls {
        Value::Null => return Ok(Vec::new()),
        Value::Array(calls) if calls.is_empty() || role == "assistant" => calls,
        Value::Array(_) => return Err(invalid(name, "is for messages of the assistant")),
        _ => return Err(invalid(name, "must be an array of calls")),
    };
    let read = |(index, call): (usize, &Value)| {
        let function = &call["function"];
        match (function["name"].as_str(), function["arguments"].as_str()) {
            (Some(tool), Some(arguments)) => {
                check_arguments(&format!("{name}[{index}].function.arguments"), arguments)?;
                Ok(ToolCall {
                    id: call["id"].as_str().unwrap_or_default().to_owned(),
                    name: tool.to_owned(),
                    arguments: arguments.to_owned(),
                })
            }
            _ => Err(invalid(
                &format!("{name}[{index}].function"),
                "must have a name, and arguments as a text",
            )),
        }
    };
    calls.iter().enumerate().map(read).collect()
}

/// A string, or parts that are all text.
fn text_of(content: &Value, role: &str, name: &str) -> Result<String, GatewayError> {
    match content {
        Value::String(text) => Ok(text.clone()),
        Value::Null if role == "assistant" => Ok(String::new()),
        Value::Array(parts) => {
            let mut text = String::new();
            for (index, part) in parts.iter().enumerate() {
                match (part["type"].as_str(), part["text"].as_str()) {
                    (Some("text"), Some(piece)) => text.push_str(piece),
                    (Some("text"), None) | (None, _) => {
                        return Err(invalid(
                            &format!("{name}[{index}]"),
                            "must have a type, and text if that is 'text'",
                        ));
                    }
                    (Some(_), _) => {
                        return Err(GatewayError::UnsupportedParameter {
                            parameter: format!("{name}[{index}].type"),
                            instead: Some("send text only"),
                        });
                    }
                }
            }
            Ok(text)
        }
        _ => Err(invalid(name, "must be a string or an array of parts")),
    }
}

#[cfg(test)]
mod tests {
    use corliss_diagnostics::Diagnose;
    use serde_json::json;

    use super::*;

    #[test]
    fn text_is_read_in_both_forms() {
        let read = read(vec![
            json!({"role": "developer", "content": "be brief"}),
            json!({"role": "user", "content": [{"type": "text", "text": "a"}, {"type": "text", "text": "b"}]}),
            json!({"role": "assistant", "content": null}),
        ])
        .unwrap();
        let seen: Vec<_> = read
            .iter()
            .map(|message| (message.role.as_str(), message.content.as_str()))
            .collect();
        assert_eq!(seen, [("system", "be brief"), ("user", "ab"), ("assistant", "")]);
    }

    #[test]
    fn calls_and_their_results_are_read() {
        let read = read(vec![
            json!({"role": "assistant", "content": null, "tool_calls": [
                {"id": "c1", "type": "function", "function": {"name": "f", "arguments": "{}"}}]}),
            json!({"role": "tool", "tool_call_id": "c1", "content": "7"}),
        ])
        .unwrap();
        assert_eq!(
            (read[0].tool_calls[0].name.as_str(), read[0].content.as_str()),
            ("f", "")
        );
        assert_eq!(
            (read[1].role.as_str(), read[1].tool_call_id.as_deref()),
            ("tool", Some("c1"))
        );
    }

    #[test]
    fn an_answer_comes_back_with_all_that_it_had() {
        let answer = json!({"role": "assistant", "content": "a", "refusal": null, "annotations": [], "audio": null,
            "function_call": null, "reasoning_content": "because", "reasoning_details": [{"x": 1}], "tool_calls": []});
        assert_eq!(read(vec![answer]).unwrap()[0].content, "a");
        let asked = json!({"role": "user", "content": "x", "name": "Ada", "tool_calls": null, "extra": null});
        assert_eq!(read(vec![asked]).unwrap()[0].name.as_deref(), Some("Ada"));
    }

    #[test]
    fn a_result_answers_a_call_that_comes_before_it() {
        let call = json!({"role": "assistant", "tool_calls": [{"id": "c1", "function": {"name": "f", "arguments": "{}"}}]});
        let result = |id: &str| json!({"role": "tool", "content": "7", "tool_call_id": id});
        assert_eq!(
            read(vec![call.clone(), result("c1"), result("c1")])
                .unwrap()
                .len(),
            3
        );
        for (messages, place) in [
            (vec![call.clone(), result("c2")], 1),
            (vec![result("c1"), call], 0),
        ] {
            let error = read(messages).unwrap_err();
            assert_eq!(error.field(), Some(format!("messages[{place}].tool_call_id")));
        }
    }

    #[test]
    fn the_place_of_what_is_wrong_is_named() {
        for (message, field) in [
            (json!({"role": "king", "content": "x"}), "messages[0].role"),
            (json!({"role": "function", "content": "x"}), "messages[0].role"),
            (
                json!({"role": "tool", "content": "x"}),
                "messages[0].tool_call_id",
            ),
            (
                json!({"role": "user", "content": "x", "name": 7}),
                "messages[0].name",
            ),
            (
                json!({"role": "user", "content": "x", "tool_calls": [{}]}),
                "messages[0].tool_calls",
            ),
            (json!({"role": "user"}), "messages[0].content"),
            (
                json!({"role": "user", "content": [{"type": "image_url"}]}),
                "messages[0].content[0].type",
            ),
            (
                json!({"role": "assistant", "tool_calls": [{"function": {"name": "f", "arguments": {}}}]}),
                "messages[0].tool_calls[0].function",
            ),
            (
                json!({"role": "assistant", "tool_calls": [{"id": "c", "function": {"name": "f", "arguments": "{"}}]}),
                "messages[0].tool_calls[0].function.arguments",
            ),
            (
                json!({"role": "tool", "content": "x", "tool_call_id": "c1"}),
                "messages[0].tool_call_id",
            ),
            (
                json!({"role": "user", "content": "x", "extra": 1}),
                "messages[0].extra",
            ),
            (
                json!({"role": "assistant", "function_call": {"name": "f", "arguments": "{}"}}),
                "messages[0].function_call",
            ),
            (json!("hello"), "messages[0].role"),
        ] {
            assert_eq!(read(vec![message]).unwrap_err().field().as_deref(), Some(field));
        }
    }
}
