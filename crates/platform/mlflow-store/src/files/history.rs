//! The points of a metric: a line each, `time value step`, in the order in which they were logged, some of them twice.

use std::fs;
use std::io::{BufRead, BufReader};
use std::path::Path;

use crate::error::SourceError;
use crate::model::{ModelMetric, Point};

/// Bytes of a line.
const LINE_BYTES: usize = 4096;

/// What a file of points holds.
pub(super) struct History<T> {
    pub points: Vec<T>,
    /// Whether its last line has no end, and was left out: half a number looks like a whole one.
    pub unfinished: bool,
}

/// All points of a metric, each once, in their order.
pub(super) fn read(path: &Path, key: &str) -> Result<History<Point>, SourceError> {
    let mut points = Vec::new();
    let unfinished = each_line(path, |number, fields| {
        points.push(point_of(path, number, fields, String::new())?);
        Ok(())
    })?;
    points.sort_by(Point::order);
    points.dedup_by(|one, other| one.order(other).is_eq());
    points.iter_mut().for_each(|point| key.clone_into(&mut point.key));
    Ok(History { points, unfinished })
}

/// The points of a logged model's metric: `time value step run`, and the dataset's name and digest if there is one.
pub(super) fn read_of_model(path: &Path, key: &str) -> Result<History<ModelMetric>, SourceError> {
    let mut points = Vec::new();
    let unfinished = each_line(path, |number, fields| {
        let run_id = fields
            .get(3)
            .ok_or_else(|| wrong(path, number, "has no run behind its step"))?;
        points.push(ModelMetric {
            run_id: (*run_id).to_owned(),
            point: point_of(path, number, fields, key.to_owned())?,
            dataset: fields
                .get(4)
                .zip(fields.get(5))
                .map(|(name, digest)| ((*name).to_owned(), (*digest).to_owned())),
        });
        Ok(())
    })?;
    Ok(History { points, unfinished })
}

/// Reads line by line; answers whether the last one has no end, and was not read.
fn each_line(
    path: &Path,
    mut each: impl FnMut(usize, &[&str]) -> Result<(), SourceError>,
) -> Result<bool, SourceError> {
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
        if !line.ends_with(b"\n") {
            return Ok(true);
        }
        let text = std::str::from_utf8(&line).map_err(|_| wrong(path, number, "is not text in UTF-8"))?;
        let fields: Vec<&str> = text.split_ascii_whitespace().collect();
        if !fields.is_empty() {
            each(number, &fields)?;
        }
    }
    Ok(false)
}

/// A line, or the beginning of one that is too long; answers how many bytes it took.
fn read_line(reader: &mut impl BufRead, line: &mut Vec<u8>) -> std::io::Result<usize> {
    use std::io::Read;
    reader.take(LINE_BYTES as u64 + 1).read_until(b'\n', line)
}

fn point_of(path: &Path, number: usize, fields: &[&str], key: String) -> Result<Point, SourceError> {
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
    Ok(Point {
        key,
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
