//! What is wrong with a request that has not the shape of one, by the place of what is wrong. Looked for only where a
//! request could not be read: it goes over the text once more for each level.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::error::Category;
use serde_json::value::RawValue;

use crate::EngineError;

type Members<'a> = BTreeMap<String, &'a RawValue>;

/// Why this is no request.
pub(super) fn told(json: &[u8]) -> EngineError {
    match wrong(json) {
        Err(error) => error,
        // A parser takes no member twice, where the last one is seen here.
        Ok(()) => EngineError::invalid("body", "the request has a member twice"),
    }
}

fn wrong(json: &[u8]) -> Result<(), EngineError> {
    let whole: &RawValue = serde_json::from_slice(json).map_err(|error| no_json(&error))?;
    let request = object(whole, "body", "the request")?;
    if let Some(id) = given(&request, "id") {
        must(id, Kind::String, "id")?;
    }
    tensors(&request, "inputs", &["name", "datatype"])?;
    if !request.contains_key("inputs") {
        let detail = "inputs is missing: it is a list of tensors";
        return Err(EngineError::invalid("inputs", detail));
    }
    tensors(&request, "outputs", &["name"])?;
    parameters(&request, "")
}

/// A list of tensors, each of which has these texts.
fn tensors(request: &Members<'_>, list: &str, texts: &[&str]) -> Result<(), EngineError> {
    let Some(raw) = request.get(list) else {
        return Ok(());
    };
    if Kind::of(raw) == Kind::Null && list == "outputs" {
        return Ok(());
    }
    must(raw, Kind::List, list)?;
    for (index, tensor) in parsed::<Vec<&RawValue>>(raw).into_iter().enumerate() {
        let place = format!("{list}[{index}]");
        let tensor = object(tensor, &place, &place)?;
        for text in texts {
            let place = format!("{place}.{text}");
            match tensor.get(*text) {
                Some(value) => must(value, Kind::String, &place)?,
                None => return Err(EngineError::invalid(place.clone(), format!("{place} is missing"))),
            }
        }
        if list == "inputs" && !tensor.contains_key("shape") {
            let place = format!("{place}.shape");
            return Err(EngineError::invalid(place.clone(), format!("{place} is missing")));
        }
        parameters(&tensor, &format!("{place}."))?;
    }
    Ok(())
}

fn parameters(members: &Members<'_>, place: &str) -> Result<(), EngineError> {
    match given(members, "parameters") {
        Some(value) => must(value, Kind::Object, &format!("{place}parameters")),
        None => Ok(()),
    }
}

/// A member that is there and not null.
fn given<'a>(members: &Members<'a>, name: &str) -> Option<&'a RawValue> {
    members
        .get(name)
        .copied()
        .filter(|value| Kind::of(value) != Kind::Null)
}

fn object<'a>(value: &'a RawValue, field: &str, what: &str) -> Result<Members<'a>, EngineError> {
    match Kind::of(value) {
        Kind::Object => Ok(parsed(value)),
        other => {
            let detail = format!("{what} must be an object, not {}", other.in_words());
            Err(EngineError::invalid(field, detail))
        }
    }
}

fn must(value: &RawValue, wanted: Kind, place: &str) -> Result<(), EngineError> {
    let kind = Kind::of(value);
    if kind == wanted {
        return Ok(());
    }
    let detail = format!("{place} must be {}, not {}", wanted.in_words(), kind.in_words());
    Err(EngineError::invalid(place, detail))
}

/// A list or an object, which was seen to be one.
fn parsed<'a, T: Deserialize<'a> + Default>(value: &'a RawValue) -> T {
    serde_json::from_str(value.get()).unwrap_or_default()
}

fn no_json(error: &serde_json::Error) -> EngineError {
    let detail = match error.classify() {
        Category::Eof => "the request's JSON ends before it is complete".to_owned(),
        _ => format!(
            "the request is no JSON: it goes wrong at line {}, column {}",
            error.line(),
            error.column()
        ),
    };
    EngineError::invalid("body", detail)
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Null,
    Truth,
    Number,
    String,
    List,
    Object,
}

impl Kind {
    fn of(value: &RawValue) -> Self {
        match value.get().as_bytes().first() {
            Some(b'n') => Self::Null,
            Some(b't' | b'f') => Self::Truth,
            Some(b'"') => Self::String,
            Some(b'[') => Self::List,
            Some(b'{') => Self::Object,
            _ => Self::Number,
        }
    }

    const fn in_words(self) -> &'static str {
        match self {
            Self::Null => "null",
            Self::Truth => "a truth value",
            Self::Number => "a number",
            Self::String => "a string",
            Self::List => "a list",
            Self::Object => "an object",
        }
    }
}

#[cfg(test)]
mod tests {
    use corliss_diagnostics::Diagnose;

    use super::*;

    #[test]
    fn the_place_of_what_is_wrong_is_named_in_words_of_json() {
        for (json, field, words) in [
            ("{\"inputs\": [", "body", "ends before it is complete"),
            ("{\"inputs\": ]}", "body", "no JSON"),
            ("[1]", "body", "must be an object, not a list"),
            ("{}", "inputs", "inputs is missing"),
            (r#"{"inputs": "x"}"#, "inputs", "must be a list, not a string"),
            (
                r#"{"inputs": [7]}"#,
                "inputs[0]",
                "must be an object, not a number",
            ),
            (r#"{"inputs": [{}]}"#, "inputs[0].name", "is missing"),
            (
                r#"{"inputs": [{"name": "x", "datatype": 7, "shape": []}]}"#,
                "inputs[0].datatype",
                "must be a string, not a number",
            ),
            (
                r#"{"inputs": [{"name": "x", "datatype": "FP32"}]}"#,
                "inputs[0].shape",
                "is missing",
            ),
            (
                r#"{"inputs": [{"name": "x", "datatype": "FP32", "shape": [], "parameters": []}]}"#,
                "inputs[0].parameters",
                "must be an object, not a list",
            ),
            (
                r#"{"inputs": [], "id": 7}"#,
                "id",
                "must be a string, not a number",
            ),
            (
                r#"{"inputs": [], "outputs": [{}]}"#,
                "outputs[0].name",
                "is missing",
            ),
            (
                r#"{"inputs": [], "parameters": true}"#,
                "parameters",
                "not a truth value",
            ),
            (r#"{"inputs": [], "inputs": []}"#, "body", "twice"),
        ] {
            let error = told(json.as_bytes());
            assert_eq!(error.field().as_deref(), Some(field), "{json}: {error}");
            assert!(error.to_string().contains(words), "{json}: {error}");
        }
    }
}
