//! JSON texts as Python's `json.dumps` spaces them: filters of users match on such texts (`LIKE '%"model": "a%'`).

use std::io;

use serde::Serialize;
use serde_json::ser::Formatter;

struct Spaced;

impl Formatter for Spaced {
    fn begin_array_value<W: ?Sized + io::Write>(&mut self, writer: &mut W, first: bool) -> io::Result<()> {
        if first { Ok(()) } else { writer.write_all(b", ") }
    }

    fn begin_object_key<W: ?Sized + io::Write>(&mut self, writer: &mut W, first: bool) -> io::Result<()> {
        if first { Ok(()) } else { writer.write_all(b", ") }
    }

    fn begin_object_value<W: ?Sized + io::Write>(&mut self, writer: &mut W) -> io::Result<()> {
        writer.write_all(b": ")
    }
}

/// A value as a text. What cannot be JSON, which nothing of ours is, becomes `null`.
pub(crate) fn spaced(value: &impl Serialize) -> String {
    let mut bytes = Vec::new();
    let mut serializer = serde_json::Serializer::with_formatter(&mut bytes, Spaced);
    match value.serialize(&mut serializer) {
        Ok(()) => String::from_utf8(bytes).unwrap_or_else(|_| "null".to_owned()),
        Err(_) => "null".to_owned(),
    }
}

/// The same with the members of every object in the order of their names: one text for each value, in whatever order its
/// members came. For what is compared as a text or goes into a digest.
pub(crate) fn canonical(value: &impl Serialize) -> String {
    match serde_json::to_value(value) {
        Ok(mut value) => {
            value.sort_all_objects();
            spaced(&value)
        }
        Err(_) => "null".to_owned(),
    }
}

/// The first `limit` characters.
pub(crate) fn cut(text: &str, limit: usize) -> &str {
    // Bytes bound characters from above, so the common case counts nothing.
    if text.len() <= limit {
        return text;
    }
    let end = text
        .char_indices()
        .nth(limit)
        .map_or(text.len(), |(index, _)| index);
    &text[..end]
}

/// Without NUL characters, which PostgreSQL cannot hold.
pub(crate) fn clean(text: &str) -> String {
    text.replace('\0', "\u{fffd}")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn texts_are_spaced_as_python_spaces_them() {
        assert_eq!(
            spaced(&json!({"a": [1, 2.5, "ü"], "b": {}})),
            r#"{"a": [1, 2.5, "ü"], "b": {}}"#
        );
    }

    #[test]
    fn equal_values_have_one_canonical_text() {
        let one = json!({"b": [{"d": 1, "c": 2}], "a": {}});
        let other = json!({"a": {}, "b": [{"c": 2, "d": 1}]});
        assert_ne!(
            spaced(&one),
            spaced(&other),
            "members stay in the order they came in"
        );
        assert_eq!(canonical(&one), canonical(&other));
        assert_eq!(canonical(&one), r#"{"a": {}, "b": [{"c": 2, "d": 1}]}"#);
    }

    #[test]
    fn cuts_fall_between_characters() {
        assert_eq!(cut("äöü", 2), "äö");
        assert_eq!(cut("äöü", 3), "äöü");
        assert_eq!(clean("a\0b"), "a\u{fffd}b");
    }
}
