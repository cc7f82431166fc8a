//! Tables that are text: CSV and JSON lines, read from front to back.

mod compare;
mod guess;
mod json;
mod open;
mod records;

use std::collections::HashMap;
use std::sync::Arc;

use bytes::Bytes;

pub(crate) use self::open::unique;
use self::records::{CsvRecords, Lines};
use crate::limits::{PREVIEW_BYTES, PREVIEW_COLUMNS, PREVIEW_SCAN_BYTES};
use crate::model::{Column, Dialect, Notice, Rows};
use crate::source::RandomRead;
use crate::value::Value;
use crate::{Format, TabularError, TextOptions};

/// An opened text table: what its columns are, and how to read its rows again.
pub(crate) struct TextTable {
    source: Arc<dyn RandomRead>,
    start: u64,
    pub columns: Vec<Column>,
    pub rows: Option<u64>,
    pub sampled_rows: u64,
    pub dialect: Option<Dialect>,
    pub notices: Vec<Notice>,
    /// Column of a JSON member.
    places: HashMap<String, usize>,
}

impl TextTable {
    /// Opens a table. `whole` reads all of a JSON lines file, so that no member is missed whose first
    /// line comes late.
    pub fn open(
        source: Arc<dyn RandomRead>,
        format: Format,
        options: TextOptions,
        whole: bool,
    ) -> Result<Self, TabularError> {
        open::open(source, format, options, whole)
    }

    /// Reads the rows from the first on.
    pub fn scan(&self) -> Result<Scan<'_>, TabularError> {
        let source = Arc::clone(&self.source);
        let input = match self.dialect {
            Some(dialect) => {
                // A delimiter is ASCII: other characters are refused when the table is opened.
                let delimiter = u8::try_from(dialect.delimiter).unwrap_or(b',');
                let mut records = CsvRecords::new(source, self.start, delimiter);
                if dialect.header {
                    records.next()?;
                }
                Input::Csv(Box::new(records))
            }
            None => Input::Json(Lines::new(source, self.start)),
        };
        Ok(Scan {
            table: self,
            input,
            ragged: 0,
            not_utf8: 0,
        })
    }

    /// Rows as text.
    pub fn preview(&self, offset: u64, limit: usize) -> Result<Rows, TabularError> {
        let width = self.columns.len().min(PREVIEW_COLUMNS);
        let mut scan = self.scan()?;
        let mut notices = Vec::new();
        let (mut rows, mut bytes, mut seen, mut more) = (Vec::new(), 0, 0_u64, false);
        let mut reached_end = false;
        loop {
            if scan.position() - self.start > PREVIEW_SCAN_BYTES {
                notices.push(Notice::new(
                    "scan_limit",
                    format!(
                        "A preview reads at most {PREVIEW_SCAN_BYTES} bytes of this file; row {seen} lies behind."
                    ),
                ));
                break;
            }
            let Some(values) = scan.next()? else {
                reached_end = true;
                break;
            };
            if seen >= offset {
                if rows.len() == limit {
                    more = true;
                    break;
                }
                let row: Vec<_> = (0..width)
                    .map(|index| values.get(index).unwrap_or(&Value::Null).cell())
                    .collect();
                bytes += row.iter().map(crate::table::cell_bytes).sum::<usize>();
                if bytes > PREVIEW_BYTES && !rows.is_empty() {
                    notices.push(crate::table::rows_left_out());
                    more = true;
                    break;
                }
                rows.push(row);
            }
            seen += 1;
        }
        notices.extend(
            self.notices
                .iter()
                .filter(|notice| notice.code == "duplicate_names")
                .cloned(),
        );
        notices.extend(scan.notices());
        notices.extend(crate::table::columns_left_out(self.columns.len()));
        Ok(Rows {
            columns: self.columns[..width]
                .iter()
                .map(|column| column.name.clone())
                .collect(),
            columns_total: self.columns.len(),
            offset,
            next_offset: more.then(|| offset + rows.len() as u64),
            rows,
            rows_total: if reached_end { Some(seen) } else { self.rows },
            notices,
        })
    }
}

enum Input {
    Csv(Box<CsvRecords>),
    Json(Lines),
}

/// Reading rows from front to back.
pub(crate) struct Scan<'a> {
    table: &'a TextTable,
    input: Input,
    ragged: u64,
    not_utf8: u64,
}

impl Scan<'_> {
    /// The values of the next row. A row of CSV may have fewer values than there are columns, or more.
    pub fn next(&mut self) -> Result<Option<Vec<Value>>, TabularError> {
        match &mut self.input {
            Input::Csv(records) => {
                let Some(cells) = records.next()? else {
                    return Ok(None);
                };
                self.ragged += u64::from(cells.len() != self.table.columns.len());
                self.not_utf8 += u64::from(cells.iter().any(|cell| !is_utf8(cell)));
                Ok(Some(
                    cells.into_iter().map(|cell| Value::Text(cell.into())).collect(),
                ))
            }
            Input::Json(lines) => {
                let Some(line) = lines.next()? else {
                    return Ok(None);
                };
                let value = json_line(&line, lines.number)?;
                Ok(Some(self.table.spread(value)))
            }
        }
    }

    /// Where in the file the next row begins, or a little behind that.
    pub fn position(&self) -> u64 {
        match &self.input {
            Input::Csv(records) => records.position(),
            Input::Json(lines) => lines.position(),
        }
    }

    /// What was odd so far.
    pub fn notices(&self) -> Vec<Notice> {
        let mut notices = Vec::new();
        let rows = |count| corliss_diagnostics::counted(count, "row", "rows");
        if self.ragged > 0 {
            notices.push(Notice::new(
                "ragged_rows",
                format!(
                    "{} read so far with another number of cells than the {} columns; missing cells are \
                     null, further ones are not shown.",
                    rows(self.ragged),
                    self.table.columns.len()
                ),
            ));
        }
        if self.not_utf8 > 0 {
            notices.push(Notice::new(
                "invalid_utf8",
                format!(
                    "{} read so far with bytes that are not UTF-8; they are shown as \u{FFFD}.",
                    rows(self.not_utf8)
                ),
            ));
        }
        notices
    }
}

impl TextTable {
    /// A JSON value as a row. Of members with the same name the last counts; one that is missing is null.
    fn spread(&self, value: Value) -> Vec<Value> {
        let mut row = vec![Value::Null; self.columns.len()];
        match value {
            Value::Struct(members) => {
                for (name, value) in members {
                    if let Some(place) = self.places.get(name.as_ref()) {
                        row[*place] = value;
                    }
                }
            }
            bare => {
                if let Some(place) = self.places.get(json::BARE) {
                    row[*place] = bare;
                }
            }
        }
        row
    }
}

fn is_utf8(cell: &Bytes) -> bool {
    std::str::from_utf8(cell).is_ok()
}

fn json_line(line: &[u8], number: u64) -> Result<Value, TabularError> {
    serde_json::from_slice(line)
        .map_err(|error| TabularError::invalid(Format::JsonLines, format!("line {number}: {error}")))
}
