//! The form of the key file: a header line, then one line per key, the newest first: its id and the key, both
//! in hex.

use std::sync::Arc;

use zeroize::Zeroizing;

use crate::KeyError;
use crate::key::{KEY_BYTES, KeyBytes, SealKey, fill, random_key};

const HEADER: &str = "corliss-root-keys 1";

/// A key and its id.
pub(super) struct Named {
    pub id: String,
    pub seal: SealKey,
    bytes: KeyBytes,
}

impl Named {
    pub fn new() -> Result<Self, KeyError> {
        let mut id = [0; 8];
        fill(&mut id)?;
        let bytes = random_key()?;
        Ok(Self {
            id: hex(&id).to_string(),
            seal: SealKey::new(&bytes)?,
            bytes,
        })
    }
}

/// The file's text.
pub(super) fn text(keys: &[Arc<Named>]) -> Zeroizing<String> {
    // All at once: a string that grows leaves what it held behind.
    let mut text = Zeroizing::new(String::with_capacity(
        HEADER.len()
            + 1
            + keys
                .iter()
                .map(|key| key.id.len() + 2 * KEY_BYTES + 2)
                .sum::<usize>(),
    ));
    text.push_str(HEADER);
    text.push('\n');
    for key in keys {
        text.push_str(&key.id);
        text.push(' ');
        text.push_str(&hex(key.bytes.as_ref()));
        text.push('\n');
    }
    text
}

/// The keys of a text; else the line at fault and what is wrong with it.
pub(super) fn parse(text: &str) -> Result<Vec<Arc<Named>>, (usize, &'static str)> {
    let mut lines = text.lines().enumerate().map(|(at, line)| (at + 1, line));
    if lines.next().is_none_or(|(_, line)| line != HEADER) {
        return Err((1, "the first line must be 'corliss-root-keys 1'"));
    }
    let mut keys = Vec::new();
    for (at, line) in lines.filter(|(_, line)| !line.trim().is_empty()) {
        let form = (at, "a line must hold a key's id and 64 hex digits");
        let (id, digits) = line.split_once(' ').ok_or(form)?;
        let bytes = unhex(digits.trim()).filter(|_| !id.is_empty()).ok_or(form)?;
        let seal = SealKey::new(&bytes).map_err(|_| form)?;
        let id = id.to_owned();
        keys.push(Arc::new(Named { id, seal, bytes }));
    }
    if keys.is_empty() {
        return Err((2, "there is no key in the file"));
    }
    Ok(keys)
}

fn hex(bytes: &[u8]) -> Zeroizing<String> {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let digit = |four: u8| char::from(DIGITS[usize::from(four & 15)]);
    let mut text = Zeroizing::new(String::with_capacity(2 * bytes.len()));
    text.extend(bytes.iter().flat_map(|byte| [digit(byte >> 4), digit(*byte)]));
    text
}

fn unhex(digits: &str) -> Option<KeyBytes> {
    let digits = digits.as_bytes();
    if digits.len() != 2 * KEY_BYTES {
        return None;
    }
    let value = |digit: u8| {
        char::from(digit)
            .to_digit(16)
            .and_then(|value| u8::try_from(value).ok())
    };
    let mut key = Zeroizing::new([0; KEY_BYTES]);
    for (byte, pair) in key.iter_mut().zip(digits.chunks_exact(2)) {
        *byte = value(pair[0])? << 4 | value(pair[1])?;
    }
    Some(key)
}
