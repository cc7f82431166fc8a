//! Contents that came as numbers, as bytes: what clients send that know the standard but not Triton's raw contents.

use bytes::{BufMut, Bytes, BytesMut};

use super::messages::InferTensorContents;

/// The bytes of contents of this type. The error is a phrase about the input.
pub(super) fn read(datatype: &str, contents: Option<&InferTensorContents>) -> Result<Bytes, String> {
    let none = InferTensorContents::default();
    let all = contents.unwrap_or(&none);
    let (field, bytes) = match datatype {
        "BOOL" => (
            "bool_contents",
            each(&all.bool_contents, |value| [u8::from(value)]),
        ),
        "INT8" => (
            "int_contents",
            each(&narrowed(&all.int_contents)?, i8::to_le_bytes),
        ),
        "INT16" => (
            "int_contents",
            each(&narrowed(&all.int_contents)?, i16::to_le_bytes),
        ),
        "INT32" => ("int_contents", each(&all.int_contents, i32::to_le_bytes)),
        "INT64" => ("int64_contents", each(&all.int64_contents, i64::to_le_bytes)),
        "UINT8" => (
            "uint_contents",
            each(&narrowed(&all.uint_contents)?, u8::to_le_bytes),
        ),
        "UINT16" => (
            "uint_contents",
            each(&narrowed(&all.uint_contents)?, u16::to_le_bytes),
        ),
        "UINT32" => ("uint_contents", each(&all.uint_contents, u32::to_le_bytes)),
        "UINT64" => ("uint64_contents", each(&all.uint64_contents, u64::to_le_bytes)),
        "FP32" => ("fp32_contents", each(&all.fp32_contents, f32::to_le_bytes)),
        "FP64" => ("fp64_contents", each(&all.fp64_contents, f64::to_le_bytes)),
        "BYTES" => ("bytes_contents", texts(&all.bytes_contents)),
        _ => return Err(format!("is {datatype}, which is sent in raw_input_contents")),
    };
    let filled = usize::from(!bytes.is_empty());
    if lists(all) != filled {
        return Err(format!("is {datatype}, so its data belongs into {field} alone"));
    }
    Ok(bytes)
}

/// How many lists hold anything.
fn lists(all: &InferTensorContents) -> usize {
    [
        all.bool_contents.is_empty(),
        all.int_contents.is_empty(),
        all.int64_contents.is_empty(),
        all.uint_contents.is_empty(),
        all.uint64_contents.is_empty(),
        all.fp32_contents.is_empty(),
        all.fp64_contents.is_empty(),
        all.bytes_contents.is_empty(),
    ]
    .into_iter()
    .filter(|empty| !empty)
    .count()
}

fn each<T: Copy, const N: usize>(values: &[T], bytes: impl Fn(T) -> [u8; N]) -> Bytes {
    let mut all = Vec::with_capacity(values.len() * N);
    for value in values {
        all.extend_from_slice(&bytes(*value));
    }
    all.into()
}

/// Values of a narrower type than they came in.
fn narrowed<T: Copy + std::fmt::Display, N: TryFrom<T>>(values: &[T]) -> Result<Vec<N>, String> {
    let one = |(at, value): (usize, &T)| {
        N::try_from(*value).map_err(|_| format!("has {value} at element {at}, which its type does not hold"))
    };
    values.iter().enumerate().map(one).collect()
}

fn texts(texts: &[Bytes]) -> Bytes {
    let mut bytes = BytesMut::new();
    for text in texts {
        // A message is smaller than what four bytes can count.
        bytes.put_u32_le(u32::try_from(text.len()).unwrap_or(u32::MAX));
        bytes.extend_from_slice(text);
    }
    bytes.freeze()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_type_has_its_list_and_its_bytes() {
        let all = InferTensorContents {
            int_contents: vec![-2, 127],
            ..InferTensorContents::default()
        };
        let bytes = |datatype| read(datatype, Some(&all)).unwrap();
        assert_eq!(bytes("INT8"), vec![254, 127]);
        assert_eq!(bytes("INT16"), vec![254, 255, 127, 0]);
        assert_eq!(bytes("INT32"), vec![254, 255, 255, 255, 127, 0, 0, 0]);
        let words = InferTensorContents {
            bytes_contents: vec!["ab".into(), "".into()],
            ..InferTensorContents::default()
        };
        assert_eq!(
            read("BYTES", Some(&words)).unwrap(),
            vec![2, 0, 0, 0, b'a', b'b', 0, 0, 0, 0]
        );
        assert!(read("FP32", None).unwrap().is_empty());
    }

    #[test]
    fn what_is_in_another_list_or_does_not_fit_is_refused() {
        let mut all = InferTensorContents {
            uint_contents: vec![1, 256],
            ..InferTensorContents::default()
        };
        let refused = |datatype, all: &InferTensorContents| read(datatype, Some(all)).unwrap_err();
        assert!(refused("UINT8", &all).contains("256 at element 1"));
        assert!(refused("FP32", &all).contains("fp32_contents"));
        assert!(refused("FP16", &all).contains("raw_input_contents"));
        all.fp64_contents.push(1.0);
        assert!(refused("UINT16", &all).contains("uint_contents alone"));
    }
}
