//! The one way a request of this dialect is wrong.

use corliss_diagnostics::{Diagnose, Meaning};

/// A request that MLflow's server would refuse with `INVALID_PARAMETER_VALUE`, in its words.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct WireError {
    message: String,
    field: Option<String>,
}

impl WireError {
    /// A refusal in these words.
    #[must_use]
    pub fn new(message: impl Into<String>) -> Self {
        Self {
            message: message.into(),
            field: None,
        }
    }

    /// The same, told of this parameter.
    #[must_use]
    pub fn about(mut self, field: &str) -> Self {
        self.field = Some(field.to_owned());
        self
    }

    /// A required parameter is absent or empty.
    #[must_use]
    pub fn missing(field: &str) -> Self {
        let message = format!(
            "Missing value for required parameter '{field}'. \
             See the API docs for more information about request parameters."
        );
        Self {
            message,
            field: Some(field.to_owned()),
        }
    }

    /// A parameter has the wrong type; `kind` is what MLflow would call the type it got.
    #[must_use]
    pub fn wrong_type(field: &str, value: &serde_json::Value) -> Self {
        let kind = match value {
            serde_json::Value::Null => "NoneType",
            serde_json::Value::Bool(_) => "bool",
            serde_json::Value::Number(number) if number.is_f64() => "float",
            serde_json::Value::Number(_) => "int",
            serde_json::Value::String(_) => "str",
            serde_json::Value::Array(_) => "list",
            serde_json::Value::Object(_) => "dict",
        };
        let shown: String = ascii(&value.to_string()).chars().take(200).collect();
        let message = format!(
            "Invalid value {shown} for parameter '{field}' supplied:  Hint: Value was of type '{kind}'. \
             See the API docs for more information about request parameters."
        );
        Self {
            message,
            field: Some(field.to_owned()),
        }
    }

    /// A parameter has a value that is refused for this reason.
    #[must_use]
    pub fn invalid_value(field: &str, value: &str, reason: &str) -> Self {
        let shown = ascii(&serde_json::Value::from(value).to_string());
        let message = if reason.is_empty() {
            format!("Invalid value {shown} for parameter '{field}' supplied.")
        } else {
            format!("Invalid value {shown} for parameter '{field}' supplied: {reason}")
        };
        Self {
            message,
            field: Some(field.to_owned()),
        }
    }
}

/// JSON with everything beyond ASCII escaped, as MLflow's server writes it.
fn ascii(json: &str) -> String {
    let mut escaped = String::with_capacity(json.len());
    for unit in json.encode_utf16() {
        match u8::try_from(unit) {
            Ok(byte) if byte.is_ascii() => escaped.push(char::from(byte)),
            _ => escaped.push_str(&format!("\\u{unit:04x}")),
        }
    }
    escaped
}

impl Diagnose for WireError {
    fn code(&self) -> &'static str {
        "mlflow_parameter_invalid"
    }

    fn meaning(&self) -> Meaning {
        Meaning::InvalidInput
    }

    fn field(&self) -> Option<String> {
        self.field.clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_sent_is_shown_as_python_writes_json() {
        let refused = WireError::invalid_value("key", "ü\u{1F642}\"", "");
        assert_eq!(
            refused.to_string(),
            "Invalid value \"\\u00fc\\ud83d\\ude42\\\"\" for parameter 'key' supplied."
        );
    }
}
