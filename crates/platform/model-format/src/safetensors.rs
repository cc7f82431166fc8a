//! safetensors: eight bytes of length, a JSON header, and tensors that fill the rest without a gap.
//!
//! The format is small on purpose; what its own reader refuses is refused here, with the place. Layout:
//! <https://github.com/huggingface/safetensors#format>.

use std::collections::BTreeSet;
use std::fmt;

use serde::Deserialize;
use serde::de::{Error, IgnoredAny, MapAccess, Visitor};

use crate::cursor::{Checked, Cursor};

/// The format's own limit.
const HEADER_MAX_BYTES: u64 = 100_000_000;
/// What precedes the header.
const LENGTH_BYTES: u64 = 8;

/// Checks the whole header; answers what it holds.
pub(crate) fn check(cursor: &mut Cursor<'_>) -> Checked<String> {
    let length = cursor.u64()?;
    if length > HEADER_MAX_BYTES {
        let what = format!("its header is said to have {length} bytes; the format allows {HEADER_MAX_BYTES}");
        return cursor.damaged(0, what);
    }
    let header = cursor.take(length)?;
    if header.first() != Some(&b'{') {
        return cursor.damaged(LENGTH_BYTES, "its header does not begin with '{'");
    }
    let tensors: Tensors = match serde_json::from_slice(&header) {
        Ok(tensors) => tensors,
        Err(error) => {
            // A header is one line, whose column counts its bytes.
            let column = if error.line() == 1 {
                error.column() as u64
            } else {
                1
            };
            let at = LENGTH_BYTES + column.saturating_sub(1).min(length);
            let text = error.to_string();
            let what = text.split(" at line ").next().unwrap_or_default();
            return cursor.damaged(at, format!("its header cannot be read: {what}"));
        }
    };
    contiguous(cursor, tensors, LENGTH_BYTES + length)
}

/// Tensors must follow each other from the end of the header to the end of the file.
fn contiguous(cursor: &Cursor<'_>, mut tensors: Tensors, data_at: u64) -> Checked<String> {
    let data_bytes = cursor.size() - data_at;
    tensors.spans.sort_unstable();
    let mut end = 0;
    for (from, to) in &tensors.spans {
        if *from != end {
            let what = match *from < end {
                true => format!("a tensor begins at byte {from} of the data, within the one before it"),
                false => format!("bytes {end} to {from} of the data belong to no tensor"),
            };
            return cursor.damaged(data_at.saturating_add((*from).min(end)), what);
        }
        end = *to;
    }
    if end != data_bytes {
        let what = format!("its tensors take {end} bytes and it has {data_bytes}");
        return cursor.damaged(data_at.saturating_add(end.min(data_bytes)), what);
    }
    Ok(format!("tensors: {}", tensors.spans.len()))
}

/// Where each tensor lies, from the start of the data.
#[derive(Debug, Default)]
struct Tensors {
    spans: Vec<(u64, u64)>,
}

#[derive(Deserialize)]
struct Tensor {
    dtype: String,
    shape: Vec<u64>,
    data_offsets: (u64, u64),
}

impl Tensor {
    fn span(&self) -> Result<(u64, u64), String> {
        let (from, to) = self.data_offsets;
        let bits =
            bits(&self.dtype).ok_or_else(|| format!("has no known dtype: '{}'", short(&self.dtype)))?;
        let bytes = self
            .shape
            .iter()
            .try_fold(bits, |product, side| product.checked_mul(*side))
            .filter(|bits| bits % 8 == 0)
            .map(|bits| bits / 8)
            .ok_or("has an impossible shape")?;
        match to.checked_sub(from) {
            Some(length) if length == bytes => Ok((from, to)),
            Some(length) => Err(format!("needs {bytes} bytes and its offsets give it {length}")),
            None => Err("ends before it begins".to_owned()),
        }
    }
}

fn short(text: &str) -> String {
    text.chars().take(60).collect()
}

const fn bits_of(bytes: u64) -> Option<u64> {
    Some(bytes * 8)
}

fn bits(dtype: &str) -> Option<u64> {
    match dtype {
        "F4" => Some(4),
        "F6_E2M3" | "F6_E3M2" => Some(6),
        "BOOL" | "U8" | "I8" | "F8_E5M2" | "F8_E4M3" | "F8_E8M0" | "F8_E4M3FNUZ" | "F8_E5M2FNUZ" => {
            bits_of(1)
        }
        "U16" | "I16" | "F16" | "BF16" => bits_of(2),
        "U32" | "I32" | "F32" => bits_of(4),
        "U64" | "I64" | "F64" | "C64" => bits_of(8),
        _ => None,
    }
}

impl<'de> Deserialize<'de> for Tensors {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Header;

        impl<'de> Visitor<'de> for Header {
            type Value = Tensors;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a map of tensors")
            }

            fn visit_map<M: MapAccess<'de>>(self, mut map: M) -> Result<Tensors, M::Error> {
                let (mut tensors, mut names) = (Tensors::default(), BTreeSet::new());
                while let Some(name) = map.next_key::<String>()? {
                    if name == "__metadata__" {
                        map.next_value::<IgnoredAny>()?;
                    } else {
                        let tensor: Tensor = map.next_value()?;
                        let wrong =
                            |what: String| M::Error::custom(format!("tensor '{}' {what}", short(&name)));
                        tensors.spans.push(tensor.span().map_err(wrong)?);
                    }
                    if !names.insert(name) {
                        return Err(M::Error::custom("a name occurs twice"));
                    }
                }
                Ok(tensors)
            }
        }

        deserializer.deserialize_map(Header)
    }
}
