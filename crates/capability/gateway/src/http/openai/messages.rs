//! The messages of a chat: text only, in the roles that chat templates know.

use corliss_engine::protocol::ChatMessage;
use serde_json::Value;

use super::parameters::invalid;
use crate::error::GatewayError;

/// Reads `messages`.
pub(super) fn read(messages: Vec<Value>) -> Result<Vec<ChatMessage>, GatewayError> {
    if messages.is_empty() {
        return Err(invalid("messages", "must hold at least one message"));
    }
    messages
        .iter()
        .enumerate()
        .map(|(index, message)| read_one(index, message))
        .collect()
}

fn read_one(index: usize, message: &Value) -> Result<ChatMessage, GatewayError> {
    let at = |field: &str| format!("messages[{index}].{field}");
    let role = match message["role"].as_str() {
        // What was "system" is called "developer" by newer clients; templates know the older word.
        Some("system" | "developer") => "system",
        Some("user") => "user",
        Some("assistant") => "assistant",
        Some("tool" | "function") => {
            return Err(GatewayError::UnsupportedParameter {
                parameter: at("role"),
                instead: Some("put the tool's answer into a user message"),
            });
        }
        _ => {
            return Err(invalid(
                &at("role"),
                "must be system, developer, user or assistant",
            ));
        }
    };
    for field in ["tool_calls", "function_call", "audio"] {
        let given = &message[field];
        if !(given.is_null() || given.as_array().is_some_and(Vec::is_empty)) {
            return Err(GatewayError::UnsupportedParameter {
                parameter: at(field),
                instead: None,
            });
        }
    }
    Ok(ChatMessage {
        role: role.to_owned(),
        content: text_of(&message["content"], role, &at("content"))?,
    })
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
    fn the_place_of_what_is_wrong_is_named() {
        for (message, field) in [
            (json!({"role": "king", "content": "x"}), "messages[0].role"),
            (json!({"role": "tool", "content": "x"}), "messages[0].role"),
            (json!({"role": "user"}), "messages[0].content"),
            (
                json!({"role": "user", "content": [{"type": "image_url"}]}),
                "messages[0].content[0].type",
            ),
            (
                json!({"role": "assistant", "tool_calls": [{}]}),
                "messages[0].tool_calls",
            ),
            (json!("hello"), "messages[0].role"),
        ] {
            assert_eq!(read(vec![message]).unwrap_err().field().as_deref(), Some(field));
        }
    }
}
