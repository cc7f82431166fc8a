//! The parameters of a request, taken one by one. Whatever is left at the end is either harmless (it changes
//! nothing about the answer, or has the value that changes nothing) or refused by name.

use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

use crate::error::GatewayError;

/// Parameters that say something about the caller or the bill, not about the answer.
const HARMLESS: &[&str] = &[
    "user",
    "metadata",
    "safety_identifier",
    "prompt_cache_key",
    "prompt_cache_retention",
    "service_tier",
    "store",
    "verbosity",
];

/// What to do instead of some that are not supported.
const INSTEAD: &[(&str, &str)] = &[
    ("tools", "offer tools in a chat"),
    ("functions", "they are called tools now"),
    ("function_call", "it is called tool_choice now"),
];

/// The members of a request body that have not been looked at yet.
pub(super) struct Parameters(Map<String, Value>);

impl Parameters {
    pub(super) fn new(body: Map<String, Value>) -> Self {
        Self(body)
    }

    /// Takes a parameter that may be absent or null.
    pub(super) fn optional<T: DeserializeOwned>(&mut self, name: &str) -> Result<Option<T>, GatewayError> {
        match self.0.remove(name) {
            None | Some(Value::Null) => Ok(None),
            Some(value) => serde_json::from_value(value)
                .map(Some)
                .map_err(|error| invalid(name, &in_words(&error.to_string()))),
        }
    }

    /// Takes a parameter that must be there.
    pub(super) fn required<T: DeserializeOwned>(&mut self, name: &str) -> Result<T, GatewayError> {
        self.optional(name)?.ok_or_else(|| invalid(name, "is missing"))
    }

    /// Refuses what would change the answer.
    pub(super) fn finish(self) -> Result<(), GatewayError> {
        for (name, value) in self.0 {
            if !HARMLESS.contains(&name.as_str()) && !changes_nothing(&name, &value) {
                let instead = INSTEAD
                    .iter()
                    .find(|(known, _)| *known == name)
                    .map(|(_, instead)| *instead);
                return Err(GatewayError::UnsupportedParameter {
                    parameter: name.chars().take(80).collect(),
                    instead,
                });
            }
        }
        Ok(())
    }
}

/// Whether this is the value that a parameter has when it is left out.
fn changes_nothing(name: &str, value: &Value) -> bool {
    let empty = match value {
        Value::Null => true,
        Value::Array(items) => items.is_empty(),
        Value::Object(members) => members.is_empty(),
        _ => false,
    };
    empty
        || match name {
            "best_of" => value.as_u64() == Some(1),
            "echo" => value.as_bool() == Some(false),
            "tool_choice" | "function_call" => value == "none" || value == "auto",
            "modalities" => value
                .as_array()
                .is_some_and(|kinds| kinds.iter().all(|kind| kind == "text")),
            "suffix" => value == "",
            _ => false,
        }
}

/// What a parser says of a value, with JSON's names for what it wanted instead of Rust's.
fn in_words(error: &str) -> String {
    const NAMES: &[(&str, &str)] = &[
        ("u64", "a whole number from 0"),
        ("u32", "a whole number from 0"),
        ("i64", "a whole number"),
        ("i32", "a whole number"),
        ("f32", "a number"),
        ("f64", "a number"),
        ("a sequence", "an array"),
        ("a map", "an object"),
    ];
    let (said, wanted) = error.split_once(", expected ").unwrap_or((error, ""));
    let wanted = wanted.split(" at line ").next().unwrap_or_default();
    let wanted = match NAMES.iter().find(|(rust, _)| *rust == wanted) {
        Some((_, json)) => json,
        None if wanted.starts_with("struct ") => "an object",
        None => wanted,
    };
    let got = said
        .strip_prefix("invalid type: ")
        .or_else(|| said.strip_prefix("invalid value: "));
    match got {
        Some(got) if !wanted.is_empty() => format!("must be {wanted}, not {got}"),
        _ => error.to_owned(),
    }
}

/// A parameter of a wrong type or value.
pub(super) fn invalid(name: &str, reason: &str) -> GatewayError {
    GatewayError::InvalidParameter {
        parameter: name.to_owned(),
        reason: reason.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use corliss_diagnostics::Diagnose;
    use serde_json::json;

    use super::*;

    fn left(body: Value) -> Result<(), GatewayError> {
        Parameters::new(body.as_object().unwrap().clone()).finish()
    }

    #[test]
    fn what_changes_nothing_is_accepted() {
        left(json!({"tools": [], "user": "u", "suffix": null, "echo": false, "best_of": 1})).unwrap();
    }

    #[test]
    fn what_changes_the_answer_is_refused_by_name() {
        for (name, value) in [
            ("best_of", json!(2)),
            ("tools", json!([{"type": "function"}])),
            ("echo", json!(true)),
            ("temprature", json!(0.5)),
        ] {
            let error = left(json!({ name: value })).unwrap_err();
            assert_eq!(
                (error.code(), error.field().as_deref()),
                ("unsupported_parameter", Some(name))
            );
        }
    }

    #[test]
    fn a_wrong_type_names_the_parameter() {
        let mut parameters = Parameters::new(json!({"max_tokens": "ten"}).as_object().unwrap().clone());
        let error = parameters.optional::<u32>("max_tokens").unwrap_err();
        assert_eq!(error.field().as_deref(), Some("max_tokens"));
        assert!(
            error
                .to_string()
                .contains("must be a whole number from 0, not string \"ten\""),
            "{error}"
        );
        assert!(
            parameters
                .required::<String>("model")
                .unwrap_err()
                .to_string()
                .contains("missing")
        );
    }
}
