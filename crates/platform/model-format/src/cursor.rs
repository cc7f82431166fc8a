//! A place in a file, and what is read from there: in blocks that grow while the reading goes on, and start small again
//! after a jump, because headers lie between tensors that nobody wants to read.

use std::io;

use bytes::Bytes;

use crate::Ranged;

/// Bytes of one file that are read at most. The vocabulary of a large language model takes some 20 MB, a safetensors
/// header at most 100 MB.
pub const READ_MAX_BYTES: u64 = 256 << 20;
const BLOCK_MIN: u64 = 4 << 10;
const BLOCK_MAX: u64 = 256 << 10;

/// Why reading a header stopped.
#[derive(Debug)]
pub(crate) enum Fault {
    /// The file is not what it should be.
    Damaged { at: u64, what: String },
    /// It takes more reading than is allowed to tell.
    Costly,
    /// The bytes could not be read.
    Read(io::Error),
}

pub(crate) type Checked<T> = Result<T, Fault>;

pub(crate) struct Cursor<'a> {
    source: &'a mut dyn Ranged,
    size: u64,
    at: u64,
    block: Bytes,
    block_at: u64,
    next_block: u64,
    left: u64,
}

impl<'a> Cursor<'a> {
    pub fn new(source: &'a mut dyn Ranged, size: u64) -> Self {
        Self {
            source,
            size,
            at: 0,
            block: Bytes::new(),
            block_at: 0,
            next_block: BLOCK_MIN,
            left: READ_MAX_BYTES,
        }
    }

    pub fn size(&self) -> u64 {
        self.size
    }

    pub fn at(&self) -> u64 {
        self.at
    }

    /// Goes to a place within the file.
    pub fn seek(&mut self, at: u64) {
        if at < self.block_at || at > self.block_at + self.block.len() as u64 {
            self.next_block = BLOCK_MIN;
        }
        self.at = at.min(self.size);
    }

    pub fn damaged<T>(&self, at: u64, what: impl Into<String>) -> Checked<T> {
        Err(Fault::Damaged {
            at,
            what: what.into(),
        })
    }

    /// Refuses what would go on beyond the file's end.
    pub fn room(&self, bytes: u64) -> Checked<()> {
        let left = self.size - self.at;
        if bytes <= left {
            return Ok(());
        }
        let what = format!("{bytes} bytes should follow and the file has {left} more");
        self.damaged(self.at, what)
    }

    /// The next bytes. The caller limits how many it asks for.
    pub fn take(&mut self, count: u64) -> Checked<Bytes> {
        self.room(count)?;
        let end_of_block = self.block_at + self.block.len() as u64;
        if self.at < self.block_at || self.at + count > end_of_block {
            self.fetch(count)?;
        }
        let from = usize::try_from(self.at - self.block_at).unwrap_or(usize::MAX);
        let to = from.saturating_add(usize::try_from(count).unwrap_or(usize::MAX));
        if to > self.block.len() {
            return Err(Fault::Read(io::ErrorKind::UnexpectedEof.into()));
        }
        self.at += count;
        Ok(self.block.slice(from..to))
    }

    fn fetch(&mut self, count: u64) -> Checked<()> {
        let length = count.max(self.next_block).min(self.size - self.at);
        if length > self.left {
            return Err(Fault::Costly);
        }
        self.left -= length;
        self.next_block = (self.next_block * 2).min(BLOCK_MAX);
        self.block = self.source.read(self.at..self.at + length).map_err(Fault::Read)?;
        self.block_at = self.at;
        Ok(())
    }

    pub fn skip(&mut self, count: u64) -> Checked<()> {
        self.room(count)?;
        self.seek(self.at + count);
        Ok(())
    }

    pub fn u8(&mut self) -> Checked<u8> {
        Ok(self.array::<1>()?[0])
    }

    pub fn u32(&mut self) -> Checked<u32> {
        Ok(u32::from_le_bytes(self.array()?))
    }

    pub fn u64(&mut self) -> Checked<u64> {
        Ok(u64::from_le_bytes(self.array()?))
    }

    fn array<const N: usize>(&mut self) -> Checked<[u8; N]> {
        let bytes = self.take(N as u64)?;
        let mut array = [0; N];
        array.copy_from_slice(&bytes);
        Ok(array)
    }
}
