//! The parameters of a request, taken one by one. Whatever is left at the end is either harmless (it changes
//! nothing about the answer, or has the value that changes nothing) or refused by name.

use corliss_diagnostics::nearest;
use corliss_http::json_words;
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
    (
        "function_call",
        "functions are called tools now: offer them as tools, and say with tool_choice whether they are called",
    ),
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
                .map_err(|error| invalid(name, &json_words(&error.to_string()).reason)),
        }
    }

    /// Takes a parameter that may be absent or null, of which these words say what it must be.
    pub(super) fn optional_as<T: DeserializeOwned>(
        &mut self,
        name: &str,
        must: &str,
    ) -> Result<Option<T>, GatewayError> {
        self.optional(name).map_err(|_| invalid(name, must))
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
        // Whoever sends it, even empty, expects functions in the answer; so does who says how they are called.
        Value::Array(_) if name == "functions" => false,
        Value::Array(items) => items.is_empty(),
        Value::Object(members) => members.is_empty(),
        _ => false,
    };
    empty
        || match name {
            "best_of" => value.as_u64() == Some(1),
            "echo" => value.as_bool() == Some(false),
            "tool_choice" => value == "none" || value == "auto",
            "modalities" => value
                .as_array()
                .is_some_and(|kinds| kinds.iter().all(|kind| kind == "text")),
            "suffix" => value == "",
            _ => false,
        }
}

/// Refuses members of the object in this place that are none of those known. What says nothing is no harm: clients write
/// out what was left open.
pub(super) fn only(place: &str, object: &Map<String, Value>, known: &[&str]) -> Result<(), GatewayError> {
    let is_odd = |(name, value): &(&String, &Value)| !known.contains(&name.as_str()) && !says_nothing(value);
    let Some((name, _)) = object.iter().find(is_odd) else {
        return Ok(());
    };
    let reason = match nearest(name, known.iter().copied()) {
        Some(near) => format!("is not known; did you mean '{near}'?"),
        None => format!("is not known; there may be {}", known.join(", ")),
    };
    let name: String = name.chars().take(80).collect();
    Err(invalid(&format!("{place}.{name}"), &reason))
}

fn says_nothing(value: &Value) -> bool {
    match value {
        Value::Null | Value::Bool(false) => true,
        Value::String(text) => text.is_empty(),
        Value::Array(items) => items.is_empty(),
        Value::Object(members) => members.is_empty(),
        Value::Bool(true) | Value::Number(_) => false,
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
            ("functions", json!([])),
            ("function_call", json!("auto")),
            ("function_call", json!("none")),
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
    fn what_to_do_instead_of_calling_functions_is_said() {
        let hint = left(json!({"function_call": "auto"}))
            .unwrap_err()
            .hint()
            .unwrap();
        assert!(hint.contains("tools") && hint.contains("tool_choice"), "{hint}");
        left(json!({"function_call": null})).unwrap();
    }

    #[test]
    fn a_member_that_is_not_known_is_named_and_one_that_says_nothing_is_taken() {
        let known = ["include_usage", "include_obfuscation"];
        let told = |members: Value| only("stream_options", members.as_object().unwrap(), &known);
        told(json!({"include_usage": true, "other": null, "more": [], "flag": false})).unwrap();
        let error = told(json!({"include_usge": true})).unwrap_err();
        assert_eq!(error.field().as_deref(), Some("stream_options.include_usge"));
        assert!(
            error.to_string().contains("did you mean 'include_usage'"),
            "{error}"
        );
        let error = told(json!({ "x".repeat(500): 1 })).unwrap_err();
        assert!(error.field().unwrap().len() < 100, "{error}");
        assert!(error.to_string().contains("include_obfuscation"), "{error}");
    }

    #[test]
    fn a_wrong_type_names_the_parameter() {
        let mut parameters = Parameters::new(json!({"max_tokens": "ten"}).as_object().unwrap().clone());
        let error = parameters.optional::<u32>("max_tokens").unwrap_err();
        assert_eq!(error.field().as_deref(), Some("max_tokens"));
        assert!(
            error
                .to_string()
                .ends_with("must be a whole number from 0 to 4294967295, not the string \"ten\""),
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
