//! Reads a GGUF file's header and checks every tensor's place against the file's size.
//!
//! llama.cpp maps the file and computes from it; a file that ends early is otherwise noticed as a bus
//! error in the middle of a request. Layout: <https://github.com/ggml-org/ggml/blob/master/docs/gguf.md>.

use std::fs::File;
use std::io::{BufReader, Read, Seek, SeekFrom};
use std::path::Path;

use corliss_model_format::ggml::{block, width};

use super::file_name;
use crate::EngineError;

const MAX_KEYS: u64 = 1 << 16;
const MAX_TENSORS: u64 = 1 << 20;
const MAX_TEXT_BYTES: u64 = 16 << 20;
const MAX_DIMENSIONS: u32 = 8;
const MAX_NESTING: u32 = 4;
const DEFAULT_ALIGNMENT: u64 = 32;

/// What the header says, as far as we need it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct GgufSummary {
    /// `general.architecture`.
    pub architecture: String,
    /// Tensors in the file.
    pub tensors: u64,
}

struct Header<'a> {
    path: &'a Path,
    input: BufReader<File>,
    at: u64,
    size: u64,
    alignment: u64,
    architecture: String,
}

/// Checks the whole header.
pub(super) fn check(path: &Path) -> Result<GgufSummary, EngineError> {
    let failed = |source| EngineError::io(format!("cannot read '{}'", file_name(path)), source);
    let file = File::open(path).map_err(failed)?;
    let size = file.metadata().map_err(failed)?.len();
    let mut header = Header {
        path,
        input: BufReader::new(file),
        at: 0,
        size,
        alignment: DEFAULT_ALIGNMENT,
        architecture: String::new(),
    };
    header.check()
}

impl Header<'_> {
    fn check(&mut self) -> Result<GgufSummary, EngineError> {
        if self.bytes::<4>()? != *b"GGUF" {
            return Err(self.invalid("it does not begin with 'GGUF'"));
        }
        let version = self.u32()?;
        if !(2..=3).contains(&version) {
            return Err(self.invalid(&format!(
                "its format version is {version}; versions 2 and 3 are read"
            )));
        }
        let tensors = self.count("tensors", MAX_TENSORS)?;
        let keys = self.count("keys", MAX_KEYS)?;
        for _ in 0..keys {
            self.key_value()?;
        }
        let mut ends_at = 0;
        for _ in 0..tensors {
            ends_at = ends_at.max(self.tensor_end()?);
        }
        let data_at = self.at.next_multiple_of(self.alignment);
        let needed = data_at.saturating_add(ends_at);
        if needed > self.size {
            return Err(self.truncated(format!(
                "its tensors need {needed} bytes and it has {}",
                self.size
            )));
        }
        if tensors == 0 {
            return Err(self.invalid("it holds no tensor"));
        }
        Ok(GgufSummary {
            architecture: std::mem::take(&mut self.architecture),
            tensors,
        })
    }

    fn key_value(&mut self) -> Result<(), EngineError> {
        let key = self.text()?;
        let kind = self.u32()?;
        match (key.as_str(), kind) {
            ("general.alignment", 4) => {
                self.alignment = u64::from(self.u32()?);
                if !self.alignment.is_power_of_two() || self.alignment > 1 << 20 {
                    return Err(self.invalid(&format!("its alignment is {}", self.alignment)));
                }
                Ok(())
            }
            ("general.architecture", 8) => {
                self.architecture = self.text()?;
                Ok(())
            }
            _ => self.skip_value(kind, 0),
        }
    }

    fn skip_value(&mut self, kind: u32, depth: u32) -> Result<(), EngineError> {
        match kind {
            8 => {
                let length = self.u64()?;
                self.skip(length)
            }
            9 if depth < MAX_NESTING => {
                let element = self.u32()?;
                let count = self.u64()?;
                match width(element) {
                    Some(bytes) => self.skip(count.saturating_mul(bytes)),
                    // Every element takes at least eight bytes, so a false count ends at the file's end.
                    None => (0..count).try_for_each(|_| self.skip_value(element, depth + 1)),
                }
            }
            other => match width(other) {
                Some(bytes) => self.skip(bytes),
                None => Err(self.invalid(&format!("no such value type as {other}"))),
            },
        }
    }

    /// Where this tensor ends, counted from the start of the data.
    fn tensor_end(&mut self) -> Result<u64, EngineError> {
        let name = self.text()?;
        let dimensions = self.u32()?;
        if dimensions > MAX_DIMENSIONS {
            return Err(self.invalid(&format!("tensor '{name}' has {dimensions} dimensions")));
        }
        let mut elements = 1_u64;
        for _ in 0..dimensions {
            elements = elements
                .checked_mul(self.u64()?)
                .ok_or_else(|| self.invalid(&format!("tensor '{name}' is impossibly large")))?;
        }
        let kind = self.u32()?;
        let offset = self.u64()?;
        if !offset.is_multiple_of(self.alignment) {
            return Err(self.invalid(&format!("tensor '{name}' is not aligned")));
        }
        // A type newer than this table is left to llama.cpp; its beginning must still be inside.
        let bytes = match block(kind) {
            Some((per_block, block_bytes)) => (elements / per_block).saturating_mul(block_bytes),
            None => 0,
        };
        offset
            .checked_add(bytes)
            .ok_or_else(|| self.invalid(&format!("tensor '{name}' is impossibly large")))
    }

    fn count(&mut self, what: &str, most: u64) -> Result<u64, EngineError> {
        let count = self.u64()?;
        if count > most {
            return Err(self.invalid(&format!("it claims {count} {what}")));
        }
        Ok(count)
    }

    fn text(&mut self) -> Result<String, EngineError> {
        let length = self.u64()?;
        self.room(length)?;
        if length > MAX_TEXT_BYTES {
            return Err(self.invalid("a text in its header is too long"));
        }
        let mut bytes = vec![0; usize::try_from(length).unwrap_or(0)];
        self.fill(&mut bytes)?;
        Ok(String::from_utf8_lossy(&bytes).into_owned())
    }

    fn u32(&mut self) -> Result<u32, EngineError> {
        Ok(u32::from_le_bytes(self.bytes()?))
    }

    fn u64(&mut self) -> Result<u64, EngineError> {
        Ok(u64::from_le_bytes(self.bytes()?))
    }

    fn bytes<const N: usize>(&mut self) -> Result<[u8; N], EngineError> {
        let mut bytes = [0; N];
        self.fill(&mut bytes)?;
        Ok(bytes)
    }

    fn fill(&mut self, buffer: &mut [u8]) -> Result<(), EngineError> {
        self.room(buffer.len() as u64)?;
        self.input
            .read_exact(buffer)
            .map_err(|source| EngineError::io("cannot read the model", source))?;
        self.at += buffer.len() as u64;
        Ok(())
    }

    fn skip(&mut self, bytes: u64) -> Result<(), EngineError> {
        self.room(bytes)?;
        self.at += bytes;
        let moved = match i64::try_from(bytes) {
            Ok(bytes) => self.input.seek_relative(bytes),
            Err(_) => self.input.seek(SeekFrom::Start(self.at)).map(|_| ()),
        };
        moved.map_err(|source| EngineError::io("cannot read the model", source))
    }

    fn room(&self, bytes: u64) -> Result<(), EngineError> {
        let left = self.size - self.at;
        if bytes > left {
            return Err(self.truncated(format!(
                "its header goes on for {bytes} bytes and {left} are left"
            )));
        }
        Ok(())
    }

    fn truncated(&self, detail: String) -> EngineError {
        EngineError::ModelTruncated {
            file: file_name(self.path),
            detail,
        }
    }

    fn invalid(&self, detail: &str) -> EngineError {
        EngineError::ModelInvalid {
            file: file_name(self.path),
            format: "GGUF",
            detail: detail.to_owned(),
        }
    }
}
