//! JSON values of a line, with members in the order of the file.

use std::fmt;
use std::sync::Arc;

use bytes::Bytes;
use serde::de::{Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};

use super::guess::Guess;
use crate::value::Value;

/// Name of the column of lines that are no objects.
pub(super) const BARE: &str = "value";

impl Value {
    /// The type that a JSON value has.
    pub(super) fn guess(&self) -> Guess {
        match self {
            Self::Null => Guess::Null,
            Self::Bool(_) => Guess::Boolean,
            Self::Int(_) => Guess::Integer,
            Self::Float { .. } => Guess::Number,
            Self::List(_) => Guess::List,
            Self::Struct(_) => Guess::Struct,
            _ => Guess::String,
        }
    }
}

impl<'de> Deserialize<'de> for Value {
    /// Integers beyond 64 bits become doubles, as in most readers of JSON. The parser refuses nesting
    /// beyond 128 levels.
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(AnyValue)
    }
}

struct AnyValue;

impl<'de> Visitor<'de> for AnyValue {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(Value::Bool(value))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
        Ok(Value::Int(value.into()))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
        Ok(Value::Int(value.into()))
    }

    fn visit_f64<E>(self, value: f64) -> Result<Value, E> {
        Ok(Value::Float { value, single: false })
    }

    fn visit_str<E>(self, value: &str) -> Result<Value, E> {
        Ok(Value::Text(Bytes::copy_from_slice(value.as_bytes()).into()))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Value, A::Error> {
        let mut list = Vec::new();
        while let Some(item) = items.next_element()? {
            list.push(item);
        }
        Ok(Value::List(list))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Value, A::Error> {
        let mut all: Vec<(Arc<str>, Value)> = Vec::new();
        while let Some((name, value)) = members.next_entry::<String, Value>()? {
            all.push((name.into(), value));
        }
        Ok(Value::Struct(all))
    }
}
