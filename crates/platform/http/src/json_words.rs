//! What a parser says of JSON, in words of JSON: it names the types of our code, which nobody who sends JSON knows.

/// Characters of a text that an error repeats.
const SHOWN_MAX: usize = 60;
/// Characters of a path that an error repeats: its beginning and its end.
const PATH_MAX: usize = 160;

/// A parser's complaint, told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JsonWords {
    /// A phrase that follows the name of what is wrong: `must be a number, not the string "x"`.
    pub reason: String,
    /// Where in the text it stands, as `line 1 column 5`, if the parser said so.
    pub place: Option<String>,
}

/// Tells what a parser said.
#[must_use]
pub fn json_words(said: &str) -> JsonWords {
    let (said, place) = match said.rsplit_once(" at line ") {
        Some((said, place)) if place.starts_with(|first: char| first.is_ascii_digit()) => {
            (said, Some(format!("line {place}")))
        }
        _ => (said, None),
    };
    JsonWords {
        reason: reason(said),
        place,
    }
}

fn reason(said: &str) -> String {
    let after = |start: &str| said.strip_prefix(start);
    if let Some(rest) = after("invalid type: ").or_else(|| after("invalid value: "))
        && let Some((got, wanted)) = rest.rsplit_once(", expected ")
    {
        return match (given(got), expected(wanted)) {
            // "An object with one member, not an object" says less than half of it.
            (got, wanted) if wanted.starts_with(&got) => format!("must be {wanted}"),
            (got, wanted) => format!("must be {wanted}, not {got}"),
        };
    }
    if let Some((count, wanted)) = after("invalid length ").and_then(|rest| rest.split_once(", expected ")) {
        return match expected(wanted) {
            object if object == "an object" => "must be an object, not a list".to_owned(),
            wanted => format!("must be {wanted}, but {count} are given"),
        };
    }
    for start in ["unknown field ", "unknown variant "] {
        if let Some(rest) = after(start) {
            return unknown(rest, start == "unknown variant ");
        }
    }
    if let Some(name) = after("missing field ").and_then(quoted) {
        return format!("'{name}' is missing");
    }
    if let Some(name) = after("duplicate field ").and_then(quoted) {
        return format!("'{name}' is given twice");
    }
    // Of a query's parameters, which all come as text.
    for start in [
        "invalid digit found in",
        "cannot parse integer from",
        "number too large to fit",
        "number too small to fit",
    ] {
        if said.starts_with(start) {
            return "must be a whole number, such as 100".to_owned();
        }
    }
    if said.starts_with("data did not match any variant") {
        return "has none of the forms that it may have".to_owned();
    }
    syntax(said)
}

/// What is wrong with a text that is no JSON.
fn syntax(said: &str) -> String {
    match said {
        "trailing characters" => "there is more text behind its end".to_owned(),
        "recursion limit exceeded" => "it is nested too deeply".to_owned(),
        "expected value" => "a value is expected".to_owned(),
        "expected ident" => "a word is not one that JSON knows".to_owned(),
        "key must be a string" => "the name of a member must be a string".to_owned(),
        other if other.starts_with("EOF while parsing") => "it ends before it is complete".to_owned(),
        other => match other.strip_prefix("expected ") {
            Some(wanted) => format!("{} is expected", wanted.replace('`', "'")),
            None => other.chars().take(4 * SHOWN_MAX).collect(),
        },
    }
}

/// A name that is none of those known, which follow it.
fn unknown(rest: &str, is_value: bool) -> String {
    let mut names = rest.split('`').skip(1).step_by(2);
    let name = shown(names.next().unwrap_or_default());
    let known: Vec<&str> = names.collect();
    match (is_value, known.as_slice()) {
        (true, known) => format!("must be {}, not '{name}'", one_of(known)),
        (false, []) => format!("'{name}' is not known; it must be empty"),
        (false, [only]) => format!("'{name}' is not known; there is {only}"),
        (false, known) => format!("'{name}' is not known; there are {}", known.join(", ")),
    }
}

fn one_of(known: &[&str]) -> String {
    match known {
        [only] => (*only).to_owned(),
        known => format!("one of {}", known.join(", ")),
    }
}

fn quoted(text: &str) -> Option<String> {
    text.split('`').nth(1).map(shown)
}

/// As much of a text as an error repeats.
fn shown(text: &str) -> String {
    match text.char_indices().nth(SHOWN_MAX) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}

/// What was found, as the parser names it.
fn given(got: &str) -> String {
    let plain = |kind: &str| {
        got.strip_prefix(kind)
            .map(|value| value.trim_matches('`').to_owned())
    };
    match got {
        "map" => "an object".to_owned(),
        "sequence" => "a list".to_owned(),
        "unit value" | "Option value" => "null".to_owned(),
        "unit variant" => "a name alone".to_owned(),
        other => match other.strip_prefix("string ") {
            Some(text) => {
                let text = text.strip_prefix('"').unwrap_or(text);
                format!("the string \"{}\"", shown(text.strip_suffix('"').unwrap_or(text)))
            }
            None => ["boolean ", "integer ", "floating point ", "character "]
                .into_iter()
                .find_map(plain)
                .unwrap_or_else(|| shown(other)),
        },
    }
}

/// What would be right, as the parser names it.
fn expected(wanted: &str) -> String {
    let known = match wanted {
        "u8" => "a whole number from 0 to 255",
        "u16" => "a whole number from 0 to 65535",
        "u32" => "a whole number from 0 to 4294967295",
        "u64" | "usize" => "a whole number from 0",
        "i8" | "i16" | "i32" | "i64" | "isize" => "a whole number",
        "f32" | "f64" => "a number",
        "a boolean" => "true or false",
        "a sequence" => "a list",
        "a map" => "an object",
        "map with a single key" => "an object with one member",
        "string or map" => "a string or an object",
        "a borrowed string" => "a string",
        "unit" => "null",
        other if other.ends_with("variant") || other.contains("variant ") => {
            "an object of the name and what belongs to it"
        }
        other if other.starts_with("struct ") || other.contains(" tagged enum") => "an object",
        other if other.starts_with("a tuple of size ") || other.starts_with("tuple ") => "a list",
        other => other,
    };
    known.to_owned()
}

/// As much of a path within a body as an error repeats: a deep one by its beginning and its end.
#[must_use]
pub fn shown_path(path: &str) -> String {
    let count = path.chars().count();
    if count <= PATH_MAX {
        return path.to_owned();
    }
    let half = PATH_MAX / 2;
    let head: String = path.chars().take(half).collect();
    let tail: String = path.chars().skip(count - half).collect();
    format!("{head}…{tail}")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(said: &str) -> String {
        json_words(said).reason
    }

    #[test]
    fn types_are_named_in_words_of_json() {
        for (said, words) in [
            (
                "invalid value: integer `-1`, expected u32",
                "must be a whole number from 0 to 4294967295, not -1",
            ),
            (
                "invalid digit found in string",
                "must be a whole number, such as 100",
            ),
            (
                "invalid type: sequence, expected struct Order",
                "must be an object, not a list",
            ),
            (
                "invalid type: string \"ten, expected\", expected u64",
                "must be a whole number from 0, not the string \"ten, expected\"",
            ),
            (
                "invalid type: null, expected a boolean",
                "must be true or false, not null",
            ),
            (
                "invalid value: map, expected map with a single key",
                "must be an object with one member",
            ),
            (
                "invalid type: unit variant, expected newtype variant",
                "must be an object of the name and what belongs to it, not a name alone",
            ),
            (
                "unknown field `a`, expected one of `b`, `c`",
                "'a' is not known; there are b, c",
            ),
            (
                "unknown field `a`, there are no fields",
                "'a' is not known; it must be empty",
            ),
            (
                "unknown variant `a`, expected `b` or `c`",
                "must be one of b, c, not 'a'",
            ),
            ("unknown variant `a`, expected `b`", "must be b, not 'a'"),
            (
                "invalid length 1, expected struct Split with 3 elements",
                "must be an object, not a list",
            ),
            (
                "invalid length 1, expected a pair of a name and a number",
                "must be a pair of a name and a number, but 1 are given",
            ),
            ("missing field `a`", "'a' is missing"),
            ("duplicate field `a`", "'a' is given twice"),
            (
                "data did not match any variant of untagged enum Given",
                "has none of the forms that it may have",
            ),
            ("expected `,` or `}`", "',' or '}' is expected"),
            ("EOF while parsing an object", "it ends before it is complete"),
            ("days are counted from 1", "days are counted from 1"),
        ] {
            assert_eq!(told(said), words);
        }
    }

    #[test]
    fn a_long_text_is_not_repeated_and_the_place_stands_apart() {
        let long = format!("invalid type: string \"{}\", expected f32", "x".repeat(5_000));
        assert!(told(&long).len() < 200, "{}", told(&long));
        assert_eq!(
            json_words("trailing comma at line 3 column 7"),
            JsonWords {
                reason: "trailing comma".to_owned(),
                place: Some("line 3 column 7".to_owned())
            }
        );
    }

    #[test]
    fn a_deep_path_is_told_by_its_ends() {
        assert_eq!(shown_path("rules[0].to"), "rules[0].to");
        let deep = format!("first{}last", "[0]".repeat(500));
        let shown = shown_path(&deep);
        assert!(shown.starts_with("first") && shown.ends_with("last") && shown.chars().count() < 200);
    }
}
