//! The pages of one column chunk, each held against the limits before it is decompressed.
//!
//! The `parquet` crate has a page reader of its own, which takes sizes from page headers as they are, and
//! whose header type is private. This one hands its decoders the same pages.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

use bytes::Bytes;
use parquet::basic::{Compression, Encoding, Type};
use parquet::column::page::{Page, PageMetadata, PageReader};
use parquet::errors::{ParquetError, Result};
use parquet::file::metadata::ColumnChunkMetaData;

use super::codec::decompress;
use super::header::{Kind, PageHeader};
use super::unfold;
use crate::limits::{NESTED_VALUES, PAGE_BYTES, PAGE_HEADER_BYTES, PAGE_VALUES, RESIDENT_BYTES};
use crate::source::{RandomRead, read_exact};
use crate::{Format, TabularError};

/// What the readers of one operation may use together.
#[derive(Debug, Default)]
pub(super) struct Budget {
    /// Bytes decoded so far, and how many there may be.
    decoded: AtomicU64,
    pub most: u64,
    /// Bytes of the pages that are decoded now.
    resident: AtomicU64,
    /// Values of pages since the last batch began.
    values: AtomicUsize,
}

impl Budget {
    pub fn new(most: u64) -> Arc<Self> {
        Arc::new(Self {
            most,
            ..Self::default()
        })
    }

    pub fn begin_batch(&self) {
        self.values.store(0, Ordering::Relaxed);
    }

    fn take(&self, header: &PageHeader, nested: bool) -> std::result::Result<(), TabularError> {
        let size = header.size as u64;
        // First, since the caller gives it back whatever comes of the rest.
        if self.resident.fetch_add(size, Ordering::Relaxed) + size > RESIDENT_BYTES {
            return Err(TabularError::too_large(
                "the pages of one column that belong to the same rows",
                format!("{RESIDENT_BYTES} bytes"),
            ));
        }
        if self.decoded.fetch_add(size, Ordering::Relaxed) + size > self.most {
            return Err(TabularError::too_large(
                "what has to be decoded of this file",
                format!("{} bytes", self.most),
            ));
        }
        let values = self.values.fetch_add(header.values, Ordering::Relaxed) + header.values;
        if nested && values > NESTED_VALUES {
            return Err(TabularError::too_large(
                "the values of a page of a nested column",
                NESTED_VALUES.to_string(),
            ));
        }
        Ok(())
    }

    fn give_back(&self, size: u64) {
        self.resident.fetch_sub(size, Ordering::Relaxed);
    }
}

/// Reads the pages of one column chunk.
pub(super) struct Pages {
    source: Arc<dyn RandomRead>,
    budget: Arc<Budget>,
    codec: Compression,
    /// Levels that decide whether there are any in a page.
    levels: (i16, i16),
    physical: Type,
    at: u64,
    end: u64,
    peeked: Option<PageHeader>,
    /// Whether a dictionary came: decoders panic at a page that names its entries without one.
    has_dictionary: bool,
    /// Bytes counted as resident: the data page, and the dictionary.
    held: [u64; 2],
}

impl Drop for Pages {
    fn drop(&mut self) {
        self.budget.give_back(self.held.iter().sum());
    }
}

impl Pages {
    /// Checks that the chunk lies within the file.
    pub fn open(
        source: &Arc<dyn RandomRead>,
        chunk: &ColumnChunkMetaData,
        budget: &Arc<Budget>,
    ) -> std::result::Result<Self, TabularError> {
        let start = chunk
            .dictionary_page_offset()
            .unwrap_or_else(|| chunk.data_page_offset());
        let range = u64::try_from(start)
            .ok()
            .zip(u64::try_from(chunk.compressed_size()).ok());
        let (start, end) = range
            .and_then(|(start, length)| Some((start, start.checked_add(length)?)))
            .filter(|(_, end)| *end <= source.len())
            .ok_or_else(|| {
                TabularError::parquet(format!(
                    "column '{}' is said to lie at {start} with {} bytes, in a file of {}",
                    chunk.column_path().string(),
                    chunk.compressed_size(),
                    source.len()
                ))
            })?;
        let column = chunk.column_descr();
        Ok(Self {
            source: Arc::clone(source),
            budget: Arc::clone(budget),
            codec: chunk.compression(),
            levels: (column.max_rep_level(), column.max_def_level()),
            physical: chunk.column_type(),
            at: start,
            end,
            peeked: None,
            has_dictionary: false,
            held: [0; 2],
        })
    }

    /// The header of the next page of data or dictionary, with `at` behind it.
    fn header(&mut self) -> std::result::Result<Option<PageHeader>, TabularError> {
        if let Some(header) = self.peeked.take() {
            return Ok(Some(header));
        }
        while self.at < self.end {
            let header = self.next_header()?;
            let left = self.end - self.at;
            if header.compressed as u64 > left {
                return Err(TabularError::parquet(format!(
                    "a page claims {} bytes where {left} are left of its column",
                    header.compressed
                )));
            }
            if header.kind != Kind::Other {
                return Ok(Some(header));
            }
            self.at += header.compressed as u64;
        }
        Ok(None)
    }

    fn next_header(&mut self) -> std::result::Result<PageHeader, TabularError> {
        let left = usize::try_from(self.end - self.at)
            .unwrap_or(usize::MAX)
            .min(PAGE_HEADER_BYTES);
        // Most headers take some dozen bytes; those with long statistics are read again, whole.
        for want in [512.min(left), left] {
            let bytes = read_exact(self.source.as_ref(), self.at, want)?;
            if let Some((header, length)) = PageHeader::parse(&bytes, want == left)? {
                self.at += length as u64;
                return Ok(header);
            }
        }
        Err(TabularError::parquet("a page header is cut short"))
    }

    fn page(&mut self) -> std::result::Result<Option<Page>, TabularError> {
        let Some(header) = self.header()? else {
            return Ok(None);
        };
        header.check()?;
        self.has_dictionary |= header.kind == Kind::Dictionary;
        let named = matches!(
            header.encoding,
            Encoding::PLAIN_DICTIONARY | Encoding::RLE_DICTIONARY
        );
        if named && !self.has_dictionary {
            return Err(TabularError::parquet(
                "a page names entries of a dictionary that there is not",
            ));
        }
        let place = usize::from(header.kind == Kind::Dictionary);
        self.budget.give_back(std::mem::take(&mut self.held[place]));
        let taken = self.budget.take(&header, self.levels.0 > 0);
        self.held[place] = header.size as u64;
        taken?;
        let bytes = read_exact(self.source.as_ref(), self.at, header.compressed)?;
        self.at += header.compressed as u64;
        let bytes = self.unpack(&header, bytes)?;
        self.check_values(&header, &bytes)?;
        Ok(Some(header.into_page(bytes)))
    }

    fn unpack(&self, header: &PageHeader, bytes: Bytes) -> std::result::Result<Bytes, TabularError> {
        // The levels of a page of the second version stand in front, never compressed.
        let plain = header.plain_bytes();
        if plain > bytes.len() || plain > header.size {
            return Err(TabularError::parquet(
                "a page has more bytes of levels than bytes",
            ));
        }
        if self.codec == Compression::UNCOMPRESSED || !header.is_compressed {
            if bytes.len() != header.size {
                return Err(TabularError::parquet(format!(
                    "an uncompressed page of {} bytes claims {}",
                    bytes.len(),
                    header.size
                )));
            }
            return Ok(bytes);
        }
        let mut out = Vec::with_capacity(header.size);
        out.extend_from_slice(&bytes[..plain]);
        // Nothing but nulls is written by some as no bytes at all, which is no valid stream of any codec.
        if header.size > plain {
            decompress(self.codec, &bytes[plain..], header.size - plain, &mut out)?;
        }
        Ok(out.into())
    }

    /// Values that unfold to more than their page are measured first.
    fn check_values(&self, header: &PageHeader, bytes: &[u8]) -> std::result::Result<(), TabularError> {
        let texts = matches!(self.physical, Type::BYTE_ARRAY | Type::FIXED_LEN_BYTE_ARRAY);
        let prefixes = header.encoding == Encoding::DELTA_BYTE_ARRAY;
        let lengths = prefixes || header.encoding == Encoding::DELTA_LENGTH_BYTE_ARRAY;
        if !texts || !lengths || header.kind == Kind::Dictionary {
            return Ok(());
        }
        let data = match header.kind {
            Kind::Data => header.behind_levels(bytes, self.levels)?,
            _ => &bytes[header.plain_bytes()..],
        };
        // A page of nothing but nulls may have no values, not even their header.
        if data.is_empty() {
            Ok(())
        } else {
            unfold::check(prefixes, data, header.values)
        }
    }
}

/// Our errors pass through the crate's and come out whole in `super::guarded`.
fn external(error: TabularError) -> ParquetError {
    ParquetError::External(Box::new(error))
}

impl Iterator for Pages {
    type Item = Result<Page>;

    fn next(&mut self) -> Option<Self::Item> {
        self.get_next_page().transpose()
    }
}

impl PageReader for Pages {
    fn get_next_page(&mut self) -> Result<Option<Page>> {
        self.page().map_err(external)
    }

    fn peek_next_page(&mut self) -> Result<Option<PageMetadata>> {
        let header = self.header().map_err(external)?;
        let told = header.as_ref().map(|header| PageMetadata {
            num_rows: header.rows,
            num_levels: (header.kind != Kind::Dictionary).then_some(header.values),
            is_dict: header.kind == Kind::Dictionary,
        });
        self.peeked = header;
        Ok(told)
    }

    fn skip_next_page(&mut self) -> Result<()> {
        if let Some(header) = self.header().map_err(external)? {
            self.at += header.compressed as u64;
        }
        Ok(())
    }
}

impl PageHeader {
    /// Holds what the header claims against the limits.
    fn check(&self) -> std::result::Result<(), TabularError> {
        let bytes = self.size.max(self.compressed);
        if bytes > PAGE_BYTES {
            return Err(TabularError::too_large(
                format!("a page of {bytes} bytes"),
                format!("{PAGE_BYTES} bytes"),
            ));
        }
        let (most, what) = match self.kind {
            Kind::Dictionary => (crate::limits::DICTIONARY_VALUES, "a dictionary"),
            _ => (PAGE_VALUES, "a page"),
        };
        if self.values > most {
            return Err(TabularError::too_large(
                format!("{what} of {} values", self.values),
                format!("{most} values"),
            ));
        }
        if self.encoding == Encoding::ALP {
            return Err(TabularError::unsupported(
                Format::Parquet,
                "its values are encoded with ALP",
            ));
        }
        Ok(())
    }
}
