//! A value of an attribute: JSON that keeps the order of its members and tells integers from reals, as
//! OpenTelemetry does.

use std::fmt;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::de::{MapAccess, SeqAccess, Visitor};
use serde::ser::{SerializeMap, SerializeSeq};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::json::spaced;

/// A value of an attribute.
#[derive(Debug, Clone, PartialEq)]
#[allow(missing_docs)]
pub enum AnyValue {
    Null,
    Bool(bool),
    Integer(i64),
    Real(f64),
    Text(String),
    Bytes(Vec<u8>),
    List(Vec<AnyValue>),
    Map(Vec<(String, AnyValue)>),
}

impl AnyValue {
    /// The text that a span keeps of it. JSON knows no infinities; where the whole value is one, it is the word
    /// that Python writes.
    #[must_use]
    pub fn to_text(&self) -> String {
        match self {
            Self::Real(real) if real.is_nan() => "NaN".to_owned(),
            Self::Real(real) if real.is_infinite() => {
                if *real > 0.0 { "Infinity" } else { "-Infinity" }.to_owned()
            }
            value => spaced(value),
        }
    }

    /// The value of such a text; what is not JSON is a text.
    #[must_use]
    pub fn of_text(text: &str) -> Self {
        match text {
            "NaN" => Self::Real(f64::NAN),
            "Infinity" => Self::Real(f64::INFINITY),
            "-Infinity" => Self::Real(f64::NEG_INFINITY),
            text => serde_json::from_str(text).unwrap_or_else(|_| Self::Text(text.to_owned())),
        }
    }

    /// The member of this name.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&Self> {
        match self {
            Self::Map(members) => members
                .iter()
                .rev()
                .find(|(key, _)| key == name)
                .map(|(_, value)| value),
            _ => None,
        }
    }

    /// The text, if it is one.
    #[must_use]
    pub fn as_text(&self) -> Option<&str> {
        match self {
            Self::Text(text) => Some(text),
            _ => None,
        }
    }

    /// Whether Python would call it true: something is in it.
    pub(crate) fn is_something(&self) -> bool {
        match self {
            Self::Null => false,
            Self::Bool(bool) => *bool,
            Self::Integer(integer) => *integer != 0,
            Self::Real(real) => *real != 0.0,
            Self::Text(text) => !text.is_empty(),
            Self::Bytes(bytes) => !bytes.is_empty(),
            Self::List(list) => !list.is_empty(),
            Self::Map(members) => !members.is_empty(),
        }
    }
}

impl Serialize for AnyValue {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Null => serializer.serialize_unit(),
            Self::Bool(bool) => serializer.serialize_bool(*bool),
            Self::Integer(integer) => serializer.serialize_i64(*integer),
            Self::Real(real) => serializer.serialize_f64(*real),
            Self::Text(text) => serializer.serialize_str(text),
            Self::Bytes(bytes) => serializer.serialize_str(&STANDARD.encode(bytes)),
            Self::List(list) => {
                let mut seq = serializer.serialize_seq(Some(list.len()))?;
                for item in list {
                    seq.serialize_element(item)?;
                }
                seq.end()
            }
            Self::Map(members) => {
                let mut map = serializer.serialize_map(Some(members.len()))?;
                for (key, value) in members {
                    map.serialize_entry(key, value)?;
                }
                map.end()
            }
        }
    }
}

impl<'de> Deserialize<'de> for AnyValue {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Any;

        impl<'de> Visitor<'de> for Any {
            type Value = AnyValue;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a JSON value")
            }

            fn visit_unit<E>(self) -> Result<AnyValue, E> {
                Ok(AnyValue::Null)
            }

            fn visit_bool<E>(self, bool: bool) -> Result<AnyValue, E> {
                Ok(AnyValue::Bool(bool))
            }

            fn visit_i64<E>(self, integer: i64) -> Result<AnyValue, E> {
                Ok(AnyValue::Integer(integer))
            }

            fn visit_u64<E>(self, integer: u64) -> Result<AnyValue, E> {
                Ok(i64::try_from(integer).map_or(AnyValue::Real(integer as f64), AnyValue::Integer))
            }

            fn visit_f64<E>(self, real: f64) -> Result<AnyValue, E> {
                Ok(AnyValue::Real(real))
            }

            fn visit_str<E>(self, text: &str) -> Result<AnyValue, E> {
                Ok(AnyValue::Text(text.to_owned()))
            }

            fn visit_string<E>(self, text: String) -> Result<AnyValue, E> {
                Ok(AnyValue::Text(text))
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<AnyValue, A::Error> {
                let mut list = Vec::new();
                while let Some(item) = items.next_element()? {
                    list.push(item);
                }
                Ok(AnyValue::List(list))
            }

            fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<AnyValue, A::Error> {
                let mut members = Vec::new();
                while let Some(entry) = entries.next_entry()? {
                    members.push(entry);
                }
                Ok(AnyValue::Map(members))
            }
        }

        deserializer.deserialize_any(Any)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn order_and_kinds_of_numbers_are_kept() {
        let text = r#"{"z": 1, "a": 1.0, "l": [null, true, "x"], "m": {}}"#;
        assert_eq!(AnyValue::of_text(text).to_text(), text);
        assert_eq!(
            AnyValue::of_text("18446744073709551615"),
            AnyValue::Real(18_446_744_073_709_551_615.0)
        );
        assert_eq!(AnyValue::of_text("not json"), AnyValue::Text("not json".into()));
    }

    #[test]
    fn what_json_lacks_goes_round_all_the_same() {
        for real in [f64::INFINITY, f64::NEG_INFINITY] {
            assert_eq!(
                AnyValue::of_text(&AnyValue::Real(real).to_text()),
                AnyValue::Real(real)
            );
        }
        assert_eq!(AnyValue::Real(f64::NAN).to_text(), "NaN");
        assert_eq!(AnyValue::Bytes(vec![1, 2]).to_text(), "\"AQI=\"");
    }
}
