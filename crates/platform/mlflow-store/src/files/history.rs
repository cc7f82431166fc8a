//! The points of a metric: a line each, `time value step`, in the order in which they were logged, some of them twice.

use std::fs;
use std::io::{BufRead, BufReader};
use std::path::Path;

use crate::error::SourceError;
use crate::model::{ModelMetric, Point};

/// Bytes of a line.
const LINE_BYTES: usize = 4096;

/// A point without the name of its metric.
#[derive(Debug, Clone, Copy)]
pub(super) struct Value {
    logged_ms: i64,
    step: i64,
    value: f64,
}

impl Value {
    pub fn named(self, key: &str) -> Point {
        Point {
            key: key.to_owned(),
            logged_ms: self.logged_ms,
            step: self.step,
            value: self.value,
        }
    }

    /// What makes two points the same, and their order: not-a-number stands behind all numbers.
    fn order(&self, other: &Self) -> std::cmp::Ordering {
        let value = |one: &Self| if one.value == 0.0 { 0.0 } else { one.value };
        (self.logged_ms, self.step, self.value.is_nan())
            .cmp(&(other.logged_ms, other.step, other.value.is_nan()))
            .then_with(|| {
                value(self)
                    .partial_cmp(&value(other))
                    .unwrap_or(std::cmp::Ordering::Equal)
            })
    }
}

/// All points of a file, each once, in order of time, step and value.
pub(super) fn read(path: &Path) -> Result<Vec<Value>, SourceError> {
    let mut values = Vec::new();
    each_line(path, |number, fields| {
        values.push(value_of(path, number, fields)?);
        Ok(())
    })?;
    values.sort_by(Value::order);
    values.dedup_by(|one, other| one.order(other).is_eq());
    Ok(values)
}

/// The points of a logged model's metric: `time value step run`, and the dataset's name and digest if there is one.
pub(super) fn read_of_model(path: &Path, key: &str) -> Result<Vec<ModelMetric>, SourceError> {
    let mut found = Vec::new();
    each_line(path, |number, fields| {
        let run_id = fields
            .get(3)
            .ok_or_else(|| wrong(path, number, "has no run behind its step"))?;
        found.push(ModelMetric {
            run_id: (*run_id).to_owned(),
            point: value_of(path, number, fields)?.named(key),
            dataset: fields
                .get(4)
                .zip(fields.get(5))
                .map(|(name, digest)| ((*name).to_owned(), (*digest).to_owned())),
        });
        Ok(())
    })?;
    Ok(found)
}

fn each_line(
    path: &Path,
    mut each: impl FnMut(usize, &[&str]) -> Result<(), SourceError>,
) -> Result<(), SourceError> {
    let file = fs::File::open(path).map_err(|error| SourceError::read(path, error))?;
    let mut reader = BufReader::with_capacity(256 * 1024, file);
    let mut line = Vec::new();
    for number in 1.. {
        line.clear();
        let read = read_line(&mut reader, &mut line).map_err(|error| SourceError::read(path, error))?;
        if read == 0 {
            break;
        }
        if line.len() > LINE_BYTES {
            return Err(wrong(path, number, "is too long"));
        }
        let text = std::str::from_utf8(&line).map_err(|_| wrong(path, number, "is not text in UTF-8"))?;
        let fields: Vec<&str> = text.split_ascii_whitespace().collect();
        if !fields.is_empty() {
            each(number, &fields)?;
        }
    }
    Ok(())
}

/// A line, or the beginning of one that is too long; answers how many bytes it took.
fn read_line(reader: &mut impl BufRead, line: &mut Vec<u8>) -> std::io::Result<usize> {
    use std::io::Read;
    reader.take(LINE_BYTES as u64 + 1).read_until(b'\n', line)
}

fn value_of(path: &Path, number: usize, fields: &[&str]) -> Result<Value, SourceError> {
    let field = |at: usize, what: &str| {
        fields
            .get(at)
            .copied()
            .ok_or_else(|| wrong(path, number, &format!("has no {what}")))
    };
    let whole = |text: &str, what: &str| {
        text.parse::<i64>().map_err(|_| {
            wrong(
                path,
                number,
                &format!("has '{text}' as its {what}, which is no whole number"),
            )
        })
    };
    let value = field(1, "value")?;
    Ok(Value {
        logged_ms: whole(field(0, "time")?, "time")?,
        value: value.parse().map_err(|_| {
            wrong(
                path,
                number,
                &format!("has '{value}' as its value, which is no number"),
            )
        })?,
        // The first versions of MLflow knew no steps.
        step: fields.get(2).map_or(Ok(0), |text| whole(text, "step"))?,
    })
}

fn wrong(path: &Path, number: usize, problem: &str) -> SourceError {
    SourceError::damaged(path, format!("line {number} {problem}"))
}
