//! Tensors as bytes, as they follow the JSON of a message: elements side by side, little end first, and of texts
//! each with its length in four bytes before it.

use bytes::{Bytes, BytesMut};
use corliss_diagnostics::counted;
use tract_onnx::prelude::{DatumType, Tensor};

use super::{datatype, tensor};

const LENGTH_BYTES: usize = 4;

/// Reads bytes as a tensor of this type and shape. The error is a phrase about the data.
pub(crate) fn parse(bytes: &[u8], datum: DatumType, shape: &[usize]) -> Result<Tensor, String> {
    if datum == DatumType::String {
        return tensor::of_texts(shape, texts(bytes, shape)?);
    }
    let elements = elements(shape)?;
    let expected = elements
        .checked_mul(datum.size_of())
        .ok_or_else(|| "has an impossible shape".to_owned())?;
    if bytes.len() != expected {
        return Err(format!(
            "has shape {shape:?} of {}, which is {}, but {} came",
            datatype::name(datum),
            counted(expected, "byte", "bytes"),
            bytes.len()
        ));
    }
    if datum == DatumType::Bool
        && let Some(at) = bytes.iter().position(|byte| *byte > 1)
    {
        return Err(format!(
            "has the byte {} at element {at}, where BOOL is 0 or 1",
            bytes[at]
        ));
    }
    let mut tensor = Tensor::zero_dt(datum, shape).map_err(|error| error.to_string())?;
    tensor
        .try_as_plain_ram_mut()
        .map_err(|error| error.to_string())?
        .as_bytes_mut()
        .copy_from_slice(bytes);
    Ok(tensor)
}

fn elements(shape: &[usize]) -> Result<usize, String> {
    shape
        .iter()
        .try_fold(1_usize, |product, dim| product.checked_mul(*dim))
        .ok_or_else(|| "has an impossible shape".to_owned())
}

fn texts(mut bytes: &[u8], shape: &[usize]) -> Result<Vec<String>, String> {
    let expected = elements(shape)?;
    // A text takes at least its length, so what the shape promises beyond that is not made room for.
    let mut texts = Vec::with_capacity(expected.min(bytes.len() / LENGTH_BYTES));
    while let Some((length, rest)) = bytes.split_first_chunk::<LENGTH_BYTES>() {
        let at = texts.len();
        let length = u32::from_le_bytes(*length) as usize;
        let Some((text, rest)) = rest.split_at_checked(length) else {
            return Err(format!(
                "says that element {at} has {length} bytes, but {} are left",
                rest.len()
            ));
        };
        if at == expected {
            return Err(format!(
                "has shape {shape:?}, which is {}, but more came",
                counted(expected, "element", "elements")
            ));
        }
        let text = std::str::from_utf8(text).map_err(|_| format!("has an element {at} that is not UTF-8"))?;
        texts.push(text.to_owned());
        bytes = rest;
    }
    if !bytes.is_empty() {
        return Err(format!(
            "ends with {} bytes where the four of an element's length should be",
            bytes.len()
        ));
    }
    if texts.len() != expected {
        return Err(format!(
            "has shape {shape:?}, which is {}, but {} came",
            counted(expected, "element", "elements"),
            texts.len()
        ));
    }
    Ok(texts)
}

/// The tensor's bytes, which are not copied unless it holds texts.
pub(crate) fn write(tensor: Tensor) -> Result<Bytes, String> {
    if tensor.datum_type() == DatumType::String {
        let view = tensor
            .to_plain_array_view::<String>()
            .map_err(|error| error.to_string())?;
        let mut bytes = BytesMut::new();
        for text in &view {
            let length = u32::try_from(text.len()).map_err(|_| "a text is too long to be sent".to_owned())?;
            bytes.extend_from_slice(&length.to_le_bytes());
            bytes.extend_from_slice(text.as_bytes());
        }
        return Ok(bytes.freeze());
    }
    if !tensor.is_plain_ram() {
        return Err(format!(
            "the model gave elements of type {:?}, which cannot be sent",
            tensor.datum_type()
        ));
    }
    Ok(Bytes::from_owner(Held(tensor)))
}

/// A tensor whose memory is sent.
struct Held(Tensor);

impl AsRef<[u8]> for Held {
    fn as_ref(&self) -> &[u8] {
        self.0
            .as_plain_ram()
            .map(|plain| plain.as_bytes())
            .unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(length: u32, content: &[u8]) -> Vec<u8> {
        [&length.to_le_bytes()[..], content].concat()
    }

    #[test]
    fn every_type_comes_back_as_it_went() {
        for datum in [
            DatumType::F16,
            DatumType::F32,
            DatumType::F64,
            DatumType::I8,
            DatumType::I16,
            DatumType::I32,
            DatumType::I64,
            DatumType::U8,
            DatumType::U16,
            DatumType::U32,
            DatumType::U64,
        ] {
            let bytes: Vec<u8> = (0..6 * datum.size_of()).map(|byte| byte as u8 + 1).collect();
            let tensor = parse(&bytes, datum, &[2, 3]).unwrap();
            assert_eq!(tensor.shape(), &[2, 3]);
            assert_eq!(write(tensor).unwrap(), bytes, "{datum:?}");
        }
        let bools = parse(&[1, 0, 1], DatumType::Bool, &[3]).unwrap();
        assert_eq!(write(bools).unwrap(), vec![1, 0, 1]);
        let texts = [text(2, "é".as_bytes()), text(0, b""), text(1, b"z")].concat();
        assert_eq!(
            write(parse(&texts, DatumType::String, &[3, 1]).unwrap()).unwrap(),
            texts
        );
    }

    #[test]
    fn what_does_not_fit_its_shape_or_type_is_refused() {
        let refused = |bytes: &[u8], datum, shape: &[usize]| parse(bytes, datum, shape).unwrap_err();
        assert!(refused(&[0; 15], DatumType::F32, &[4]).contains("16 bytes, but 15"));
        assert!(refused(&[0; 20], DatumType::F32, &[4]).contains("16 bytes, but 20"));
        assert!(refused(&[0; 8], DatumType::F64, &[usize::MAX, 2]).contains("impossible"));
        assert!(refused(&[0; 8], DatumType::F64, &[usize::MAX / 4]).contains("impossible"));
        assert!(refused(&[0, 2], DatumType::Bool, &[2]).contains("the byte 2 at element 1"));
    }

    #[test]
    fn texts_with_false_lengths_are_refused() {
        let refused = |bytes: &[u8], count: usize| parse(bytes, DatumType::String, &[count]).unwrap_err();
        assert!(refused(&text(u32::MAX, b"abc"), 1).contains("4294967295 bytes, but 3"));
        assert!(refused(&text(4, b"abc"), 1).contains("4 bytes, but 3"));
        assert!(refused(&text(2, b"abc"), 1).contains("ends with 1 bytes"));
        assert!(refused(&text(3, b"abc"), 2).contains("2 elements, but 1"));
        assert!(refused(&[text(1, b"a"), text(1, b"b")].concat(), 1).contains("more came"));
        assert!(refused(&text(1, &[0xff]), 1).contains("not UTF-8"));
        assert!(refused(&[], usize::MAX).contains("but 0"));
    }
}
