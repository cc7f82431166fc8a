//! Recognises Python pickles by content: bare ones, and the zip archives that `torch.save` writes.

use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::path::Path;

use crate::EngineError;

/// A zip's directory stands at its end; a PyTorch archive's has `data.pkl` near the front of it.
const ZIP_TAIL_BYTES: u64 = 1 << 20;

/// Whether the file is a pickle, by its first bytes and, for a zip, by the names it holds.
pub(super) fn is_pickle(path: &Path) -> Result<bool, EngineError> {
    let failed = |source| EngineError::io(format!("cannot read '{}'", super::file_name(path)), source);
    let mut file = File::open(path).map_err(failed)?;
    let mut head = Vec::with_capacity(4);
    (&mut file).take(4).read_to_end(&mut head).map_err(failed)?;
    match head.as_slice() {
        // Protocol 2 and later open with PROTO and its number; what follows is an opcode.
        [0x80, 2..=5, ..] => Ok(true),
        [b'P', b'K', 3, 4] => {
            let length = file.metadata().map_err(failed)?.len();
            file.seek(SeekFrom::Start(length.saturating_sub(ZIP_TAIL_BYTES)))
                .map_err(failed)?;
            let mut tail = Vec::new();
            file.take(ZIP_TAIL_BYTES).read_to_end(&mut tail).map_err(failed)?;
            Ok(tail.windows(8).any(|window| window == b"data.pkl"))
        }
        _ => Ok(false),
    }
}
