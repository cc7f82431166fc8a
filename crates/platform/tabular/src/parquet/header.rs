//! The header of a Parquet page.

use bytes::Bytes;
use parquet::basic::Encoding;
use parquet::column::page::Page;

use super::thrift::{Fault, Walk, kind};
use crate::TabularError;

/// What a page holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Data,
    DataV2,
    Dictionary,
    /// An index, or what later versions of the format bring: skipped.
    Other,
}

/// A header, as far as it is needed. No number is believed yet, except that none is negative.
#[derive(Debug)]
pub(super) struct PageHeader {
    pub kind: Kind,
    /// Bytes once decompressed.
    pub size: usize,
    /// Bytes in the file.
    pub compressed: usize,
    pub values: usize,
    pub encoding: Encoding,
    /// Of the second version only.
    pub rows: Option<usize>,
    pub is_compressed: bool,
    nulls: usize,
    definition: Encoding,
    repetition: Encoding,
    definition_bytes: usize,
    repetition_bytes: usize,
}

/// The numbers of the structure that the type of page has.
#[derive(Default)]
struct Numbers {
    fields: [Option<i64>; 9],
    is_compressed: Option<bool>,
}

impl PageHeader {
    /// The header at the front of `bytes` and its length; none when more bytes are needed, which is an
    /// error if these are `all`.
    pub fn parse(bytes: &[u8], all: bool) -> Result<Option<(Self, usize)>, TabularError> {
        let mut walk = Walk::new(bytes, 1000);
        let mut own = Numbers::default();
        let mut within: [Option<Numbers>; 9] = Default::default();
        let walked = walk.fields(0, |walk, id, field| match (id, field) {
            (1..=3, kind::I32) => {
                own.fields[place(id)] = Some(walk.signed()?);
                Ok(())
            }
            (5 | 7 | 8, kind::STRUCT) => {
                within[place(id)] = Some(numbers(walk)?);
                Ok(())
            }
            (_, other) => walk.skip(other, 1),
        });
        match walked {
            Ok(()) => {}
            Err(Fault::End) if !all => return Ok(None),
            Err(fault) => return Err(fault.of("a page header")),
        }
        let header = Self::of(&own, &within)?;
        Ok(Some((header, walk.position())))
    }

    fn of(own: &Numbers, within: &[Option<Numbers>; 9]) -> Result<Self, TabularError> {
        let (kind, at) = match own.fields[1] {
            Some(0) => (Kind::Data, 5),
            Some(2) => (Kind::Dictionary, 7),
            Some(3) => (Kind::DataV2, 8),
            _ => (Kind::Other, 0),
        };
        let none = Numbers::default();
        let inner = match (&within[at], kind) {
            (Some(inner), _) => inner,
            (None, Kind::Other) => &none,
            (None, _) => return Err(TabularError::parquet("a page header lacks the part of its type")),
        };
        let second = kind == Kind::DataV2;
        let encoded = |place: usize| match kind {
            Kind::Other => Ok(Encoding::PLAIN),
            _ => encoding(inner.fields[place]),
        };
        Ok(Self {
            kind,
            size: count(own.fields[2], "uncompressed size")?,
            compressed: count(own.fields[3], "compressed size")?,
            values: if kind == Kind::Other {
                0
            } else {
                count(inner.fields[1], "number of values")?
            },
            encoding: encoded(if second { 4 } else { 2 })?,
            rows: if second {
                Some(count(inner.fields[3], "number of rows")?)
            } else {
                None
            },
            is_compressed: inner.is_compressed.unwrap_or(true) || !second,
            nulls: if second {
                count(inner.fields[2], "number of nulls")?
            } else {
                0
            },
            definition: if kind == Kind::Data {
                encoded(3)?
            } else {
                Encoding::RLE
            },
            repetition: if kind == Kind::Data {
                encoded(4)?
            } else {
                Encoding::RLE
            },
            definition_bytes: if second {
                count(inner.fields[5], "length of levels")?
            } else {
                0
            },
            repetition_bytes: if second {
                count(inner.fields[6], "length of levels")?
            } else {
                0
            },
        })
    }

    /// Bytes in front that are never compressed.
    pub fn plain_bytes(&self) -> usize {
        self.definition_bytes.saturating_add(self.repetition_bytes)
    }

    /// The values of a page of the first version, whose levels stand in front, of repetition and
    /// definition, each there only if its greatest level is above zero.
    pub fn behind_levels<'a>(&self, bytes: &'a [u8], levels: (i16, i16)) -> Result<&'a [u8], TabularError> {
        let cut = || TabularError::parquet("the levels of a page are cut short");
        let mut rest = bytes;
        for (level, encoding) in [(levels.0, self.repetition), (levels.1, self.definition)] {
            if level == 0 {
                continue;
            }
            rest = if encoding == Encoding::RLE {
                let (length, behind) = rest.split_first_chunk().ok_or_else(cut)?;
                behind
                    .get(u32::from_le_bytes(*length) as usize..)
                    .ok_or_else(cut)?
            } else {
                let width = (i16::BITS - level.leading_zeros()) as usize;
                rest.get((self.values * width).div_ceil(8)..).ok_or_else(cut)?
            };
        }
        Ok(rest)
    }

    /// The page as the decoders take it. Counts fit 32 bits: they were read from as many.
    pub fn into_page(self, buf: Bytes) -> Page {
        let small = |count: usize| u32::try_from(count).unwrap_or(u32::MAX);
        match self.kind {
            Kind::Dictionary => Page::DictionaryPage {
                buf,
                num_values: small(self.values),
                encoding: self.encoding,
                is_sorted: false,
            },
            Kind::DataV2 => Page::DataPageV2 {
                buf,
                num_values: small(self.values),
                encoding: self.encoding,
                num_nulls: small(self.nulls),
                num_rows: small(self.rows.unwrap_or(0)),
                def_levels_byte_len: small(self.definition_bytes),
                rep_levels_byte_len: small(self.repetition_bytes),
                is_compressed: self.is_compressed,
                statistics: None,
            },
            Kind::Data | Kind::Other => Page::DataPage {
                buf,
                num_values: small(self.values),
                encoding: self.encoding,
                def_level_encoding: self.definition,
                rep_level_encoding: self.repetition,
                statistics: None,
            },
        }
    }
}

/// A field's id as an index; callers match it first.
fn place(id: i64) -> usize {
    usize::try_from(id).unwrap_or(0)
}

fn numbers(walk: &mut Walk<'_>) -> Result<Numbers, Fault> {
    let mut numbers = Numbers::default();
    walk.fields(1, |walk, id, field| match (id, field) {
        (1..=8, kind::I32) => {
            numbers.fields[place(id)] = Some(walk.signed()?);
            Ok(())
        }
        (7, kind::TRUE | kind::FALSE) => {
            numbers.is_compressed = Some(field == kind::TRUE);
            Ok(())
        }
        (_, other) => walk.skip(other, 2),
    })?;
    Ok(numbers)
}

fn count(number: Option<i64>, what: &str) -> Result<usize, TabularError> {
    number
        .and_then(|number| i32::try_from(number).ok())
        .and_then(|number| usize::try_from(number).ok())
        .ok_or_else(|| TabularError::parquet(format!("a page header has no valid {what}")))
}

fn encoding(number: Option<i64>) -> Result<Encoding, TabularError> {
    Ok(match number {
        Some(0) => Encoding::PLAIN,
        Some(2) => Encoding::PLAIN_DICTIONARY,
        Some(3) => Encoding::RLE,
        #[expect(deprecated, reason = "old files have levels in it")]
        Some(4) => Encoding::BIT_PACKED,
        Some(5) => Encoding::DELTA_BINARY_PACKED,
        Some(6) => Encoding::DELTA_LENGTH_BYTE_ARRAY,
        Some(7) => Encoding::DELTA_BYTE_ARRAY,
        Some(8) => Encoding::RLE_DICTIONARY,
        Some(9) => Encoding::BYTE_STREAM_SPLIT,
        Some(10) => Encoding::ALP,
        other => {
            return Err(TabularError::parquet(format!(
                "a page has the encoding {other:?}, which there is not"
            )));
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A data page of 5 values in 20 bytes, 18 of them in the file, PLAIN with RLE levels.
    const PLAIN: &[u8] = &[
        0x15, 0x00, 0x15, 0x28, 0x15, 0x24, 0x2c, 0x15, 0x0a, 0x15, 0x00, 0x15, 0x06, 0x15, 0x06, 0x00, 0x00,
    ];

    #[test]
    fn a_header_is_read_and_asks_for_more_bytes_when_cut() {
        let (header, length) = PageHeader::parse(PLAIN, true).unwrap().unwrap();
        assert_eq!(
            (header.kind, header.size, header.compressed),
            (Kind::Data, 20, 18)
        );
        assert_eq!(
            (header.values, header.encoding, length),
            (5, Encoding::PLAIN, PLAIN.len())
        );
        for cut in 0..PLAIN.len() {
            assert!(PageHeader::parse(&PLAIN[..cut], false).unwrap().is_none());
            assert!(PageHeader::parse(&PLAIN[..cut], true).is_err());
        }
    }

    #[test]
    fn negative_numbers_and_foreign_encodings_are_refused() {
        let with = |at: usize, byte: u8| {
            let mut bytes = PLAIN.to_vec();
            bytes[at] = byte;
            PageHeader::parse(&bytes, true)
        };
        assert!(with(3, 0x27).is_err(), "size");
        assert!(with(5, 0x01).is_err(), "compressed size");
        assert!(with(8, 0x01).is_err(), "values");
        assert!(with(10, 0x02).is_err(), "encoding");
        assert!(with(1, 0x04).is_err(), "a dictionary without its part");
    }

    #[test]
    fn levels_in_front_are_walked_over() {
        let (header, _) = PageHeader::parse(PLAIN, true).unwrap().unwrap();
        let bytes = [2, 0, 0, 0, 9, 9, 1, 2, 3];
        assert_eq!(header.behind_levels(&bytes, (0, 1)).unwrap(), [1, 2, 3]);
        assert_eq!(header.behind_levels(&bytes, (0, 0)).unwrap(), bytes);
        assert!(header.behind_levels(&bytes[..5], (0, 1)).is_err());
        assert!(header.behind_levels(&[0xff; 8], (0, 1)).is_err());
    }
}
