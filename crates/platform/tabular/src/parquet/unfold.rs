//! How large the values of a page become that are written as differences.
//!
//! `DELTA_BYTE_ARRAY` stores how many bytes each value shares with the last: a page of 1 MB can hold a
//! million values of 1 MB. `DELTA_LENGTH_BYTE_ARRAY` claims a number of lengths that is allocated at once.
//! Both are measured here before they are decoded.

use crate::TabularError;
use crate::limits::UNFOLDED_BYTES;

/// Checks the values of a page; `data` is what follows the levels, `values` the most that there can be.
pub(super) fn check(prefixes: bool, data: &[u8], values: usize) -> Result<(), TabularError> {
    let bad = || TabularError::parquet("the lengths of a page's texts are damaged");
    let mut numbers = Numbers::new(data).ok_or_else(bad)?;
    if numbers.left > values as u64 {
        return Err(TabularError::parquet(format!(
            "a page of {values} values claims {} lengths",
            numbers.left
        )));
    }
    if !prefixes {
        return Ok(());
    }
    let mut total = data.len() as u64;
    while numbers.left > 0 {
        let shared = numbers.next().ok_or_else(bad)?;
        total = total.saturating_add(u64::try_from(shared).map_err(|_| bad())?);
        if total > UNFOLDED_BYTES {
            return Err(TabularError::too_large(
                "a page of values that repeat the last one",
                format!("{UNFOLDED_BYTES} bytes"),
            ));
        }
    }
    Ok(())
}

/// The numbers of `DELTA_BINARY_PACKED`: a first one and blocks of differences in bits.
struct Numbers<'a> {
    bytes: &'a [u8],
    at: usize,
    left: u64,
    value: i64,
    begun: bool,
    miniblocks: usize,
    per_miniblock: usize,
    widths: &'a [u8],
    least: i64,
    /// Numbers left in the miniblock, and the bit to go on from.
    in_miniblock: usize,
    bit: usize,
    width: usize,
}

impl<'a> Numbers<'a> {
    fn new(bytes: &'a [u8]) -> Option<Self> {
        let mut numbers = Self {
            bytes,
            at: 0,
            left: 0,
            value: 0,
            begun: false,
            miniblocks: 0,
            per_miniblock: 0,
            widths: &[],
            least: 0,
            in_miniblock: 0,
            bit: 0,
            width: 0,
        };
        let block = usize::try_from(numbers.varint()?).ok()?;
        numbers.miniblocks = usize::try_from(numbers.varint()?).ok()?;
        numbers.left = numbers.varint()?;
        numbers.value = numbers.signed()?;
        let even = numbers.miniblocks > 0 && block.is_multiple_of(numbers.miniblocks);
        numbers.per_miniblock = block.checked_div(numbers.miniblocks)?;
        let whole = numbers.per_miniblock > 0 && numbers.per_miniblock.is_multiple_of(32);
        // No writer makes larger blocks, and sizes below are computed from this.
        (even && whole && block <= 1 << 20).then_some(numbers)
    }

    fn varint(&mut self) -> Option<u64> {
        let mut value = 0;
        for shift in (0..64).step_by(7) {
            let byte = *self.bytes.get(self.at)?;
            self.at += 1;
            value |= u64::from(byte & 0x7f) << shift;
            if byte & 0x80 == 0 {
                return Some(value);
            }
        }
        None
    }

    fn signed(&mut self) -> Option<i64> {
        let value = self.varint()?;
        Some((value >> 1).cast_signed() ^ -(value & 1).cast_signed())
    }

    /// The next number, none when the bytes do not hold what was claimed.
    fn next(&mut self) -> Option<i64> {
        self.left = self.left.checked_sub(1)?;
        if !self.begun {
            self.begun = true;
            return Some(self.value);
        }
        if self.in_miniblock == 0 {
            self.begin_miniblock()?;
        }
        let difference = self.bits()?;
        self.in_miniblock -= 1;
        if self.in_miniblock == 0 {
            self.at += self.per_miniblock * self.width / 8;
        }
        self.value = self
            .value
            .wrapping_add(self.least)
            .wrapping_add(difference.cast_signed());
        Some(self.value)
    }

    fn begin_miniblock(&mut self) -> Option<()> {
        if self.widths.is_empty() {
            self.least = self.signed()?;
            self.widths = self.bytes.get(self.at..self.at.checked_add(self.miniblocks)?)?;
            self.at += self.miniblocks;
        }
        let (width, rest) = self.widths.split_first()?;
        self.widths = rest;
        self.width = usize::from(*width);
        self.in_miniblock = self.per_miniblock;
        self.bit = 0;
        (self.width <= 64).then_some(())
    }

    fn bits(&mut self) -> Option<u64> {
        let mut value = 0_u64;
        let mut have = 0;
        while have < self.width {
            let byte = *self.bytes.get(self.at + self.bit / 8)?;
            let within = self.bit % 8;
            let take = (8 - within).min(self.width - have);
            let part = (u64::from(byte) >> within) & ((1 << take) - 1);
            value |= part << have;
            have += take;
            self.bit += take;
        }
        Some(value)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Five numbers 7, 5, 3, 1, 2 as the format's description writes such: block of 128, four miniblocks.
    const FEW: &[u8] = &[
        0x80, 0x01, 0x04, 0x05, 0x0e, 0x03, 0x02, 0x00, 0x00, 0x00, 0xc0, 0, 0, 0, 0, 0, 0, 0,
    ];

    #[test]
    fn numbers_are_read_as_they_were_written() {
        let mut numbers = Numbers::new(FEW).unwrap();
        let read: Vec<_> = std::iter::from_fn(|| numbers.next()).collect();
        assert_eq!(read, [7, 5, 3, 1, 2]);
    }

    #[test]
    fn counts_and_sums_are_bounded() {
        assert!(check(true, FEW, 5).is_ok());
        assert!(check(true, FEW, 4).is_err());
        assert!(check(true, &FEW[..8], 5).is_err());
        // A hundred values, each of which shares 8 MiB with the last: the differences are all zero.
        let mut bomb = vec![0x80, 0x01, 0x04, 100, 0x80, 0x80, 0x80, 0x08, 0x00, 0, 0, 0, 0];
        bomb.extend([0; 16]);
        assert!(matches!(
            check(true, &bomb, 100),
            Err(TabularError::TooLarge { .. })
        ));
        assert!(check(false, &bomb, 100).is_ok());
    }

    #[test]
    fn damaged_headers_are_refused() {
        for bytes in [
            &[][..],
            &[0x80],
            &[0, 0, 1, 0],
            &[0x80, 1, 0, 1, 0],
            &[0x80, 1, 3, 1, 0],
            &[0xff; 30],
        ] {
            assert!(check(true, bytes, 1000).is_err(), "{bytes:?}");
        }
    }
}
