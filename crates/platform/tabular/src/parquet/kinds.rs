//! Types of Parquet leaves: their words, and how stored numbers and bytes become values.

use parquet::basic::{ConvertedType, LogicalType, TimeUnit, Type as Physical};
use parquet::data_type::Int96;
use parquet::schema::types::Type;

use crate::value::{Shared, Value};

/// What the stored values of a leaf stand for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Meaning {
    /// As they are stored.
    Plain,
    /// Unsigned, of so many bits.
    Unsigned(u32),
    Text,
    Decimal(u32),
    Date,
    /// With so many nanoseconds to the unit.
    Time(i128),
    Timestamp(i128, bool),
    Uuid,
    Half,
}

/// The meaning of a leaf's values and the words for its type.
pub(super) fn leaf(kind: &Type) -> (Meaning, String) {
    let info = kind.get_basic_info();
    match info.logical_type_ref() {
        Some(logical) => by_logical(logical, kind),
        None => None,
    }
    .or_else(|| by_converted(info.converted_type(), kind))
    .unwrap_or_else(|| (Meaning::Plain, stored(kind)))
}

/// Words for what is stored, where nothing says what it means.
fn stored(kind: &Type) -> String {
    match kind.get_physical_type() {
        Physical::BOOLEAN => "boolean".to_owned(),
        Physical::INT32 => "int32".to_owned(),
        Physical::INT64 => "int64".to_owned(),
        Physical::INT96 => "timestamp[ns]".to_owned(),
        Physical::FLOAT => "float".to_owned(),
        Physical::DOUBLE => "double".to_owned(),
        Physical::BYTE_ARRAY => "binary".to_owned(),
        Physical::FIXED_LEN_BYTE_ARRAY => format!("fixed_size_binary[{}]", width(kind)),
    }
}

fn width(kind: &Type) -> i32 {
    match kind {
        Type::PrimitiveType { type_length, .. } => *type_length,
        Type::GroupType { .. } => 0,
    }
}

const fn nanos(unit: TimeUnit) -> (i128, &'static str) {
    match unit {
        TimeUnit::MILLIS => (1_000_000, "ms"),
        TimeUnit::MICROS => (1_000, "us"),
        TimeUnit::NANOS => (1, "ns"),
    }
}

/// Whether values are stored in a way that a meaning needs: files may claim any pair of the two.
fn fits(kind: &Type, stored: &[Physical]) -> bool {
    stored.contains(&kind.get_physical_type())
}

const BYTES: &[Physical] = &[Physical::BYTE_ARRAY];
const WHOLE: &[Physical] = &[Physical::INT32, Physical::INT64];
const FIXED: &[Physical] = &[Physical::FIXED_LEN_BYTE_ARRAY];

fn by_logical(logical: &LogicalType, kind: &Type) -> Option<(Meaning, String)> {
    let when = |fits: bool, meaning, words: &str| fits.then(|| (meaning, words.to_owned()));
    match logical {
        LogicalType::String => when(fits(kind, BYTES), Meaning::Text, "string"),
        LogicalType::Enum => when(fits(kind, BYTES), Meaning::Text, "enum"),
        LogicalType::Json => when(fits(kind, BYTES), Meaning::Text, "json"),
        LogicalType::Bson => when(fits(kind, BYTES), Meaning::Plain, "bson"),
        LogicalType::Uuid => when(fits(kind, FIXED) && width(kind) == 16, Meaning::Uuid, "uuid"),
        LogicalType::Float16 => when(fits(kind, FIXED) && width(kind) == 2, Meaning::Half, "halffloat"),
        LogicalType::Date => when(fits(kind, &[Physical::INT32]), Meaning::Date, "date"),
        LogicalType::Unknown => Some((Meaning::Plain, "null".to_owned())),
        LogicalType::Decimal(decimal_type) => decimal(decimal_type.scale, decimal_type.precision),
        LogicalType::Time(time) => {
            let (per, unit) = nanos(time.unit);
            when(fits(kind, WHOLE), Meaning::Time(per), &format!("time[{unit}]"))
        }
        LogicalType::Timestamp(stamp) => {
            let utc = stamp.is_adjusted_to_u_t_c;
            let (per, unit) = nanos(stamp.unit);
            let words = if utc {
                format!("timestamp[{unit}, UTC]")
            } else {
                format!("timestamp[{unit}]")
            };
            when(fits(kind, WHOLE), Meaning::Timestamp(per, utc), &words)
        }
        LogicalType::Integer(int) => {
            let bits = u32::try_from(int.bit_width)
                .ok()
                .filter(|bits| matches!(bits, 8 | 16 | 32 | 64))?;
            if int.is_signed {
                when(fits(kind, WHOLE), Meaning::Plain, &format!("int{bits}"))
            } else {
                when(fits(kind, WHOLE), Meaning::Unsigned(bits), &format!("uint{bits}"))
            }
        }
        LogicalType::Geometry(_) => when(fits(kind, BYTES), Meaning::Plain, "geometry"),
        LogicalType::Geography(_) => when(fits(kind, BYTES), Meaning::Plain, "geography"),
        _ => None,
    }
}

fn decimal(scale: i32, precision: i32) -> Option<(Meaning, String)> {
    // The longest that 16 bytes hold has 38 digits; longer ones are shown as bytes.
    let scale = u32::try_from(scale).ok().filter(|scale| *scale <= 76)?;
    Some((Meaning::Decimal(scale), format!("decimal({precision}, {scale})")))
}

fn by_converted(converted: ConvertedType, kind: &Type) -> Option<(Meaning, String)> {
    use ConvertedType as C;
    let when = |fits: bool, meaning, words: &str| fits.then(|| (meaning, words.to_owned()));
    let whole = fits(kind, WHOLE);
    match converted {
        C::UTF8 => when(fits(kind, BYTES), Meaning::Text, "string"),
        C::ENUM => when(fits(kind, BYTES), Meaning::Text, "enum"),
        C::JSON => when(fits(kind, BYTES), Meaning::Text, "json"),
        C::BSON => when(fits(kind, BYTES), Meaning::Plain, "bson"),
        C::DATE => when(fits(kind, &[Physical::INT32]), Meaning::Date, "date"),
        C::TIME_MILLIS => when(whole, Meaning::Time(1_000_000), "time[ms]"),
        C::TIME_MICROS => when(whole, Meaning::Time(1_000), "time[us]"),
        C::TIMESTAMP_MILLIS => when(whole, Meaning::Timestamp(1_000_000, true), "timestamp[ms, UTC]"),
        C::TIMESTAMP_MICROS => when(whole, Meaning::Timestamp(1_000, true), "timestamp[us, UTC]"),
        C::UINT_8 => when(whole, Meaning::Unsigned(8), "uint8"),
        C::UINT_16 => when(whole, Meaning::Unsigned(16), "uint16"),
        C::UINT_32 => when(whole, Meaning::Unsigned(32), "uint32"),
        C::UINT_64 => when(whole, Meaning::Unsigned(64), "uint64"),
        C::INT_8 => when(whole, Meaning::Plain, "int8"),
        C::INT_16 => when(whole, Meaning::Plain, "int16"),
        C::DECIMAL => match kind {
            Type::PrimitiveType { scale, precision, .. } => decimal(*scale, *precision),
            Type::GroupType { .. } => None,
        },
        C::INTERVAL => when(fits(kind, FIXED), Meaning::Plain, "interval"),
        _ => None,
    }
}

impl Meaning {
    /// A stored integer.
    pub fn whole(self, value: i64) -> Value {
        match self {
            Self::Unsigned(bits) => Value::Int(i128::from(value.cast_unsigned() & (u64::MAX >> (64 - bits)))),
            Self::Decimal(scale) => Value::Decimal {
                unscaled: value.into(),
                scale,
            },
            Self::Date => Value::Date(value),
            Self::Time(per) => Value::Time(i128::from(value) * per),
            Self::Timestamp(per, utc) => Value::Timestamp {
                nanos: i128::from(value) * per,
                utc,
            },
            _ => Value::Int(value.into()),
        }
    }

    /// Stored bytes.
    pub fn bytes(self, bytes: Shared) -> Value {
        match self {
            Self::Text => Value::Text(bytes),
            Self::Uuid => match <[u8; 16]>::try_from(&*bytes) {
                Ok(uuid) => Value::Uuid(uuid),
                Err(_) => Value::Binary(bytes),
            },
            Self::Half => match &*bytes {
                [low, high] => Value::Float {
                    value: half(u16::from_le_bytes([*low, *high])),
                    single: true,
                },
                _ => Value::Binary(bytes),
            },
            Self::Decimal(scale) if (1..=16).contains(&bytes.len()) => Value::Decimal {
                unscaled: big_endian(&bytes),
                scale,
            },
            _ => Value::Binary(bytes),
        }
    }
}

/// The old form of a timestamp: nanoseconds of the day and a Julian day.
pub(super) fn int96(value: &Int96) -> Value {
    let [low, high, day] = match value.data() {
        [low, high, day] => [*low, *high, *day],
        _ => return Value::Null,
    };
    let of_day = i128::from(u64::from(high) << 32 | u64::from(low));
    let days = i128::from(day.cast_signed()) - 2_440_588;
    Value::Timestamp {
        nanos: days * 86_400_000_000_000 + of_day,
        utc: false,
    }
}

/// A signed number of at most 16 bytes.
fn big_endian(bytes: &[u8]) -> i128 {
    let negative = bytes.first().is_some_and(|byte| byte & 0x80 != 0);
    let start = if negative { -1_i128 } else { 0 };
    bytes
        .iter()
        .fold(start, |value, byte| value << 8 | i128::from(*byte))
}

/// A half precision number, which a double holds exactly.
fn half(bits: u16) -> f64 {
    let sign = if bits & 0x8000 == 0 { 1.0 } else { -1.0 };
    let exponent = i32::from(bits >> 10 & 0x1f);
    let fraction = f64::from(bits & 0x3ff);
    sign * match exponent {
        0 => fraction * 2_f64.powi(-24),
        31 if fraction == 0.0 => f64::INFINITY,
        31 => f64::NAN,
        _ => (1024.0 + fraction) * 2_f64.powi(exponent - 25),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn halves_are_exact() {
        for (bits, value) in [
            (0x3c00, 1.0),
            (0xc000, -2.0),
            (0x7bff, 65504.0),
            (0x0001, 5.960_464_477_539_063e-8),
        ] {
            assert!((half(bits) - value).abs() < 1e-20, "{bits:x}");
        }
        assert!(half(0x7e00).is_nan() && half(0xfc00).is_infinite());
    }

    #[test]
    fn numbers_in_bytes_are_signed() {
        assert_eq!(big_endian(&[0xff]), -1);
        assert_eq!(big_endian(&[0x01, 0x00]), 256);
        assert_eq!(big_endian(&[0xff; 16]), -1);
        assert_eq!(big_endian(&[0x80, 0x00]), -32768);
    }

    #[test]
    fn unsigned_numbers_do_not_become_negative() {
        assert_eq!(Meaning::Unsigned(64).whole(-1), Value::Int(u64::MAX.into()));
        assert_eq!(Meaning::Unsigned(8).whole(-1), Value::Int(255));
        assert_eq!(Meaning::Unsigned(32).whole(-1), Value::Int(u32::MAX.into()));
    }
}
