//! From a file to a verdict. The content is asked first whether it is a pickle, so that one named `model.safetensors`
//! is a pickle; then the name says which header should be there.

use std::io;

use crate::cursor::{Checked, Cursor, Fault};
use crate::pickle::Found;
use crate::{Declared, Finding, Folder, Ranged, Verdict, archive, gguf, onnx, pickle, safetensors};

/// What is looked at of every file.
const HEAD_BYTES: u64 = 64 << 10;
/// Endings of files that are loaded by unpickling, whatever else they may be.
const PICKLE_ENDINGS: [&str; 5] = ["pkl", "pickle", "joblib", "dill", "cloudpickle"];
/// How compressed data begins, and in what: joblib compresses its pickles.
const COMPRESSED: [(&[u8], &str); 7] = [
    (b"\x1f\x8b", "gzip"),
    (b"BZh", "bzip2"),
    (b"\xfd7zXZ\0", "xz"),
    (b"]\0\0", "lzma"),
    (b"\x04\x22\x4d\x18", "lz4"),
    (b"\x28\xb5\x2f\xfd", "zstd"),
    (b"ZF", "an old form of joblib"),
];
const NUMPY: &[u8] = b"\x93NUMPY";
const HDF5: &[u8] = b"\x89HDF\r\n\x1a\n";

/// Looks at a file of `folder` of this size.
///
/// # Errors
/// Its bytes cannot be read.
pub fn find(
    path: &str,
    size_bytes: u64,
    folder: &Folder,
    declared: &Declared,
    source: &mut dyn Ranged,
) -> io::Result<Finding> {
    let mut cursor = Cursor::new(source, size_bytes);
    match judge(path, folder, declared, &mut cursor) {
        Ok(finding) => Ok(finding),
        Err(Fault::Read(error)) => Err(error),
        Err(Fault::Damaged { at, what }) => Ok(Finding {
            verdict: Verdict::Damaged,
            format: format_of(path),
            detail: what,
            at_byte: Some(at),
        }),
        Err(Fault::Costly) => Ok(Finding {
            verdict: Verdict::Unknown,
            format: format_of(path),
            detail: "its header is too long to be read here".to_owned(),
            at_byte: None,
        }),
    }
}

fn ending(path: &str) -> String {
    let name = path.rsplit('/').next().unwrap_or_default();
    let ending = name.rsplit_once('.').map_or("", |(_, ending)| ending);
    ending.to_ascii_lowercase()
}

fn format_of(path: &str) -> &'static str {
    match ending(path).as_str() {
        "safetensors" => "safetensors",
        "onnx" => "onnx",
        "gguf" => "gguf",
        _ => "",
    }
}

fn is_unsafe(format: &'static str, detail: impl Into<String>) -> Finding {
    Finding {
        verdict: Verdict::Unsafe,
        format,
        detail: detail.into(),
        at_byte: None,
    }
}

fn judge(path: &str, folder: &Folder, declared: &Declared, cursor: &mut Cursor<'_>) -> Checked<Finding> {
    let head = cursor.take(cursor.size().min(HEAD_BYTES))?;
    let is_whole = head.len() as u64 == cursor.size();
    if let Some(pickled) = pickled(path, &head, is_whole, declared, cursor)? {
        return Ok(pickled);
    }
    cursor.seek(0);
    let by_magic = head.starts_with(gguf::MAGIC);
    let (format, detail) = match format_of(path) {
        "safetensors" => ("safetensors", safetensors::check(cursor)?),
        "onnx" => ("onnx", onnx::check(cursor, path, folder)?),
        "gguf" => ("gguf", gguf::check(cursor)?),
        _ if by_magic => ("gguf", gguf::check(cursor)?),
        _ if head.starts_with(NUMPY) => return Ok(unknown("numpy")),
        _ if head.starts_with(HDF5) => return Ok(unknown("hdf5")),
        _ => return Ok(unknown("")),
    };
    Ok(Finding {
        verdict: Verdict::Verified,
        format,
        detail,
        at_byte: None,
    })
}

fn unknown(format: &'static str) -> Finding {
    Finding {
        verdict: Verdict::Unknown,
        format,
        detail: String::new(),
        at_byte: None,
    }
}

/// Whether the file is a pickle or holds one.
fn pickled(
    path: &str,
    head: &[u8],
    is_whole: bool,
    declared: &Declared,
    cursor: &mut Cursor<'_>,
) -> Checked<Option<Finding>> {
    let is_declared = declared.pickles.contains(path);
    let is_named = PICKLE_ENDINGS.contains(&ending(path).as_str());
    if head.starts_with(archive::MAGIC) {
        let inside = archive::pickle_in(cursor)?;
        let told = |name: String| {
            let shown: String = name.chars().take(120).collect();
            is_unsafe("torch", format!("an archive that holds the pickle '{shown}'"))
        };
        return Ok(inside.map(told));
    }
    if head.starts_with(NUMPY) {
        let end = head.len().min(512);
        let is_objects = head
            .get(..end)
            .is_some_and(|head| head.windows(4).any(|four| four == b"'|O'"));
        return Ok(is_objects.then(|| is_unsafe("numpy", "an array of Python objects, which is a pickle")));
    }
    match pickle::look(head, is_whole) {
        Found::Pickle => return Ok(Some(is_unsafe("pickle", "a Python pickle"))),
        Found::Plain if is_named || is_declared => {
            return Ok(Some(is_unsafe("pickle", "a Python pickle of plain values")));
        }
        Found::Plain | Found::No => {}
    }
    let compressed = COMPRESSED
        .iter()
        .find(|(magic, _)| head.starts_with(magic))
        .map(|(_, name)| *name)
        .or_else(|| is_zlib(head).then_some("zlib"));
    Ok(match compressed {
        Some(name) if is_named || is_declared => Some(is_unsafe(
            "pickle",
            format!("a compressed pickle ({name}), by its name"),
        )),
        _ if is_declared => Some(is_unsafe("pickle", "a pickle, as the file MLmodel says")),
        _ => None,
    })
}

/// RFC 1950: deflate with a window of 32 KiB, and a sum that fits.
fn is_zlib(head: &[u8]) -> bool {
    matches!(head, [0x78, flags, ..] if (0x7800 + u16::from(*flags)).is_multiple_of(31))
}
