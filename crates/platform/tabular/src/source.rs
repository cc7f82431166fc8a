//! The port: where the bytes of a table come from, and reading them from front to back.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::sync::Arc;

use bytes::Bytes;

use crate::TabularError;

/// Bytes of known length that can be read at any place. Calls may block.
///
/// A caller who wants to stop an operation lets `read_at` fail: that error comes back.
pub trait RandomRead: Send + Sync {
    /// The length in bytes. It must not change.
    fn len(&self) -> u64;

    /// Whether there is no byte.
    fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// `len` bytes from `offset` on, or fewer where the end comes first.
    ///
    /// # Errors
    /// Whatever keeps the bytes from being read.
    fn read_at(&self, offset: u64, len: usize) -> io::Result<Bytes>;
}

impl RandomRead for Bytes {
    fn len(&self) -> u64 {
        self.as_ref().len() as u64
    }

    fn read_at(&self, offset: u64, len: usize) -> io::Result<Bytes> {
        let size = self.as_ref().len();
        let start = usize::try_from(offset).unwrap_or(size).min(size);
        Ok(self.slice(start..start.saturating_add(len).min(size)))
    }
}

/// A file on the local disk, whose length is taken once.
#[derive(Debug)]
pub struct LocalFile {
    file: File,
    length: u64,
}

impl LocalFile {
    /// Takes an open file.
    ///
    /// # Errors
    /// The file system cannot tell its length.
    pub fn new(file: File) -> io::Result<Self> {
        let length = file.metadata()?.len();
        Ok(Self { file, length })
    }
}

impl RandomRead for LocalFile {
    fn len(&self) -> u64 {
        self.length
    }

    fn read_at(&self, offset: u64, len: usize) -> io::Result<Bytes> {
        let left = self.length.saturating_sub(offset);
        let mut bytes = vec![0; usize::try_from(left).unwrap_or(len).min(len)];
        let mut filled = 0;
        while filled < bytes.len() {
            match self.file.read_at(&mut bytes[filled..], offset + filled as u64) {
                Ok(0) => break,
                Ok(count) => filled += count,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        bytes.truncate(filled);
        Ok(bytes.into())
    }
}

/// Exactly `len` bytes, or an error that says the file is shorter than it was.
pub(crate) fn read_exact(source: &dyn RandomRead, offset: u64, len: usize) -> Result<Bytes, TabularError> {
    let bytes = source.read_at(offset, len)?;
    if bytes.len() == len {
        return Ok(bytes);
    }
    Err(TabularError::Read {
        source: io::Error::new(
            io::ErrorKind::UnexpectedEof,
            format!("{} of {len} bytes were read at {offset}", bytes.len()),
        ),
    })
}

/// Bytes fetched at a time when reading from front to back.
const BLOCK_BYTES: usize = 256 << 10;

/// A reader from front to back, with at most one block in memory.
pub(crate) struct Sequential {
    source: Arc<dyn RandomRead>,
    next: u64,
    block: Bytes,
}

impl Sequential {
    pub fn new(source: Arc<dyn RandomRead>, start: u64) -> Self {
        Self {
            source,
            next: start,
            block: Bytes::new(),
        }
    }

    /// What is left of the block, a new one when none is. Empty at the end only.
    pub fn fill(&mut self) -> Result<&Bytes, TabularError> {
        if self.block.is_empty() && self.next < self.source.len() {
            self.block = self.source.read_at(self.next, BLOCK_BYTES)?;
            if self.block.is_empty() {
                // A source that is shorter than it said must not pass for one that ended well.
                read_exact(self.source.as_ref(), self.next, 1)?;
            }
            self.next += self.block.len() as u64;
        }
        Ok(&self.block)
    }

    pub fn consume(&mut self, count: usize) {
        self.block = self.block.slice(count.min(self.block.len())..);
    }

    /// Where the next byte is.
    pub fn position(&self) -> u64 {
        self.next - self.block.len() as u64
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    #[test]
    fn a_file_reads_like_bytes() {
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(b"0123456789").unwrap();
        let file = LocalFile::new(file).unwrap();
        let bytes = Bytes::from_static(b"0123456789");
        for (offset, len) in [(0, 3), (8, 5), (10, 1), (99, 1), (0, 0)] {
            assert_eq!(
                file.read_at(offset, len).unwrap(),
                RandomRead::read_at(&bytes, offset, len).unwrap()
            );
        }
    }

    #[test]
    fn a_source_that_is_shorter_than_it_says_is_an_error() {
        struct Short;
        impl RandomRead for Short {
            fn len(&self) -> u64 {
                10
            }
            fn read_at(&self, _: u64, _: usize) -> io::Result<Bytes> {
                Ok(Bytes::new())
            }
        }
        assert!(Sequential::new(Arc::new(Short), 0).fill().is_err());
    }
}
