//! The `parameters` of a request, its inputs and its outputs. What would change the answer and is not understood is
//! refused by name; a value that means the same as none is not.

use serde_json::{Map, Value};

use crate::EngineError;

/// Says how a client made the data; the data itself says the rest.
const HARMLESS: &[&str] = &["content_type"];
const SHARED_MEMORY: &str = "shared_memory_";

/// Parameters of one object, being read.
pub(super) struct Parameters<'a> {
    given: Option<&'a Map<String, Value>>,
    /// Where they stand, in dotted form.
    place: String,
    known: Vec<String>,
}

impl<'a> Parameters<'a> {
    /// Those that stand in this place.
    pub fn new(given: Option<&'a Map<String, Value>>, place: String) -> Self {
        Self {
            given,
            place,
            known: Vec::new(),
        }
    }

    /// A truth value; absent means false.
    pub fn flag(&mut self, name: &'static str) -> Result<Option<bool>, EngineError> {
        self.read(name, "true or false", Value::as_bool)
    }

    /// A number of bytes.
    pub fn size(&mut self, name: &'static str) -> Result<Option<usize>, EngineError> {
        self.read(name, "a whole number from 0", |value| {
            value.as_u64().and_then(|size| usize::try_from(size).ok())
        })
    }

    /// A whole number.
    pub fn whole(&mut self, name: &'static str) -> Result<Option<u64>, EngineError> {
        self.read(name, "a whole number from 0", Value::as_u64)
    }

    /// Whatever stands there.
    pub fn value(&mut self, name: &str) -> Option<&'a Value> {
        self.known.push(name.to_owned());
        let value = self.given.and_then(|given| given.get(name));
        value.filter(|value| !value.is_null())
    }

    fn read<T>(
        &mut self,
        name: &'static str,
        expected: &str,
        read: impl Fn(&Value) -> Option<T>,
    ) -> Result<Option<T>, EngineError> {
        self.known.push(name.to_owned());
        match self.given.and_then(|given| given.get(name)) {
            None | Some(Value::Null) => Ok(None),
            Some(value) => read(value).map(Some).ok_or_else(|| {
                EngineError::invalid(
                    format!("{}.{name}", self.place),
                    format!("{}.{name} must be {expected}", self.place),
                )
            }),
        }
    }

    /// Refuses what is left, of the tensor of this name if it is one's.
    pub fn finish(self, tensor: Option<&str>) -> Result<(), EngineError> {
        for (name, value) in self.given.into_iter().flatten() {
            let known = self.known.contains(name) || HARMLESS.contains(&name.as_str());
            if known || says_nothing(value) {
                continue;
            }
            let name: String = name.chars().take(80).collect();
            let of = tensor.map(|tensor| format!(" of '{tensor}'")).unwrap_or_default();
            let hint = if name.starts_with(SHARED_MEMORY) {
                "shared memory is not served: send and take tensors with the message"
            } else {
                "leave it out"
            };
            return Err(EngineError::invalid_hint(
                format!("{}.{name}", self.place),
                format!("the parameter '{name}'{of} is not supported"),
                hint,
            ));
        }
        Ok(())
    }
}

fn says_nothing(value: &Value) -> bool {
    match value {
        Value::Null | Value::Bool(false) => true,
        Value::Number(number) => number.as_f64() == Some(0.0),
        Value::String(text) => text.is_empty(),
        Value::Array(items) => items.is_empty(),
        Value::Object(members) => members.is_empty(),
        Value::Bool(true) => false,
    }
}
