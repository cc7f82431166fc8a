//! Records of a file: length, its checksum, bytes, their checksum. The checksums are CRC-32C, turned and shifted so that
//! records within records do not have them too.

use std::io::{self, BufReader, Read};

/// Bytes of a record; a picture has a few.
const RECORD_BYTES: u64 = 256 * 1024 * 1024;
const MASK_DELTA: u32 = 0xa282_ead8;

/// What comes next in a file.
pub(super) enum Next {
    /// A record.
    Record(Vec<u8>),
    /// The file is read.
    End,
    /// The file ends within a record: its writer died, or still writes.
    Cut,
    /// Something else stands here than a record.
    Damaged(&'static str),
}

/// The records of a file.
pub(super) struct Records<R> {
    reader: BufReader<R>,
    offset: u64,
}

impl<R: Read> Records<R> {
    pub fn new(file: R) -> Self {
        Self {
            reader: BufReader::with_capacity(256 * 1024, file),
            offset: 0,
        }
    }

    /// Where the next record begins.
    pub fn offset(&self) -> u64 {
        self.offset
    }

    pub fn next(&mut self) -> io::Result<Next> {
        let mut head = [0; 12];
        match self.fill(&mut head)? {
            0 => return Ok(Next::End),
            12 => {}
            _ => return Ok(Next::Cut),
        }
        let (length, sum) = head.split_at(8);
        if masked(length) != number(sum) {
            return Ok(Next::Damaged("the length of a record does not fit its checksum"));
        }
        let length = u64::from_le_bytes(std::array::from_fn(|at| length[at]));
        if length > RECORD_BYTES {
            return Ok(Next::Damaged("a record is longer than 256 MiB"));
        }
        let mut bytes = Vec::new();
        let read = (&mut self.reader).take(length).read_to_end(&mut bytes)? as u64;
        self.offset += read;
        let mut sum = [0; 4];
        if read < length || self.fill(&mut sum)? < 4 {
            return Ok(Next::Cut);
        }
        if masked(&bytes) != u32::from_le_bytes(sum) {
            return Ok(Next::Damaged("a record does not fit its checksum"));
        }
        Ok(Next::Record(bytes))
    }

    /// Reads until the buffer is full or the file ends.
    fn fill(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let mut filled = 0;
        while filled < buffer.len() {
            match self.reader.read(&mut buffer[filled..]) {
                Ok(0) => break,
                Ok(read) => filled += read,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        self.offset += filled as u64;
        Ok(filled)
    }
}

fn number(bytes: &[u8]) -> u32 {
    bytes
        .iter()
        .rev()
        .fold(0, |number, byte| number << 8 | u32::from(*byte))
}

fn masked(bytes: &[u8]) -> u32 {
    crc32c(bytes).rotate_right(15).wrapping_add(MASK_DELTA)
}

/// CRC-32C of each byte: polynomial 0x1EDC6F41, turned around.
const TABLE: [u32; 256] = {
    let mut table = [0; 256];
    let mut byte = 0;
    while byte < 256 {
        let mut sum = byte as u32;
        let mut bit = 0;
        while bit < 8 {
            sum = if sum & 1 == 1 {
                sum >> 1 ^ 0x82f6_3b78
            } else {
                sum >> 1
            };
            bit += 1;
        }
        table[byte] = sum;
        byte += 1;
    }
    table
};

fn crc32c(bytes: &[u8]) -> u32 {
    !bytes.iter().fold(!0_u32, |sum, byte| {
        let [low, ..] = (sum ^ u32::from(*byte)).to_le_bytes();
        sum >> 8 ^ TABLE[usize::from(low)]
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_checksum_is_crc_32c() {
        // RFC 3720, B.4, and the customary check.
        assert_eq!(crc32c(&[0; 32]), 0x8a91_36aa);
        assert_eq!(crc32c(b"123456789"), 0xe306_9283);
    }
}
