//! What a response answers: a text, or a list of messages; instructions come before all.

use corliss_engine::protocol::ChatMessage;
use serde_json::Value;

use super::super::parameters::invalid;
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
                messages.push(read_item(&format!("input[{index}]"), item)?);
            }
        }
        _ => return Err(invalid("input", "must be a text, or a list of at least one item")),
    }
    Ok(messages)
}

fn message(role: &str, content: String) -> ChatMessage {
    ChatMessage::new(role, content)
}

fn read_item(place: &str, item: &Value) -> Result<ChatMessage, GatewayError> {
    match item["type"].as_str() {
        None if item["type"].is_null() => {}
        Some("message") => {}
        Some("item_reference") => {
            let instead = "responses are not stored: send the item itself";
            return Err(unsupported(&format!("{place}.type"), Some(instead)));
        }
        Some(_) => return Err(unsupported(&format!("{place}.type"), Some("send messages only"))),
        None => return Err(invalid(&format!("{place}.type"), "must be a text")),
    }
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
                json!([{"role": "user", "content": "x"}, {"type": "function_call_output"}]),
                "input[1].type",
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
