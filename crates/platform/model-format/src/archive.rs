//! Looks into zip archives for pickles, by the names in their directory: `torch.save` writes such an archive.

use crate::cursor::{Checked, Cursor};

pub(crate) const MAGIC: &[u8] = b"PK\x03\x04";
const END_MAGIC: &[u8] = b"PK\x05\x06";
const ENTRY_MAGIC: &[u8] = b"PK\x01\x02";
/// The end record and the longest comment behind it.
const TAIL_BYTES: u64 = 22 + 65_535;
const ENTRY_BYTES: usize = 46;
/// A directory of a hundred thousand names.
const DIRECTORY_MAX_BYTES: u64 = 16 << 20;
const ENDINGS: [&str; 2] = [".pkl", ".pickle"];

/// The first pickle that the archive holds. One whose directory cannot be found is searched as bytes, at both ends.
pub(crate) fn pickle_in(cursor: &mut Cursor<'_>) -> Checked<Option<String>> {
    let size = cursor.size();
    let length = size.min(TAIL_BYTES);
    cursor.seek(size - length);
    let tail = cursor.take(length)?;
    let directory = end_record(&tail).filter(|(at, bytes)| {
        *bytes <= DIRECTORY_MAX_BYTES && at.checked_add(*bytes).is_some_and(|end| end <= size)
    });
    if let Some((at, bytes)) = directory {
        cursor.seek(at);
        let names = names(&cursor.take(bytes)?);
        if let Some(names) = names {
            return Ok(names.into_iter().find(|name| is_pickle_name(name)));
        }
    }
    cursor.seek(0);
    let head = cursor.take(length)?;
    let marked = |bytes: &[u8]| bytes.windows(8).any(|window| window == b"data.pkl");
    Ok((marked(&head) || marked(&tail)).then(|| "data.pkl".to_owned()))
}

fn is_pickle_name(name: &str) -> bool {
    let name = name.to_ascii_lowercase();
    ENDINGS.iter().any(|ending| name.ends_with(ending))
}

/// Where the directory lies, and its length. The numbers of a large archive (zip64) are elsewhere; then there is none.
fn end_record(tail: &[u8]) -> Option<(u64, u64)> {
    let at = tail.windows(4).rposition(|window| window == END_MAGIC)?;
    let number = |from: usize| {
        let bytes: [u8; 4] = tail.get(at + from..at + from + 4)?.try_into().ok()?;
        Some(u32::from_le_bytes(bytes)).filter(|number| *number != u32::MAX)
    };
    Some((u64::from(number(16)?), u64::from(number(12)?)))
}

/// The names of a directory; none if it is not one to its end.
fn names(directory: &[u8]) -> Option<Vec<String>> {
    let (mut names, mut at) = (Vec::new(), 0);
    while at < directory.len() {
        let entry = directory.get(at..at + ENTRY_BYTES)?;
        if !entry.starts_with(ENTRY_MAGIC) {
            return None;
        }
        let length = |from: usize| {
            Some(usize::from(u16::from_le_bytes([
                *entry.get(from)?,
                *entry.get(from + 1)?,
            ])))
        };
        let (name, extra, comment) = (length(28)?, length(30)?, length(32)?);
        let from = at + ENTRY_BYTES;
        names.push(String::from_utf8_lossy(directory.get(from..from + name)?).into_owned());
        at = from + name + extra + comment;
    }
    Some(names)
}
