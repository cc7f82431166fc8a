//! The levels and values of one leaf, a batch of rows at a time.

use parquet::column::reader::{ColumnReader, ColumnReaderImpl};
use parquet::data_type::DataType;
use parquet::errors::Result as ParquetResult;

use super::kinds::{Meaning, int96};
use crate::TabularError;
use crate::value::Value;

/// A leaf of one row group, with the batch that was read last.
pub(super) struct Leaf {
    reader: ColumnReader,
    meaning: Meaning,
    greatest: i16,
    definitions: Vec<i16>,
    repetitions: Vec<i16>,
    values: std::vec::IntoIter<Value>,
    /// Levels of the batch, and the next of them.
    levels: usize,
    at: usize,
}

impl Leaf {
    pub fn new(reader: ColumnReader, meaning: Meaning, greatest: i16) -> Self {
        Self {
            reader,
            meaning,
            greatest,
            definitions: Vec::new(),
            repetitions: Vec::new(),
            values: Vec::new().into_iter(),
            levels: 0,
            at: 0,
        }
    }

    /// Reads so many rows, or fewer at the end. The number that was read comes back.
    pub fn read(&mut self, rows: usize) -> ParquetResult<usize> {
        self.definitions.clear();
        self.repetitions.clear();
        self.at = 0;
        let meaning = self.meaning;
        let levels = (&mut self.definitions, &mut self.repetitions);
        let (read, count, values) = match &mut self.reader {
            ColumnReader::BoolColumnReader(reader) => {
                batch(reader, rows, levels, |value| Value::Bool(*value))
            }
            ColumnReader::Int32ColumnReader(reader) => {
                batch(reader, rows, levels, |value| meaning.whole(i64::from(*value)))
            }
            ColumnReader::Int64ColumnReader(reader) => {
                batch(reader, rows, levels, |value| meaning.whole(*value))
            }
            ColumnReader::Int96ColumnReader(reader) => batch(reader, rows, levels, int96),
            ColumnReader::FloatColumnReader(reader) => batch(reader, rows, levels, |value| Value::Float {
                value: f64::from(*value),
                single: true,
            }),
            ColumnReader::DoubleColumnReader(reader) => batch(reader, rows, levels, |value| Value::Float {
                value: *value,
                single: false,
            }),
            ColumnReader::ByteArrayColumnReader(reader) => {
                batch(reader, rows, levels, |value| meaning.bytes(value.clone().into()))
            }
            ColumnReader::FixedLenByteArrayColumnReader(reader) => batch(reader, rows, levels, |value| {
                meaning.bytes(parquet::data_type::ByteArray::from(value.clone()).into())
            }),
        }?;
        self.levels = count;
        self.values = values.into_iter();
        Ok(read)
    }

    /// Passes over so many rows.
    pub fn skip(&mut self, rows: usize) -> ParquetResult<usize> {
        match &mut self.reader {
            ColumnReader::BoolColumnReader(reader) => reader.skip_records(rows),
            ColumnReader::Int32ColumnReader(reader) => reader.skip_records(rows),
            ColumnReader::Int64ColumnReader(reader) => reader.skip_records(rows),
            ColumnReader::Int96ColumnReader(reader) => reader.skip_records(rows),
            ColumnReader::FloatColumnReader(reader) => reader.skip_records(rows),
            ColumnReader::DoubleColumnReader(reader) => reader.skip_records(rows),
            ColumnReader::ByteArrayColumnReader(reader) => reader.skip_records(rows),
            ColumnReader::FixedLenByteArrayColumnReader(reader) => reader.skip_records(rows),
        }
    }

    /// The levels of what comes next in the batch, definition and repetition.
    pub fn peek(&self) -> Option<(i16, i16)> {
        if self.at >= self.levels {
            return None;
        }
        // A leaf that is always there has no levels: its only one stands for all.
        let definition = self.definitions.get(self.at).copied().unwrap_or(self.greatest);
        let repetition = self.repetitions.get(self.at).copied().unwrap_or(0);
        Some((definition, repetition))
    }

    /// Takes what comes next, null where it is not defined down to the leaf.
    pub fn take(&mut self) -> Result<Value, TabularError> {
        let (definition, _) = self.peek().ok_or_else(disagree)?;
        self.at += 1;
        if definition < self.greatest {
            return Ok(Value::Null);
        }
        self.values.next().ok_or_else(disagree)
    }
}

/// Columns of the same rows do not have the same number of entries.
pub(super) fn disagree() -> TabularError {
    TabularError::parquet("the parts of a nested column do not agree on their entries")
}

type Levels<'a> = (&'a mut Vec<i16>, &'a mut Vec<i16>);

fn batch<T: DataType>(
    reader: &mut ColumnReaderImpl<T>,
    rows: usize,
    (definitions, repetitions): Levels<'_>,
    convert: impl Fn(&T::T) -> Value,
) -> ParquetResult<(usize, usize, Vec<Value>)> {
    let mut stored = Vec::new();
    let (read, values, levels) =
        reader.read_records(rows, Some(definitions), Some(repetitions), &mut stored)?;
    let converted = stored.iter().take(values).map(convert).collect();
    Ok((read, levels, converted))
}
