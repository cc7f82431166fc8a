//! Opening a text table: names and types of its columns, from a sample.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use super::guess::{self, Guess};
use super::records::{CsvRecords, Lines, text_start};
use super::{Scan, TextTable, json, json_line};
use crate::limits::{COLUMNS, SAMPLE_BYTES, SAMPLE_ROWS};
use crate::model::{Column, Dialect, Notice};
use crate::source::RandomRead;
use crate::value::Value;
use crate::{Format, TabularError, TextOptions};

pub(super) fn open(
    source: Arc<dyn RandomRead>,
    format: Format,
    options: TextOptions,
    whole: bool,
) -> Result<TextTable, TabularError> {
    let start = text_start(source.as_ref(), format)?;
    let mut table = TextTable {
        source,
        start,
        columns: Vec::new(),
        rows: None,
        sampled_rows: 0,
        dialect: None,
        notices: Vec::new(),
        places: HashMap::new(),
    };
    if format == Format::Csv {
        open_csv(&mut table, options)?;
    } else {
        open_json(&mut table, whole)?;
    }
    Ok(table)
}

fn open_csv(table: &mut TextTable, options: TextOptions) -> Result<(), TabularError> {
    let delimiter = match options.delimiter {
        Some(delimiter) if delimiter.is_ascii() && !matches!(delimiter, '"' | '\r' | '\n') => {
            u8::try_from(delimiter).unwrap_or(b',')
        }
        Some(delimiter) => {
            return Err(TabularError::unsupported(
                Format::Csv,
                format!("{delimiter:?} cannot stand between cells"),
            ));
        }
        None => guess::delimiter_of(&table.source, table.start)?,
    };
    let first = CsvRecords::new(Arc::clone(&table.source), table.start, delimiter).next()?;
    let first = first.unwrap_or_default();
    let header = options.header.unwrap_or_else(|| guess::looks_like_names(&first));
    table.dialect = Some(Dialect {
        delimiter: char::from(delimiter),
        header,
    });
    let names: Vec<String> = if header {
        first
            .iter()
            .map(|cell| String::from_utf8_lossy(cell.trim_ascii()).into_owned())
            .collect()
    } else {
        (1..=first.len())
            .map(|number| format!("column_{number}"))
            .collect()
    };
    let (names, repeated) = unique(names);
    if repeated > 0 {
        table.notices.push(Notice::new(
            "duplicate_names",
            format!(
                "{} with a name that came before; their names are numbered.",
                corliss_diagnostics::counted(repeated, "column", "columns")
            ),
        ));
    }
    table.columns = names
        .into_iter()
        .map(|name| column(name, Guess::Null, 0))
        .collect();
    sample_csv(table)
}

/// Names that differ: one that came before gets `#2`, `#3` and so on.
pub(crate) fn unique(names: Vec<String>) -> (Vec<String>, usize) {
    let mut taken: HashSet<String> = names.iter().cloned().collect();
    let mut seen = HashSet::new();
    let mut next: HashMap<String, u64> = HashMap::new();
    let mut repeated = 0;
    let names = names
        .into_iter()
        .map(|name| {
            if seen.insert(name.clone()) {
                return name;
            }
            repeated += 1;
            let number = next.entry(name.clone()).or_insert(1);
            loop {
                *number += 1;
                let numbered = format!("{name}#{number}");
                if taken.insert(numbered.clone()) {
                    return numbered;
                }
            }
        })
        .collect();
    (names, repeated)
}

fn column(name: String, kind: Guess, nulls: u64) -> Column {
    Column {
        name,
        kind: kind.word().to_owned(),
        nullable: nulls > 0,
        nulls: Some(nulls),
    }
}

fn within_sample(scan: &Scan<'_>, start: u64, rows: u64) -> bool {
    rows < SAMPLE_ROWS && scan.position().saturating_sub(start) < SAMPLE_BYTES
}

fn sample_csv(table: &mut TextTable) -> Result<(), TabularError> {
    let mut kinds = vec![(Guess::Null, 0_u64); table.columns.len()];
    let mut scan = table.scan()?;
    let (mut rows, mut ended) = (0, false);
    while within_sample(&scan, table.start, rows) {
        let Some(values) = scan.next()? else {
            ended = true;
            break;
        };
        rows += 1;
        for (index, (kind, nulls)) in kinds.iter_mut().enumerate() {
            let guess = match values.get(index) {
                Some(Value::Text(text)) => Guess::of_text(text),
                _ => Guess::Null,
            };
            *nulls += u64::from(guess == Guess::Null);
            *kind = kind.and(guess, false);
        }
    }
    let notices = scan.notices();
    table.notices.extend(notices);
    table.rows = ended.then_some(rows);
    table.sampled_rows = rows;
    for (column, (kind, nulls)) in table.columns.iter_mut().zip(kinds) {
        kind.word().clone_into(&mut column.kind);
        column.nulls = Some(nulls);
        column.nullable = nulls > 0;
    }
    Ok(())
}

fn open_json(table: &mut TextTable, whole: bool) -> Result<(), TabularError> {
    let mut found: Vec<(String, Guess, u64)> = Vec::new();
    let mut lines = Lines::new(Arc::clone(&table.source), table.start);
    let mut rows = 0;
    let ended = loop {
        if !whole && (rows >= SAMPLE_ROWS || lines.position() - table.start >= SAMPLE_BYTES) {
            break false;
        }
        let Some(line) = lines.next()? else {
            break true;
        };
        rows += 1;
        let members = match json_line(&line, lines.number)? {
            Value::Struct(members) => members,
            bare => vec![(json::BARE.into(), bare)],
        };
        for (name, value) in members {
            let place = *table.places.entry(name.to_string()).or_insert_with(|| {
                found.push((name.to_string(), Guess::Null, 0));
                found.len() - 1
            });
            let guess = value.guess();
            found[place].1 = found[place].1.and(guess, true);
            found[place].2 += u64::from(guess != Guess::Null);
        }
        if found.len() > COLUMNS {
            return Err(TabularError::too_large(
                format!("the number of names by line {}", lines.number),
                format!("{COLUMNS} columns"),
            ));
        }
    };
    table.rows = ended.then_some(rows);
    table.sampled_rows = rows;
    table.columns = found
        .into_iter()
        // A name that a line repeats is counted twice there, hence no plain subtraction.
        .map(|(name, kind, present)| column(name, kind, rows.saturating_sub(present)))
        .collect();
    Ok(())
}
