//! Records of a CSV file and lines of a JSON lines file, each bounded in length.

use std::sync::Arc;

use bytes::Bytes;
use csv_core::ReadRecordResult;

use crate::limits::{COLUMNS, RECORD_BYTES};
use crate::source::{RandomRead, Sequential};
use crate::{Format, TabularError};

/// Reads records of CSV.
///
/// The state machine is used and not the `csv` crate around it: that one collects a record of any length,
/// and a quote that is not closed makes the rest of a file one record.
pub(crate) struct CsvRecords {
    input: Sequential,
    core: csv_core::Reader,
    bytes: Vec<u8>,
    ends: Vec<usize>,
    /// Records read so far.
    count: u64,
}

impl CsvRecords {
    pub fn new(source: Arc<dyn RandomRead>, start: u64, delimiter: u8) -> Self {
        Self {
            input: Sequential::new(source, start),
            core: csv_core::ReaderBuilder::new().delimiter(delimiter).build(),
            bytes: vec![0; 4096],
            ends: vec![0; 64],
            count: 0,
        }
    }

    /// The cells of the next record, none at the end. Empty lines are no records.
    pub fn next(&mut self) -> Result<Option<Vec<Bytes>>, TabularError> {
        let (mut filled, mut ended) = (0, 0);
        loop {
            let block = self.input.fill()?;
            let (result, read, wrote, ends) =
                self.core
                    .read_record(block, &mut self.bytes[filled..], &mut self.ends[ended..]);
            self.input.consume(read);
            filled += wrote;
            ended += ends;
            match result {
                ReadRecordResult::InputEmpty => {}
                ReadRecordResult::OutputFull => self.more_bytes()?,
                ReadRecordResult::OutputEndsFull => self.more_ends()?,
                ReadRecordResult::End => return Ok(None),
                ReadRecordResult::Record => {
                    self.count += 1;
                    return Ok(Some(cells(&self.bytes[..filled], &self.ends[..ended])));
                }
            }
        }
    }

    pub fn position(&self) -> u64 {
        self.input.position()
    }

    fn more_bytes(&mut self) -> Result<(), TabularError> {
        if self.bytes.len() >= RECORD_BYTES {
            return Err(TabularError::too_large(
                format!(
                    "record {} (a quote that is not closed makes one of all that follows)",
                    self.count + 1
                ),
                format!("{RECORD_BYTES} bytes"),
            ));
        }
        self.bytes.resize((self.bytes.len() * 2).min(RECORD_BYTES), 0);
        Ok(())
    }

    fn more_ends(&mut self) -> Result<(), TabularError> {
        if self.ends.len() >= COLUMNS {
            return Err(TabularError::too_large(
                format!("the number of cells of record {}", self.count + 1),
                format!("{COLUMNS} columns"),
            ));
        }
        self.ends.resize((self.ends.len() * 2).min(COLUMNS), 0);
        Ok(())
    }
}

fn cells(bytes: &[u8], ends: &[usize]) -> Vec<Bytes> {
    let record = Bytes::copy_from_slice(bytes);
    let starts = std::iter::once(0).chain(ends.iter().copied());
    starts
        .zip(ends)
        .map(|(start, end)| record.slice(start..*end))
        .collect()
}

/// Reads lines that are not blank.
pub(crate) struct Lines {
    input: Sequential,
    /// The number of the line that was read last, counted from 1.
    pub number: u64,
}

impl Lines {
    pub fn new(source: Arc<dyn RandomRead>, start: u64) -> Self {
        Self {
            input: Sequential::new(source, start),
            number: 0,
        }
    }

    /// The next line without its end, none at the end of the file.
    pub fn next(&mut self) -> Result<Option<Vec<u8>>, TabularError> {
        loop {
            let Some(line) = self.any_line()? else {
                return Ok(None);
            };
            if !line.trim_ascii().is_empty() {
                return Ok(Some(line));
            }
        }
    }

    pub fn position(&self) -> u64 {
        self.input.position()
    }

    fn any_line(&mut self) -> Result<Option<Vec<u8>>, TabularError> {
        let mut line = Vec::new();
        loop {
            let block = self.input.fill()?;
            if block.is_empty() && line.is_empty() {
                return Ok(None);
            }
            let end = block.iter().position(|byte| *byte == b'\n');
            let take = end.unwrap_or(block.len());
            if line.len() + take > RECORD_BYTES {
                return Err(TabularError::too_large(
                    format!("line {}", self.number + 1),
                    format!("{RECORD_BYTES} bytes"),
                ));
            }
            line.extend_from_slice(&block[..take]);
            let at_end = block.is_empty();
            self.input.consume(take + usize::from(end.is_some()));
            if end.is_some() || at_end {
                self.number += 1;
                return Ok(Some(line));
            }
        }
    }
}

/// Where the text begins: behind a byte order mark, if there is one.
pub(crate) fn text_start(source: &dyn RandomRead, format: Format) -> Result<u64, TabularError> {
    let head = source.read_at(0, 3)?;
    match head.as_ref() {
        [0xEF, 0xBB, 0xBF] => Ok(3),
        [0xFE, 0xFF, ..] | [0xFF, 0xFE, ..] => Err(TabularError::unsupported(
            format,
            "it is UTF-16, and only UTF-8 is read",
        )),
        _ => Ok(0),
    }
}
