//! What a response answers: a text, or a list of messages, calls of tools and what these gave; instructions come before
//! all.

use corliss_engine::protocol::{ChatMessage, ToolCall};
use serde_json::Value;

use super::super::parameters::invalid;
use super::super::tools::check_arguments;
use super::unsupported;
use crate::error::GatewayError;

/// Reads `instructions` and `input`.
pub(super) fn read(instructions: Option<&str>, input: &Value) -> Result<Vec<ChatMessage>, GatewayError> {
    let mut messages: Vec<ChatMessage> = instructions
        .into_iter()
        .map(|text| message("system", text.to_owned()))
        .collect();
    match input {
        Value::String(text) => messages.push(message("user", text.clone())),
        Value::Array(items) if !items.is_empty() => {
            for (index, item) in items.iter().enumerate() {
                read_item(&format!("input[{index}]"), item, &mut messages)?;
            }
        }
        _ => return Err(invalid("input", "must be a text, or a list of at least one item")),
    }
    Ok(messages)
}

fn message(role: &str, content: String) -> ChatMessage {
    ChatMessage::new(role, content)
}

fn read_item(place: &str, item: &Value, messages: &mut Vec<ChatMessage>) -> Result<(), GatewayError> {
    match item["type"].as_str() {
        None if item["type"].is_null() => messages.push(read_message(place, item)?),
        Some("message") => messages.push(read_message(place, item)?),
        Some("function_call") => {
            let call = read_call(place, item)?;
            // Calls that were made together, and what was said with them, are one turn.
            match messages.last_mut() {
                Some(last) if last.role == "assistant" => last.tool_calls.push(call),
                _ => messages.push(ChatMessage {
                    tool_calls: vec![call],
                    ..message("assistant", String::new())
                }),
            }
        }
        Some("function_call_output") => messages.push(read_output(place, item, messages)?),
        Some("item_reference") => {
            let instead = "responses are not stored: send the item itself";
            return Err(unsupported(&format!("{place}.type"), Some(instead)));
        }
        Some(_) => {
            let instead = "send messages, function calls and their outputs only";
            return Err(unsupported(&format!("{place}.type"), Some(instead)));
        }
        None => return Err(invalid(&format!("{place}.type"), "must be a text")),
    }
    Ok(())
}

fn read_call(place: &str, item: &Value) -> Result<ToolCall, GatewayError> {
    let text = |field: &str| match item[field].as_str() {
        Some(text) => Ok(text.to_owned()),
        None => Err(invalid(&format!("{place}.{field}"), "must be a text")),
    };
    let call = ToolCall {
        id: text("call_id")?,
        name: text("name")?,
        arguments: text("arguments")?,
    };
    check_arguments(&format!("{place}.arguments"), &call.arguments)?;
    Ok(call)
}

/// What a tool gave. The call that it answers must come before.
fn read_output(place: &str, item: &Value, before: &[ChatMessage]) -> Result<ChatMessage, GatewayError> {
    let name = format!("{place}.call_id");
    let Some(id) = item["call_id"].as_str() else {
        return Err(invalid(&name, "must name the call that this answers"));
    };
    let mut calls = before.iter().flat_map(|message| &message.tool_calls);
    if !calls.any(|call| call.id == id) {
        let reason = "names no function_call that comes before it in the input";
        return Err(invalid(&name, reason));
    }
    Ok(ChatMessage {
        tool_call_id: Some(id.to_owned()),
        ..message("tool", text_of(&format!("{place}.output"), &item["output"])?)
    })
}

fn read_message(place: &str, item: &Value) -> Result<ChatMessage, GatewayError> {
    let role = match item["role"].as_str() {
        // What was "system" is called "developer" by newer clients; templates know the older word.
        Some("system" | "developer") => "system",
        Some("user") => "user",
        Some("assistant") => "assistant",
        _ => {
            let reason = "must be system, developer, user or assistant";
            return Err(invalid(&format!("{place}.role"), reason));
        }
    };
    Ok(message(
        role,
        text_of(&format!("{place}.content"), &item["content"])?,
    ))
}

/// A text, or parts that are all text: `input_text`, or `output_text` of an earlier answer.
fn text_of(place: &str, content: &Value) -> Result<String, GatewayError> {
    let parts = match content {
        Value::String(text) => return Ok(text.clone()),
        Value::Array(parts) => parts,
        _ => return Err(invalid(place, "must be a text or a list of parts")),
    };
    let mut text = String::new();
    for (index, part) in parts.iter().enumerate() {
        match (part["type"].as_str(), part["text"].as_str()) {
            (Some("input_text" | "output_text" | "text"), Some(piece)) => text.push_str(piece),
            (Some("input_text" | "output_text" | "text") | None, _) => {
                let reason = "must have a type, and text if that is 'input_text'";
                return Err(invalid(&format!("{place}[{index}]"), reason));
            }
            (Some(_), _) => {
                let name = format!("{place}[{index}].type");
                return Err(unsupported(&name, Some("send text only")));
            }
        }
    }
    Ok(text)
}

#[cfg(test)]
mod tests {
    use corliss_diagnostics::Diagnose;
    use serde_json::json;

    use super::*;

    #[test]
    fn a_conversation_may_hold_earlier_answers() {
        let items = json!([
            {"role": "developer", "content": "be kind"},
            {"type": "message", "role": "user", "content": [{"type": "input_text", "text": "a"}, {"type": "input_text", "text": "b"}]},
            {"type": "message", "id": "msg_1", "status": "completed", "role": "assistant",
                "content": [{"type": "output_text", "text": "c", "annotations": [], "logprobs": []}]},
        ]);
        let messages = read(Some("be brief"), &items).unwrap();
        let seen: Vec<_> = messages
            .iter()
            .map(|message| (message.role.as_str(), message.content.as_str()))
            .collect();
        assert_eq!(
            seen,
            [
                ("system", "be brief"),
                ("system", "be kind"),
                ("user", "ab"),
                ("assistant", "c")
            ]
        );
    }

    fn call(id: &str) -> Value {
        json!({"type": "function_call", "id": "fc_1", "call_id": id, "name": "f", "arguments": "{}", "status": "completed"})
    }

    #[test]
    fn calls_made_together_are_one_turn_and_their_outputs_follow() {
        let items = json!([
            {"role": "user", "content": "go"},
            {"role": "assistant", "content": "I look."},
            call("c1"),
            call("c2"),
            {"type": "function_call_output", "call_id": "c2", "output": [{"type": "input_text", "text": "7"}]},
            {"type": "function_call_output", "call_id": "c1", "output": "8"},
            call("c3"),
        ]);
        let messages = read(None, &items).unwrap();
        let seen: Vec<_> = messages
            .iter()
            .map(|message| {
                (
                    message.role.as_str(),
                    message.content.as_str(),
                    message.tool_calls.len(),
                )
            })
            .collect();
        let turns = [
            ("user", "go", 0),
            ("assistant", "I look.", 2),
            ("tool", "7", 0),
            ("tool", "8", 0),
            ("assistant", "", 1),
        ];
        assert_eq!(seen, turns);
        assert_eq!(messages[2].tool_call_id.as_deref(), Some("c2"));
        assert_eq!(messages[1].tool_calls[1].id, "c2");
    }

    #[test]
    fn the_place_of_what_is_wrong_is_named() {
        for (input, field) in [
            (json!([]), "input"),
            (json!(7), "input"),
            (json!([{"role": "king", "content": "x"}]), "input[0].role"),
            (json!([{"role": "user"}]), "input[0].content"),
            (
                json!([{"type": 7, "role": "user", "content": "x"}]),
                "input[0].type",
            ),
            (
                json!([{"role": "user", "content": "x"}, {"type": "reasoning"}]),
                "input[1].type",
            ),
            (json!([{"type": "function_call_output"}]), "input[0].call_id"),
            (
                json!([{"type": "function_call_output", "call_id": "c1", "output": "7"}]),
                "input[0].call_id",
            ),
            (
                json!([call("c1"), {"type": "function_call_output", "call_id": "c1", "output": 7}]),
                "input[1].output",
            ),
            (
                json!([{"type": "function_call", "call_id": "c1", "name": "f", "arguments": {}}]),
                "input[0].arguments",
            ),
            (
                json!([{"role": "user", "content": "x"},
                    {"type": "function_call", "call_id": "c1", "name": "f", "arguments": "{\"a\":"}]),
                "input[1].arguments",
            ),
            (
                json!([{"type": "item_reference", "id": "msg_1"}]),
                "input[0].type",
            ),
            (
                json!([{"role": "user", "content": [{"type": "input_image"}]}]),
                "input[0].content[0].type",
            ),
            (
                json!([{"role": "user", "content": [{"type": "input_text"}]}]),
                "input[0].content[0]",
            ),
        ] {
            assert_eq!(
                read(None, &input).unwrap_err().field().as_deref(),
                Some(field),
                "{input}"
            );
        }
    }
}
