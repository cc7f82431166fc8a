//! GGUF: keys and values, then where each tensor lies, then the tensors.
//!
//! Layout: <https://github.com/ggml-org/ggml/blob/master/docs/gguf.md>.

use std::collections::BTreeSet;

use crate::cursor::{Checked, Cursor};
use crate::ggml::{block, width};

pub(crate) const MAGIC: &[u8; 4] = b"GGUF";
const KEYS_MAX: u64 = 1 << 16;
const TENSORS_MAX: u64 = 1 << 20;
const KEY_MAX_BYTES: u64 = (1 << 16) - 1;
const DIMENSIONS_MAX: u32 = 8;
const NESTING_MAX: u32 = 4;
const ALIGNMENT_MAX: u32 = 1 << 20;
const TEXT: u32 = 8;
const LIST: u32 = 9;
const U32: u32 = 4;

struct Header<'a, 'b> {
    cursor: &'a mut Cursor<'b>,
    alignment: u64,
    architecture: String,
}

/// Checks the whole header; answers what it holds.
pub(crate) fn check(cursor: &mut Cursor<'_>) -> Checked<String> {
    if cursor.take(4)?.as_ref() != MAGIC {
        return cursor.damaged(0, "it does not begin with 'GGUF'");
    }
    let version = cursor.u32()?;
    if !(2..=3).contains(&version) {
        let what = format!("its format version is {version}; versions 2 and 3 are read");
        return cursor.damaged(4, what);
    }
    let tensors = count(cursor, "tensors", TENSORS_MAX)?;
    let keys = count(cursor, "keys", KEYS_MAX)?;
    let mut header = Header {
        cursor,
        alignment: 32,
        architecture: String::new(),
    };
    header.keys(keys)?;
    header.tensors(tensors)?;
    let architecture = match header.architecture.as_str() {
        "" => String::new(),
        name => format!("{name}, "),
    };
    Ok(format!("{architecture}tensors: {tensors}"))
}

fn count(cursor: &mut Cursor<'_>, what: &str, most: u64) -> Checked<u64> {
    let at = cursor.at();
    let count = cursor.u64()?;
    match count > most {
        true => cursor.damaged(
            at,
            format!("it is said to have {count} {what}; at most {most} are read"),
        ),
        false => Ok(count),
    }
}

impl Header<'_, '_> {
    fn keys(&mut self, count: u64) -> Checked<()> {
        let mut names = BTreeSet::new();
        for _ in 0..count {
            let at = self.cursor.at();
            let key = self.text(KEY_MAX_BYTES)?;
            let kind = self.cursor.u32()?;
            match (key.as_str(), kind) {
                ("general.alignment", U32) => {
                    let alignment = self.cursor.u32()?;
                    if !alignment.is_power_of_two() || alignment > ALIGNMENT_MAX {
                        return self.cursor.damaged(at, format!("its alignment is {alignment}"));
                    }
                    self.alignment = u64::from(alignment);
                }
                ("general.architecture", TEXT) => self.architecture = self.text(KEY_MAX_BYTES)?,
                _ => self.skip_value(kind, 0)?,
            }
            if !names.insert(key) {
                return self.cursor.damaged(at, "a key occurs twice");
            }
        }
        Ok(())
    }

    fn skip_value(&mut self, kind: u32, depth: u32) -> Checked<()> {
        let at = self.cursor.at();
        match (kind, width(kind)) {
            (_, Some(bytes)) => self.cursor.skip(bytes),
            (TEXT, _) => {
                let length = self.cursor.u64()?;
                self.cursor.skip(length)
            }
            (LIST, _) if depth < NESTING_MAX => {
                let element = self.cursor.u32()?;
                let count = self.cursor.u64()?;
                match width(element) {
                    Some(bytes) => self.cursor.skip(count.saturating_mul(bytes)),
                    // Each takes eight bytes at least, so a false count ends at the end of the file.
                    None => (0..count).try_for_each(|_| self.skip_value(element, depth + 1)),
                }
            }
            (LIST, _) => self.cursor.damaged(at, "lists lie too deep in each other"),
            _ => self.cursor.damaged(at, format!("there is no value type {kind}")),
        }
    }

    fn tensors(&mut self, count: u64) -> Checked<()> {
        if count == 0 {
            return self.cursor.damaged(8, "it holds no tensor");
        }
        let (mut names, mut spans) = (BTreeSet::new(), Vec::new());
        for _ in 0..count {
            let at = self.cursor.at();
            let name = self.text(KEY_MAX_BYTES)?;
            spans.push((self.span(at)?, at));
            if !names.insert(name) {
                return self.cursor.damaged(at, "a tensor occurs twice");
            }
        }
        let data_at = self.cursor.at().next_multiple_of(self.alignment);
        let data_bytes = self.cursor.size().saturating_sub(data_at);
        spans.sort_unstable();
        let mut end = 0;
        for ((from, to), at) in spans {
            if from < end {
                let what = format!("a tensor begins at byte {from} of the data, within the one before it");
                return self.cursor.damaged(at, what);
            }
            if to > data_bytes {
                let what = format!("a tensor ends at byte {to} of the data, which has {data_bytes}");
                return self.cursor.damaged(at, what);
            }
            end = to;
        }
        Ok(())
    }

    /// Where a tensor lies, from the start of the data.
    fn span(&mut self, at: u64) -> Checked<(u64, u64)> {
        let dimensions = self.cursor.u32()?;
        if dimensions > DIMENSIONS_MAX {
            return self
                .cursor
                .damaged(at, format!("a tensor has {dimensions} dimensions"));
        }
        let mut elements = Some(1_u64);
        for _ in 0..dimensions {
            let side = self.cursor.u64()?;
            elements = elements.and_then(|product| product.checked_mul(side));
        }
        let (kind, offset) = (self.cursor.u32()?, self.cursor.u64()?);
        if !offset.is_multiple_of(self.alignment) {
            return self
                .cursor
                .damaged(at, format!("a tensor's offset {offset} is not aligned"));
        }
        // A type newer than this table: at least its beginning must lie within the file.
        let bytes = match (block(kind), elements) {
            (_, None) => None,
            (None, _) => Some(0),
            (Some((per_block, bytes)), Some(elements)) if elements % per_block == 0 => {
                (elements / per_block).checked_mul(bytes)
            }
            _ => None,
        };
        match bytes.and_then(|bytes| offset.checked_add(bytes)) {
            Some(end) => Ok((offset, end)),
            None => self.cursor.damaged(at, "a tensor has an impossible shape"),
        }
    }

    fn text(&mut self, most: u64) -> Checked<String> {
        let at = self.cursor.at();
        let length = self.cursor.u64()?;
        if length > most {
            return self
                .cursor
                .damaged(at, format!("a name has {length} bytes; at most {most} are read"));
        }
        Ok(String::from_utf8_lossy(&self.cursor.take(length)?).into_owned())
    }
}
