//! Open Inference Protocol data to tensors and back: JSON arrays, flat or nested, of one element type.
//!
//! The type stands in another field than the data, perhaps after it, so the data is kept as text first
//! and then read straight into a vector of its type: one pass, one allocation, exact 64-bit integers.

use std::fmt;
use std::marker::PhantomData;

use corliss_diagnostics::counted;
use serde::de::{DeserializeSeed, Deserializer, MapAccess, SeqAccess, Visitor};
use tract_onnx::prelude::{Datum, DatumType, Tensor, f16, tract_ndarray};

use super::datatype;

const MAX_NESTING: usize = 16;

/// Reads JSON data as a tensor of this type and shape. The error is a phrase about the data.
pub(super) fn parse(data: &str, datum: DatumType, shape: &[usize]) -> Result<Tensor, String> {
    match datum {
        DatumType::F32 => tensor::<f32>(data, shape),
        DatumType::F64 => tensor::<f64>(data, shape),
        DatumType::F16 => tensor::<f16>(data, shape),
        DatumType::I64 => tensor::<i64>(data, shape),
        DatumType::I32 => tensor::<i32>(data, shape),
        DatumType::I16 => tensor::<i16>(data, shape),
        DatumType::I8 => tensor::<i8>(data, shape),
        DatumType::U64 => tensor::<u64>(data, shape),
        DatumType::U32 => tensor::<u32>(data, shape),
        DatumType::U16 => tensor::<u16>(data, shape),
        DatumType::U8 => tensor::<u8>(data, shape),
        DatumType::Bool => tensor::<bool>(data, shape),
        DatumType::String => of_texts(shape, values(data, shape)?),
        other => Err(format!(
            "has the type {}, which is not served",
            datatype::name(other)
        )),
    }
}

/// Appends the tensor's elements as a flat JSON array. A float that is not finite becomes `null`: JSON
/// has no word for it.
pub(super) fn write(tensor: &Tensor, into: &mut Vec<u8>) -> Result<(), String> {
    match tensor.datum_type() {
        DatumType::F32 => elements::<f32, _>(tensor, into, |value| value),
        DatumType::F64 => elements::<f64, _>(tensor, into, |value| value),
        DatumType::F16 => elements::<f16, _>(tensor, into, f32::from),
        DatumType::I64 => elements::<i64, _>(tensor, into, |value| value),
        DatumType::I32 => elements::<i32, _>(tensor, into, |value| value),
        DatumType::I16 => elements::<i16, _>(tensor, into, |value| value),
        DatumType::I8 => elements::<i8, _>(tensor, into, |value| value),
        DatumType::U64 => elements::<u64, _>(tensor, into, |value| value),
        DatumType::U32 => elements::<u32, _>(tensor, into, |value| value),
        DatumType::U16 => elements::<u16, _>(tensor, into, |value| value),
        DatumType::U8 => elements::<u8, _>(tensor, into, |value| value),
        DatumType::Bool => elements::<bool, _>(tensor, into, |value| value),
        DatumType::String => texts(tensor, into),
        other => Err(format!(
            "the model gave elements of type {other:?}, which cannot be sent"
        )),
    }
}

fn elements<T: Datum + Copy, S: serde::Serialize>(
    tensor: &Tensor,
    into: &mut Vec<u8>,
    as_json: impl Fn(T) -> S,
) -> Result<(), String> {
    let view = tensor
        .to_plain_array_view::<T>()
        .map_err(|error| error.to_string())?;
    into.push(b'[');
    for (index, value) in view.iter().enumerate() {
        if index > 0 {
            into.push(b',');
        }
        serde_json::to_writer(&mut *into, &as_json(*value)).map_err(|error| error.to_string())?;
    }
    into.push(b']');
    Ok(())
}

fn texts(tensor: &Tensor, into: &mut Vec<u8>) -> Result<(), String> {
    let view = tensor
        .to_plain_array_view::<String>()
        .map_err(|error| error.to_string())?;
    let all: Vec<&String> = view.iter().collect();
    serde_json::to_writer(into, &all).map_err(|error| error.to_string())
}

/// Texts as a tensor; there are as many as the shape says.
pub(super) fn of_texts(shape: &[usize], texts: Vec<String>) -> Result<Tensor, String> {
    let array = tract_ndarray::ArrayD::from_shape_vec(shape, texts).map_err(|error| error.to_string())?;
    Ok(Tensor::from(array))
}

fn tensor<T: Datum + Copy + Element>(data: &str, shape: &[usize]) -> Result<Tensor, String> {
    Tensor::from_shape(shape, &values::<T>(data, shape)?).map_err(|error| error.to_string())
}

/// As many values as the shape says.
fn values<T: Element>(data: &str, shape: &[usize]) -> Result<Vec<T>, String> {
    let expected = shape
        .iter()
        .try_fold(1_usize, |product, dim| product.checked_mul(*dim));
    let expected = expected.ok_or_else(|| "has an impossible shape".to_owned())?;
    let mut values: Vec<T> = Vec::with_capacity(expected.min(data.len()));
    let mut reader = serde_json::Deserializer::from_str(data);
    Reader {
        values: &mut values,
        shape,
        depth: 0,
        element: PhantomData,
    }
    .deserialize(&mut reader)
    .map_err(|error| plain(&error))?;
    if values.len() != expected {
        return Err(format!(
            "has shape {shape:?}, which is {}, but {} came",
            counted(expected, "element", "elements"),
            values.len()
        ));
    }
    Ok(values)
}

/// serde_json ends its messages with a place in the data alone, which would mislead; leave it out.
fn plain(error: &serde_json::Error) -> String {
    let text = error.to_string();
    text.split(" at line ").next().unwrap_or_default().to_owned()
}

/// An element type and how it is read from a JSON number or truth value.
trait Element: Sized {
    const NAME: &'static str;
    fn from_float(value: f64) -> Option<Self>;
    fn from_signed(value: i64) -> Option<Self>;
    fn from_unsigned(value: u64) -> Option<Self>;
    fn from_truth(_value: bool) -> Option<Self> {
        None
    }
    fn from_text(_value: &str) -> Option<Self> {
        None
    }
}

impl Element for String {
    const NAME: &'static str = "BYTES";
    fn from_float(_value: f64) -> Option<Self> {
        None
    }
    fn from_signed(_value: i64) -> Option<Self> {
        None
    }
    fn from_unsigned(_value: u64) -> Option<Self> {
        None
    }
    fn from_text(value: &str) -> Option<Self> {
        Some(value.to_owned())
    }
}

macro_rules! float_element {
    ($type:ty, $name:literal, $from:expr) => {
        impl Element for $type {
            const NAME: &'static str = $name;
            fn from_float(value: f64) -> Option<Self> {
                // JSON has no infinity, so what becomes one was too large.
                Some($from(value)).filter(|element| element.is_finite())
            }
            fn from_signed(value: i64) -> Option<Self> {
                Self::from_float(value as f64)
            }
            fn from_unsigned(value: u64) -> Option<Self> {
                Self::from_float(value as f64)
            }
        }
    };
}

macro_rules! integer_element {
    ($type:ty, $name:literal) => {
        impl Element for $type {
            const NAME: &'static str = $name;
            fn from_float(value: f64) -> Option<Self> {
                // Some clients write 3 as 3.0. Beyond 2^53 a float no longer names one integer.
                let exact = value.fract() == 0.0 && value.abs() <= 9_007_199_254_740_992.0;
                if exact {
                    <$type>::try_from(value as i64).ok()
                } else {
                    None
                }
            }
            fn from_signed(value: i64) -> Option<Self> {
                <$type>::try_from(value).ok()
            }
            fn from_unsigned(value: u64) -> Option<Self> {
                <$type>::try_from(value).ok()
            }
        }
    };
}

float_element!(f32, "FP32", |value: f64| value as f32);
float_element!(f64, "FP64", |value: f64| value);
float_element!(f16, "FP16", f16::from_f64);
integer_element!(i64, "INT64");
integer_element!(i32, "INT32");
integer_element!(i16, "INT16");
integer_element!(i8, "INT8");
integer_element!(u64, "UINT64");
integer_element!(u32, "UINT32");
integer_element!(u16, "UINT16");
integer_element!(u8, "UINT8");

impl Element for bool {
    const NAME: &'static str = "BOOL";
    fn from_float(_value: f64) -> Option<Self> {
        None
    }
    fn from_signed(value: i64) -> Option<Self> {
        u64::try_from(value).ok().and_then(Self::from_unsigned)
    }
    fn from_unsigned(value: u64) -> Option<Self> {
        match value {
            0 => Some(false),
            1 => Some(true),
            _ => None,
        }
    }
    fn from_truth(value: bool) -> Option<Self> {
        Some(value)
    }
}

/// What a value was.
enum Kind {
    Element,
    Array,
}

/// Reads an array depth first into one vector: flat, or nested exactly as the shape says.
struct Reader<'a, T> {
    values: &'a mut Vec<T>,
    shape: &'a [usize],
    /// Arrays around this value.
    depth: usize,
    element: PhantomData<T>,
}

impl<T: Element> Reader<'_, T> {
    fn push<E: serde::de::Error>(self, value: Option<T>, shown: impl fmt::Display) -> Result<Kind, E> {
        match value {
            Some(value) => {
                self.values.push(value);
                Ok(Kind::Element)
            }
            None => Err(E::custom(format!(
                "has {shown} at element {}, which is not a value of type {}",
                self.values.len(),
                T::NAME
            ))),
        }
    }
}

impl<'de, T: Element> DeserializeSeed<'de> for Reader<'_, T> {
    type Value = Kind;
    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Kind, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de, T: Element> Visitor<'de> for Reader<'_, T> {
    type Value = Kind;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "values of type {}", T::NAME)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut sequence: A) -> Result<Kind, A::Error> {
        use serde::de::Error;
        let depth = self.depth;
        if depth >= MAX_NESTING {
            return Err(A::Error::custom("is nested too deeply"));
        }
        let (mut elements, mut arrays) = (0_usize, 0_usize);
        while let Some(kind) = sequence.next_element_seed(Reader {
            values: self.values,
            shape: self.shape,
            depth: depth + 1,
            element: PhantomData,
        })? {
            match kind {
                Kind::Element => elements += 1,
                Kind::Array => arrays += 1,
            }
        }
        // Numbers alone are flat data, whose count is compared with the shape at the end.
        let flat = depth == 0 && arrays == 0;
        let innermost = depth + 1 == self.shape.len();
        let wanted = self.shape.get(depth).copied();
        if flat || (wanted == Some(elements + arrays) && (if innermost { arrays } else { elements }) == 0) {
            Ok(Kind::Array)
        } else {
            let shape = self.shape;
            Err(A::Error::custom(format!(
                "has arrays that are not nested as its shape {shape:?} says"
            )))
        }
    }

    fn visit_f64<E: serde::de::Error>(self, value: f64) -> Result<Kind, E> {
        self.push(T::from_float(value), value)
    }

    fn visit_i64<E: serde::de::Error>(self, value: i64) -> Result<Kind, E> {
        self.push(T::from_signed(value), value)
    }

    fn visit_u64<E: serde::de::Error>(self, value: u64) -> Result<Kind, E> {
        self.push(T::from_unsigned(value), value)
    }

    fn visit_bool<E: serde::de::Error>(self, value: bool) -> Result<Kind, E> {
        self.push(T::from_truth(value), value)
    }

    fn visit_str<E: serde::de::Error>(self, value: &str) -> Result<Kind, E> {
        self.push(
            T::from_text(value),
            format_args!("the text '{}'", value.chars().take(40).collect::<String>()),
        )
    }

    fn visit_unit<E: serde::de::Error>(self) -> Result<Kind, E> {
        self.push(None, "null")
    }

    fn visit_map<A: MapAccess<'de>>(self, _: A) -> Result<Kind, A::Error> {
        self.push(None, "an object")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(tensor: &Tensor) -> String {
        let mut json = Vec::new();
        write(tensor, &mut json).unwrap();
        String::from_utf8(json).unwrap()
    }

    fn round_trip(data: &str, datum: DatumType, shape: &[usize]) -> String {
        written(&parse(data, datum, shape).unwrap())
    }

    #[test]
    fn flat_and_nested_data_are_the_same() {
        assert_eq!(
            round_trip("[[1, 2], [3.5, -4]]", DatumType::F32, &[2, 2]),
            "[1.0,2.0,3.5,-4.0]"
        );
        assert_eq!(
            round_trip("[1,2,3.5,-4]", DatumType::F32, &[2, 2]),
            "[1.0,2.0,3.5,-4.0]"
        );
        assert_eq!(round_trip("[true, 0]", DatumType::Bool, &[2]), "[true,false]");
        let texts = "[[\"a\"],[\"\u{e9}\\n\"]]";
        assert_eq!(
            round_trip(texts, DatumType::String, &[2, 1]),
            "[\"a\",\"\u{e9}\\n\"]"
        );
    }

    #[test]
    fn nested_data_has_its_shape() {
        assert!(parse("[[[1],[2]],[[3],[4]]]", DatumType::F32, &[2, 2, 1]).is_ok());
        assert!(parse("[[]]", DatumType::F32, &[1, 0]).is_ok());
        assert!(parse("[]", DatumType::F32, &[0, 2]).is_ok());
        for (data, shape) in [
            ("[[1,2,3],[4]]", &[2, 2][..]),
            ("[[1,2],[3,4]]", &[4]),
            ("[[1],2]", &[2, 1]),
            ("[[[1,2],[3,4]]]", &[2, 2]),
            ("[[1,2,3,4]]", &[2, 2]),
            ("[[1,2],[3,4]]", &[2, 2, 1]),
        ] {
            let refused = parse(data, DatumType::F32, shape).unwrap_err();
            assert!(
                refused.contains("not nested as its shape"),
                "{data} {shape:?}: {refused}"
            );
        }
    }

    #[test]
    fn sixty_four_bit_integers_are_exact() {
        let data = "[9223372036854775807, -9223372036854775808]";
        assert_eq!(round_trip(data, DatumType::I64, &[2]), data.replace(' ', ""));
        assert_eq!(
            round_trip("[18446744073709551615]", DatumType::U64, &[1]),
            "[18446744073709551615]"
        );
    }

    #[test]
    fn wrong_elements_are_named() {
        let refused = |data, datum| parse(data, datum, &[2]).unwrap_err();
        assert!(refused("[1, 300]", DatumType::U8).contains("300 at element 1"));
        assert!(refused("[1, 1.5]", DatumType::I64).contains("1.5 at element 1"));
        assert!(refused("[1, \"x\"]", DatumType::F32).contains("'x'"));
        assert!(refused("[1, null]", DatumType::F32).contains("null"));
        assert!(refused("[\"a\", 1]", DatumType::String).contains("1 at element 1"));
        assert!(refused("[1]", DatumType::F32).contains("2 elements, but 1 came"));
        assert!(refused("[1,2,3]", DatumType::F32).contains("but 3 came"));
        assert!(refused(&("[".repeat(40) + &"]".repeat(40)), DatumType::F32).contains("deeply"));
    }

    #[test]
    fn what_does_not_fit_the_type_is_refused_and_what_json_cannot_say_is_null() {
        assert!(
            parse("[1e39]", DatumType::F32, &[1])
                .unwrap_err()
                .contains("at element 0")
        );
        assert!(
            parse("[70000]", DatumType::F16, &[1])
                .unwrap_err()
                .contains("at element 0")
        );
        let infinite = Tensor::from_shape(&[2], &[f32::INFINITY, 0.0]).unwrap();
        assert_eq!(written(&infinite), "[null,0.0]");
    }
}
