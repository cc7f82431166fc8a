//! What a list shows of a trace: the last message of the conversation that went in, and the one that came out.

use crate::AnyValue;
use crate::json::{clean, cut};
use crate::limits;

/// The preview of a root span's inputs (`role` is `user`) or outputs (`assistant`), from their JSON text.
pub(super) fn preview(text: &str, role: &str) -> String {
    let value = AnyValue::of_text(text);
    let message = match &value {
        AnyValue::Text(_) => None,
        value => messages(value).and_then(|messages| text_of(last(&messages, role)?)),
    };
    shortened(message.as_deref().unwrap_or(text), limits::PREVIEW_MADE_LEN)
}

/// At most so many characters, with dots where something was cut off.
pub(super) fn shortened(text: &str, limit: usize) -> String {
    let kept = cut(text, limit);
    if kept.len() == text.len() {
        return clean(text);
    }
    clean(cut(text, limit - 3)) + "..."
}

/// The messages in the shapes of a chat request or answer, or of a request or answer of the Responses API.
fn messages(value: &AnyValue) -> Option<Vec<&AnyValue>> {
    let list = |name: &str| match value.get(name) {
        Some(AnyValue::List(items)) if !items.is_empty() => Some(items.iter().filter(is_message).collect()),
        _ => None,
    };
    if let Some(messages) = list("messages") {
        return Some(messages);
    }
    if let Some(AnyValue::List(choices)) = value.get("choices")
        && let Some(message) = choices.first().and_then(|choice| choice.get("message"))
        && is_message(&message)
    {
        return Some(vec![message]);
    }
    list("input")
        .or_else(|| list("output"))
        .or_else(|| messages(value.get("request")?))
}

fn is_message(value: &&AnyValue) -> bool {
    value.get("role").is_some() && value.get("content").is_some()
}

/// The last message of this role, or the last of any.
fn last<'m>(messages: &[&'m AnyValue], role: &str) -> Option<&'m AnyValue> {
    let spoken = |message: &&&AnyValue| message.get("role").and_then(AnyValue::as_text) == Some(role);
    messages.iter().rev().find(spoken).or(messages.last()).copied()
}

/// The text of a message; none if it has none.
fn text_of(message: &AnyValue) -> Option<String> {
    let text = match message.get("content")? {
        AnyValue::Text(text) => text.clone(),
        AnyValue::List(parts) => parts.iter().find_map(|part| match part {
            AnyValue::Text(text) => Some(text.clone()),
            part => matches!(part.get("type")?.as_text()?, "text" | "output_text")
                .then(|| part.get("text")?.as_text().map(str::to_owned))
                .flatten(),
        })?,
        _ => return None,
    };
    (!text.is_empty()).then_some(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_message_of_the_role_is_shown() {
        for (text, role, expected) in [
            (r#"{"q": "hi"}"#, "user", r#"{"q": "hi"}"#),
            (r#""plain""#, "user", r#""plain""#),
            (
                r#"{"messages": [{"role": "user", "content": "a"}, {"role": "user", "content": "b"}, {"role": "system", "content": "c"}]}"#,
                "user",
                "b",
            ),
            (
                r#"{"messages": [{"role": "system", "content": "c"}]}"#,
                "user",
                "c",
            ),
            (
                r#"{"choices": [{"message": {"role": "assistant", "content": "yes"}}]}"#,
                "assistant",
                "yes",
            ),
            (
                r#"{"request": {"input": [{"role": "user", "content": [{"type": "image"}, {"type": "text", "text": "see"}]}]}}"#,
                "user",
                "see",
            ),
            (
                r#"{"messages": [{"role": "user", "content": ""}]}"#,
                "user",
                r#"{"messages": [{"role": "user", "content": ""}]}"#,
            ),
            (r#"{"messages": [1]}"#, "user", r#"{"messages": [1]}"#),
        ] {
            assert_eq!(preview(text, role), expected, "{text}");
        }
    }

    #[test]
    fn long_ones_are_cut_between_characters() {
        let long = "ü".repeat(1001);
        let shown = preview(&long, "user");
        assert_eq!((shown.chars().count(), shown.ends_with("ü...")), (1000, true));
        assert_eq!(preview(&"ü".repeat(1000), "user").chars().count(), 1000);
    }
}
