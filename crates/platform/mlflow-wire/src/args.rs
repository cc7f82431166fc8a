//! The arguments of a call: a JSON object, or for GET the query, where a repeated name is a list.
//!
//! Read by hand instead of by serde because MLflow's server, being lenient protobuf JSON, takes numbers as
//! text (and must from a query), NaN and infinities as words, and names the parameter when one is missing.

use std::collections::BTreeMap;

use axum::extract::{FromRequest, Request};
use corliss_http::{ApiError, Json};
use http::Method;
use percent_encoding::percent_decode_str;
use serde_json::{Map, Value};

use crate::WireError;

/// The arguments of one call.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Args {
    values: Map<String, Value>,
    size_bytes: u64,
}

impl<S: Send + Sync> FromRequest<S> for Args {
    type Rejection = ApiError;

    async fn from_request(request: Request, state: &S) -> Result<Self, ApiError> {
        if matches!(*request.method(), Method::GET | Method::HEAD) {
            return Ok(Self::of_query(request.uri().query().unwrap_or_default()));
        }
        let declared = request.headers().get(http::header::CONTENT_LENGTH);
        let size_bytes = declared.and_then(|value| value.to_str().ok()?.parse().ok());
        if size_bytes == Some(0) {
            return Ok(Self::default());
        }
        let Json(body) = Json::<Value>::from_request(request, state).await?;
        match body {
            Value::Object(values) => Ok(Self {
                values,
                size_bytes: size_bytes.unwrap_or(0),
            }),
            _ => Err(WireError::new("The request body must be a JSON object.").into()),
        }
    }
}

impl Args {
    /// The arguments in this JSON object; anything else has none.
    #[must_use]
    pub fn of_json(value: &Value) -> Self {
        Self {
            values: value.as_object().cloned().unwrap_or_default(),
            size_bytes: 0,
        }
    }

    fn of_query(query: &str) -> Self {
        let mut values: Map<String, Value> = Map::new();
        for pair in query.split('&').filter(|pair| !pair.is_empty()) {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            let value = Value::String(decoded(value));
            match values.entry(decoded(name)) {
                serde_json::map::Entry::Vacant(slot) => {
                    slot.insert(value);
                }
                serde_json::map::Entry::Occupied(mut slot) => match slot.get_mut() {
                    Value::Array(list) => list.push(value),
                    first => *first = Value::Array(vec![first.take(), value]),
                },
            }
        }
        Self {
            values,
            size_bytes: 0,
        }
    }

    /// Bytes of the body, as its header declared them.
    #[must_use]
    pub fn size_bytes(&self) -> u64 {
        self.size_bytes
    }

    fn get(&self, name: &str) -> Option<&Value> {
        self.values.get(name).filter(|value| !value.is_null())
    }

    /// Whether the argument was sent at all.
    #[must_use]
    pub fn has(&self, name: &str) -> bool {
        self.get(name).is_some()
    }

    /// A text that may be absent.
    ///
    /// # Errors
    /// It is not a text.
    pub fn text(&self, name: &str) -> Result<Option<String>, WireError> {
        match self.get(name) {
            None => Ok(None),
            Some(Value::String(text)) => Ok(Some(text.clone())),
            Some(other) => Err(WireError::wrong_type(name, other)),
        }
    }

    /// A text that must be there and not be empty.
    ///
    /// # Errors
    /// It is absent, empty or not a text.
    pub fn required_text(&self, name: &str) -> Result<String, WireError> {
        self.text(name)?
            .filter(|text| !text.is_empty())
            .ok_or_else(|| WireError::missing(name))
    }

    /// The run that a call is about: `run_id`, or `run_uuid` as older clients say.
    ///
    /// # Errors
    /// Neither is there.
    pub fn run_id(&self) -> Result<String, WireError> {
        match self.text("run_id")?.filter(|id| !id.is_empty()) {
            Some(id) => Ok(id),
            None => self
                .text("run_uuid")?
                .filter(|id| !id.is_empty())
                .ok_or_else(|| WireError::missing("run_id")),
        }
    }

    /// A 64-bit integer that may be absent.
    ///
    /// # Errors
    /// It is neither an integer nor the text of one.
    pub fn integer(&self, name: &str) -> Result<Option<i64>, WireError> {
        let Some(value) = self.get(name) else {
            return Ok(None);
        };
        let integer = match value {
            Value::Number(number) => number.as_i64().or_else(|| whole(number.as_f64()?)),
            Value::String(text) => text.parse().ok(),
            _ => None,
        };
        integer
            .map(Some)
            .ok_or_else(|| WireError::wrong_type(name, value))
    }

    /// A double that must be there; `"NaN"`, `"Infinity"` and `"-Infinity"` are doubles.
    ///
    /// # Errors
    /// It is absent or not a double.
    pub fn required_real(&self, name: &str) -> Result<f64, WireError> {
        let value = self.get(name).ok_or_else(|| WireError::missing(name))?;
        let real = match value {
            Value::Number(number) => number.as_f64(),
            Value::String(text) if !text.is_empty() => text.trim().parse().ok(),
            _ => None,
        };
        real.ok_or_else(|| WireError::wrong_type(name, value))
    }

    /// A truth value; absent is false.
    ///
    /// # Errors
    /// It is not one.
    pub fn flag(&self, name: &str) -> Result<bool, WireError> {
        match self.get(name) {
            None => Ok(false),
            Some(Value::Bool(flag)) => Ok(*flag),
            Some(Value::String(text)) if text.eq_ignore_ascii_case("true") => Ok(true),
            Some(Value::String(text)) if text.eq_ignore_ascii_case("false") => Ok(false),
            Some(other) => Err(WireError::wrong_type(name, other)),
        }
    }

    /// A list of texts; absent is empty, and a query's single value is a list of one.
    ///
    /// # Errors
    /// It is not a list of texts.
    pub fn texts(&self, name: &str) -> Result<Vec<String>, WireError> {
        match self.get(name) {
            None => Ok(Vec::new()),
            Some(Value::String(text)) => Ok(vec![text.clone()]),
            Some(whole @ Value::Array(list)) => list
                .iter()
                .map(|item| item.as_str().map(str::to_owned))
                .collect::<Option<_>>()
                .ok_or_else(|| WireError::wrong_type(name, whole)),
            Some(other) => Err(WireError::wrong_type(name, other)),
        }
    }

    /// A list of objects; absent is empty.
    ///
    /// # Errors
    /// It is not a list of objects.
    pub fn objects(&self, name: &str) -> Result<Vec<Args>, WireError> {
        match self.get(name) {
            None => Ok(Vec::new()),
            Some(whole @ Value::Array(list)) => list
                .iter()
                .map(|item| item.is_object().then(|| Self::of_json(item)))
                .collect::<Option<_>>()
                .ok_or_else(|| WireError::wrong_type(name, whole)),
            Some(other) => Err(WireError::wrong_type(name, other)),
        }
    }

    /// An argument as it was sent, for the few that may be of any type.
    #[must_use]
    pub fn value(&self, name: &str) -> Option<&Value> {
        self.values.get(name)
    }

    /// An object whose members are texts; absent is empty.
    ///
    /// # Errors
    /// It is not an object, or a member is not a text.
    pub fn named_texts(&self, name: &str) -> Result<BTreeMap<String, String>, WireError> {
        match self.get(name) {
            None => Ok(BTreeMap::new()),
            Some(whole @ Value::Object(members)) => members
                .iter()
                .map(|(key, value)| Some((key.clone(), value.as_str()?.to_owned())))
                .collect::<Option<_>>()
                .ok_or_else(|| WireError::wrong_type(name, whole)),
            Some(other) => Err(WireError::wrong_type(name, other)),
        }
    }

    /// An object that may be absent.
    ///
    /// # Errors
    /// It is not an object.
    pub fn object(&self, name: &str) -> Result<Option<Args>, WireError> {
        match self.get(name) {
            None => Ok(None),
            Some(value @ Value::Object(_)) => Ok(Some(Self::of_json(value))),
            Some(other) => Err(WireError::wrong_type(name, other)),
        }
    }
}

fn whole(real: f64) -> Option<i64> {
    // Exactly representable integers only: 2^53 is where doubles stop being able to tell neighbours apart.
    (real.fract() == 0.0 && real.abs() <= 9_007_199_254_740_992.0).then_some(real as i64)
}

fn decoded(text: &str) -> String {
    percent_decode_str(&text.replace('+', " "))
        .decode_utf8_lossy()
        .into_owned()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_query_is_read_as_the_reference_server_reads_it() {
        let args =
            Args::of_query("run_id=abc&experiment_ids=1&experiment_ids=2&filter=a+%3D+%27b%27&max_results=5");
        assert_eq!(args.run_id().unwrap(), "abc");
        assert_eq!(args.texts("experiment_ids").unwrap(), ["1", "2"]);
        assert_eq!(args.texts("run_id").unwrap(), ["abc"]);
        assert_eq!(args.text("filter").unwrap().unwrap(), "a = 'b'");
        assert_eq!(args.integer("max_results").unwrap(), Some(5));
    }

    #[test]
    fn numbers_come_as_numbers_or_text() {
        let args =
            Args::of_json(&json!({"a": "17", "b": 17, "c": 17.0, "d": 17.5, "v": "NaN", "i": "-Infinity"}));
        for name in ["a", "b", "c"] {
            assert_eq!(args.integer(name).unwrap(), Some(17), "{name}");
        }
        assert!(args.integer("d").is_err());
        assert!(args.required_real("v").unwrap().is_nan());
        assert_eq!(args.required_real("i").unwrap(), f64::NEG_INFINITY);
    }

    #[test]
    fn refusals_use_the_reference_servers_words() {
        let args = Args::of_json(&json!({"run_id": 31}));
        assert!(
            args.run_id()
                .unwrap_err()
                .to_string()
                .starts_with("Invalid value 31 for parameter 'run_id' supplied")
        );
        let missing = Args::default().required_text("key").unwrap_err();
        assert!(
            missing
                .to_string()
                .starts_with("Missing value for required parameter 'key'.")
        );
    }

    #[test]
    fn older_clients_say_run_uuid() {
        assert_eq!(Args::of_json(&json!({"run_uuid": "x"})).run_id().unwrap(), "x");
        assert_eq!(
            Args::of_json(&json!({"run_uuid": "x", "run_id": "y"}))
                .run_id()
                .unwrap(),
            "y"
        );
    }
}
