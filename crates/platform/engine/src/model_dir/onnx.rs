//! Checks that an ONNX file is a whole protobuf message with a graph, and reads it.
//!
//! The check walks only the top level: a few fields, each with its length, so it is fast on any size and
//! tells a torn file (a length beyond the end) from one that is something else.

use std::fs;
use std::path::Path;

use tract_onnx::pb::ModelProto;
use tract_onnx::prelude::Framework;

use super::file_name;
use crate::EngineError;

const GRAPH_FIELD: u64 = 7;
/// ModelProto's highest field is 26 (`configuration`); a little room for later versions.
const HIGHEST_FIELD: u64 = 64;

/// Walks the file's top level.
pub(super) fn check(path: &Path) -> Result<(), EngineError> {
    walk(path, &load(path)?)
}

/// Reads a checked file.
pub(crate) fn read(path: &Path) -> Result<ModelProto, EngineError> {
    let bytes = load(path)?;
    walk(path, &bytes)?;
    tract_onnx::onnx()
        .proto_model_for_read(&mut bytes.as_slice())
        .map_err(|error| invalid(path, format!("{error:#}")))
}

fn load(path: &Path) -> Result<Vec<u8>, EngineError> {
    fs::read(path).map_err(|source| EngineError::io(format!("cannot read '{}'", file_name(path)), source))
}

fn invalid(path: &Path, detail: String) -> EngineError {
    EngineError::ModelInvalid {
        file: file_name(path),
        format: "ONNX",
        detail,
    }
}

fn walk(path: &Path, bytes: &[u8]) -> Result<(), EngineError> {
    let torn = |detail: String| EngineError::ModelTruncated {
        file: file_name(path),
        detail,
    };
    if bytes.is_empty() {
        return Err(torn("it is empty".to_owned()));
    }
    let mut at = 0;
    let mut graphs = 0;
    while at < bytes.len() {
        let tag = varint(bytes, &mut at).ok_or_else(|| torn("it ends inside a field".to_owned()))?;
        let (field, kind) = (tag >> 3, tag & 7);
        if field == 0 || field > HIGHEST_FIELD {
            return Err(invalid(path, format!("no such field as {field} at byte {at}")));
        }
        match kind {
            0 => {
                varint(bytes, &mut at).ok_or_else(|| torn("it ends inside a number".to_owned()))?;
            }
            2 => {
                let length =
                    varint(bytes, &mut at).ok_or_else(|| torn("it ends inside a field".to_owned()))?;
                let left = (bytes.len() - at) as u64;
                if length > left {
                    return Err(torn(format!(
                        "a part of {length} bytes begins {left} bytes before its end"
                    )));
                }
                graphs += usize::from(field == GRAPH_FIELD);
                at += usize::try_from(length).unwrap_or(usize::MAX);
            }
            other => {
                return Err(invalid(
                    path,
                    format!("no such wire type as {other} at byte {at}"),
                ));
            }
        }
    }
    if graphs == 0 {
        return Err(invalid(path, "it holds no graph".to_owned()));
    }
    Ok(())
}

fn varint(bytes: &[u8], at: &mut usize) -> Option<u64> {
    let mut value = 0_u64;
    for shift in (0..64).step_by(7) {
        let byte = *bytes.get(*at)?;
        *at += 1;
        value |= u64::from(byte & 0x7f) << shift;
        if byte & 0x80 == 0 {
            return Some(value);
        }
    }
    None
}
