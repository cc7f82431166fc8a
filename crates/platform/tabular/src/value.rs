//! Values of all formats, and what makes two of them the same.

use std::ops::Deref;
use std::sync::Arc;

use bytes::Bytes;
use parquet::data_type::ByteArray;

/// Bytes that share their memory with what they were read from. Parquet hands out such with its own type
/// around them, and copying those would make gigabytes of a dictionary entry that many rows name.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Shared(ByteArray);

impl Deref for Shared {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        // An empty one has no memory, and its own accessor panics.
        if self.0.is_empty() { &[] } else { self.0.data() }
    }
}

impl From<Bytes> for Shared {
    fn from(bytes: Bytes) -> Self {
        Self(bytes.into())
    }
}

impl From<ByteArray> for Shared {
    fn from(bytes: ByteArray) -> Self {
        Self(bytes)
    }
}

/// One value. Times are kept in nanoseconds, whatever unit the file has, so that a column written anew in
/// another unit compares as the same.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Value {
    Null,
    Bool(bool),
    Int(i128),
    /// `single` says that it came from 32 bits, which matters to its text only.
    Float {
        value: f64,
        single: bool,
    },
    Decimal {
        unscaled: i128,
        scale: u32,
    },
    /// Text as it is in the file, which may not be UTF-8.
    Text(Shared),
    Binary(Shared),
    Uuid([u8; 16]),
    /// Days since 1970-01-01.
    Date(i64),
    /// Nanoseconds since midnight.
    Time(i128),
    /// Nanoseconds since 1970; `utc` says that it is an instant and not a wall clock's reading.
    Timestamp {
        nanos: i128,
        utc: bool,
    },
    List(Vec<Value>),
    Struct(Vec<(Arc<str>, Value)>),
    Map(Vec<(Value, Value)>),
}

/// 16 bytes of BLAKE3: two different values share one with a chance that is no concern below 2^60 rows.
pub(crate) type Digest = [u8; 16];

/// Integers below this are exact in a double.
const EXACT: f64 = 9_007_199_254_740_992.0;

impl Value {
    /// Feeds a form that is the same for equal values and for no others, and begins with its kind.
    ///
    /// Numbers are equal when they are mathematically: 1, 1.0 and the decimal 1.00. NaN equals NaN, and
    /// minus zero equals zero. Members of a struct are compared by name, whatever their order.
    pub fn feed(&self, hasher: &mut blake3::Hasher) {
        match self {
            Self::Null => tagged(hasher, 0, &[]),
            Self::Bool(value) => tagged(hasher, 1, &[u8::from(*value)]),
            Self::Int(value) => tagged(hasher, 2, &value.to_le_bytes()),
            Self::Float { value, .. } => feed_float(hasher, *value),
            Self::Decimal { unscaled, scale } => feed_decimal(hasher, *unscaled, *scale),
            Self::Text(bytes) => sized(hasher, 5, bytes),
            Self::Binary(bytes) => sized(hasher, 6, bytes),
            Self::Uuid(bytes) => tagged(hasher, 7, bytes),
            Self::Date(days) => tagged(hasher, 8, &days.to_le_bytes()),
            Self::Time(nanos) => tagged(hasher, 9, &nanos.to_le_bytes()),
            Self::Timestamp { nanos, utc } => {
                tagged(hasher, 10 + u8::from(*utc), &nanos.to_le_bytes());
            }
            Self::List(items) => {
                tagged(hasher, 12, &(items.len() as u64).to_le_bytes());
                items.iter().for_each(|item| item.feed(hasher));
            }
            Self::Struct(members) => {
                tagged(hasher, 13, &(members.len() as u64).to_le_bytes());
                let mut members: Vec<_> = members.iter().collect();
                members.sort_by(|left, right| left.0.cmp(&right.0));
                for (name, value) in members {
                    sized(hasher, 5, name.as_bytes());
                    value.feed(hasher);
                }
            }
            Self::Map(entries) => {
                tagged(hasher, 14, &(entries.len() as u64).to_le_bytes());
                for (key, value) in entries {
                    key.feed(hasher);
                    value.feed(hasher);
                }
            }
        }
    }

    /// The digest of this value alone.
    pub fn digest(&self) -> Digest {
        let mut hasher = blake3::Hasher::new();
        self.feed(&mut hasher);
        short(&hasher)
    }

    /// About how many bytes it is to feed it.
    pub fn weight(&self) -> u64 {
        match self {
            Self::Text(bytes) | Self::Binary(bytes) => 16 + bytes.len() as u64,
            Self::List(items) => 16 + items.iter().map(Self::weight).sum::<u64>(),
            Self::Struct(members) => 16 + members.iter().map(|(_, value)| 16 + value.weight()).sum::<u64>(),
            Self::Map(entries) => {
                16 + entries
                    .iter()
                    .map(|(key, value)| key.weight() + value.weight())
                    .sum::<u64>()
            }
            _ => 16,
        }
    }
}

/// The first half of what a hasher has.
pub(crate) fn short(hasher: &blake3::Hasher) -> Digest {
    let mut digest = [0; 16];
    hasher.finalize_xof().fill(&mut digest);
    digest
}

fn tagged(hasher: &mut blake3::Hasher, tag: u8, bytes: &[u8]) {
    hasher.update(&[tag]);
    hasher.update(bytes);
}

fn sized(hasher: &mut blake3::Hasher, tag: u8, bytes: &[u8]) {
    tagged(hasher, tag, &(bytes.len() as u64).to_le_bytes());
    hasher.update(bytes);
}

fn feed_float(hasher: &mut blake3::Hasher, value: f64) {
    if value.is_nan() {
        tagged(hasher, 3, &f64::NAN.to_bits().to_le_bytes());
    } else if value.trunc() == value && value.abs() <= EXACT {
        #[expect(clippy::cast_possible_truncation, reason = "it is whole and below 2^53")]
        tagged(hasher, 2, &i128::from(value as i64).to_le_bytes());
    } else {
        tagged(hasher, 3, &value.to_bits().to_le_bytes());
    }
}

fn feed_decimal(hasher: &mut blake3::Hasher, mut unscaled: i128, mut scale: u32) {
    while scale > 0 && unscaled % 10 == 0 {
        unscaled /= 10;
        scale = if unscaled == 0 { 0 } else { scale - 1 };
    }
    if scale == 0 {
        return tagged(hasher, 2, &unscaled.to_le_bytes());
    }
    tagged(hasher, 4, &scale.to_le_bytes());
    hasher.update(&unscaled.to_le_bytes());
}

#[cfg(test)]
mod tests {
    use super::*;

    fn float(value: f64) -> Value {
        Value::Float { value, single: false }
    }

    fn text(value: &str) -> Value {
        Value::Text(Bytes::copy_from_slice(value.as_bytes()).into())
    }

    #[test]
    fn numbers_are_compared_by_what_they_are_worth() {
        assert_eq!(Value::Int(1).digest(), float(1.0).digest());
        assert_eq!(
            Value::Int(1).digest(),
            Value::Decimal {
                unscaled: 100,
                scale: 2
            }
            .digest()
        );
        assert_eq!(
            Value::Int(0).digest(),
            Value::Decimal {
                unscaled: 0,
                scale: 9
            }
            .digest()
        );
        assert_eq!(float(0.0).digest(), float(-0.0).digest());
        assert_eq!(float(f64::NAN).digest(), float(-f64::NAN).digest());
        assert_ne!(float(0.5).digest(), float(0.25).digest());
        assert_ne!(float(f64::INFINITY).digest(), float(f64::NEG_INFINITY).digest());
        assert_ne!(Value::Int(1).digest(), text("1").digest());
    }

    #[test]
    fn where_a_value_ends_is_part_of_it() {
        let split = |left: &str, right: &str| Value::List(vec![text(left), text(right)]).digest();
        assert_ne!(split("ab", "c"), split("a", "bc"));
        assert_ne!(Value::Null.digest(), text("").digest());
        assert_ne!(
            Value::List(vec![]).digest(),
            Value::List(vec![Value::Null]).digest()
        );
    }

    #[test]
    fn members_of_a_struct_have_no_order() {
        let one = Value::Struct(vec![("a".into(), Value::Int(1)), ("b".into(), Value::Null)]);
        let two = Value::Struct(vec![("b".into(), Value::Null), ("a".into(), Value::Int(1))]);
        assert_eq!(one.digest(), two.digest());
    }
}
