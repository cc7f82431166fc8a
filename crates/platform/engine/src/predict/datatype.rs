//! The Open Inference Protocol's names for element types, ONNX's numbers for them, and tract's.

use tract_onnx::prelude::DatumType;

/// Pairs of protocol name and tract type, with ONNX's number. `BYTES` are texts: tract knows no other.
const TYPES: &[(&str, DatumType, i32)] = &[
    ("FP32", DatumType::F32, 1),
    ("UINT8", DatumType::U8, 2),
    ("INT8", DatumType::I8, 3),
    ("UINT16", DatumType::U16, 4),
    ("INT16", DatumType::I16, 5),
    ("INT32", DatumType::I32, 6),
    ("INT64", DatumType::I64, 7),
    ("BYTES", DatumType::String, 8),
    ("BOOL", DatumType::Bool, 9),
    ("FP16", DatumType::F16, 10),
    ("FP64", DatumType::F64, 11),
    ("UINT32", DatumType::U32, 12),
    ("UINT64", DatumType::U64, 13),
];

/// The protocol's name of a tract type.
pub(crate) fn name(datum: DatumType) -> &'static str {
    TYPES
        .iter()
        .find(|(_, known, _)| *known == datum)
        .map_or("UNKNOWN", |(name, ..)| name)
}

/// The tract type of ONNX's number.
pub(crate) fn from_onnx(number: i32) -> Option<DatumType> {
    TYPES
        .iter()
        .find(|(.., known)| *known == number)
        .map(|(_, datum, _)| *datum)
}

/// The tract type of a name of the protocol.
pub(crate) fn from_name(name: &str) -> Option<DatumType> {
    TYPES
        .iter()
        .find(|(known, ..)| *known == name)
        .map(|(_, datum, _)| *datum)
}
