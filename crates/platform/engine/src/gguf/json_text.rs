//! JSON as Python's `json.dumps` writes it, which is what models have seen most of.

use std::io;

use serde::Serialize;
use serde_json::Value;
use serde_json::ser::{Formatter, PrettyFormatter, Serializer};

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

/// On one line, or with so many spaces of indentation.
pub(super) fn json_text(value: &Value, indent: Option<usize>) -> String {
    let mut bytes = Vec::new();
    let written = match indent {
        None => value.serialize(&mut Serializer::with_formatter(&mut bytes, Spaced)),
        Some(indent) => {
            let indent = vec![b' '; indent];
            let formatter = PrettyFormatter::with_indent(&indent);
            value.serialize(&mut Serializer::with_formatter(&mut bytes, formatter))
        }
    };
    // Writing a value into memory cannot fail, and what is written is UTF-8.
    match (written, String::from_utf8(bytes)) {
        (Ok(()), Ok(text)) => text,
        _ => String::new(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn it_is_spaced_as_python_does_and_keeps_the_order() {
        let value = json!({"z": [1, "ü<"], "a": {}});
        assert_eq!(json_text(&value, None), r#"{"z": [1, "ü<"], "a": {}}"#);
        assert_eq!(
            json_text(&value, Some(2)),
            "{\n  \"z\": [\n    1,\n    \"ü<\"\n  ],\n  \"a\": {}\n}"
        );
    }
}
