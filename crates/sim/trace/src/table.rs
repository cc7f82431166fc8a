//! CSV with a line of names. Columns may be in any order, and others are passed over.

use std::rc::Rc;
use std::str::FromStr;

use crate::SimError;

/// Of a value that an error repeats.
const SHOWN: usize = 40;

/// The lines of a file, with the columns that are wanted of it.
#[derive(Debug)]
pub struct Table<'a, const COLUMNS: usize> {
    names: [&'static str; COLUMNS],
    places: [usize; COLUMNS],
    all: Rc<Vec<&'a str>>,
    lines: Vec<(u64, &'a str)>,
}

/// One line.
#[derive(Debug)]
pub struct Row<'a, const COLUMNS: usize> {
    /// Its number in the file, from 1.
    pub line: u64,
    names: [&'static str; COLUMNS],
    cells: [&'a str; COLUMNS],
    all: Rc<Vec<&'a str>>,
    row: Vec<&'a str>,
}

impl<'a, const COLUMNS: usize> Table<'a, COLUMNS> {
    /// Finds these columns in the file's first line.
    ///
    /// # Errors
    /// If one is not there, or no line follows.
    pub fn read(text: &'a str, names: [&'static str; COLUMNS]) -> Result<Self, SimError> {
        let text = text.trim_start_matches('\u{feff}');
        let mut lines = (1_u64..)
            .zip(text.lines())
            .filter(|(_, line)| !line.trim().is_empty());
        let form = || format!("begin the file with {}", names.join(","));
        let Some((number, header)) = lines.next() else {
            return Err(SimError::line(1, "the file is empty", form()));
        };
        let known: Vec<&str> = cells(header).collect();
        let mut places = [0; COLUMNS];
        for (place, name) in places.iter_mut().zip(names) {
            *place = known
                .iter()
                .position(|known| *known == name)
                .ok_or_else(|| SimError::value(number, name, format!("there is no column {name}"), form()))?;
        }
        let lines: Vec<_> = lines.collect();
        if lines.is_empty() {
            return Err(SimError::line(
                number,
                "no line follows the names of the columns",
                "add one",
            ));
        }
        Ok(Self {
            names,
            places,
            all: Rc::new(known),
            lines,
        })
    }

    /// Its lines.
    pub fn rows(&self) -> impl Iterator<Item = Result<Row<'a, COLUMNS>, SimError>> + '_ {
        self.lines.iter().map(|(line, text)| {
            let row: Vec<&str> = cells(text).collect();
            let mut found = [""; COLUMNS];
            for ((cell, place), name) in found.iter_mut().zip(self.places).zip(self.names) {
                *cell = row.get(place).copied().ok_or_else(|| {
                    let problem = format!("there is nothing in column {name}: the line ends before it");
                    SimError::value(*line, name, problem, "complete the line, or remove it")
                })?;
            }
            Ok(Row {
                line: *line,
                names: self.names,
                cells: found,
                all: self.all.clone(),
                row,
            })
        })
    }
}

impl<'a, const COLUMNS: usize> Row<'a, COLUMNS> {
    /// A cell as it is written.
    #[must_use]
    pub fn text(&self, column: usize) -> &'a str {
        self.cells[column]
    }

    /// A whole number.
    ///
    /// # Errors
    /// If it is none.
    pub fn number<T: FromStr>(&self, column: usize) -> Result<T, SimError> {
        self.parsed(self.names[column], self.cells[column])
    }

    /// A cell of a column that may be left out; none where it is, or is empty.
    #[must_use]
    pub fn optional(&self, name: &str) -> Option<&'a str> {
        let place = self.all.iter().position(|known| *known == name)?;
        self.row.get(place).copied().filter(|text| !text.is_empty())
    }

    /// A whole number in a column that may be left out.
    ///
    /// # Errors
    /// If it is there and is none.
    pub fn optional_number<T: FromStr>(&self, name: &'static str) -> Result<Option<T>, SimError> {
        self.optional(name)
            .map(|text| self.parsed(name, text))
            .transpose()
    }

    fn parsed<T: FromStr>(&self, name: &'static str, text: &str) -> Result<T, SimError> {
        text.parse().map_err(|_| {
            let problem = format!(
                "{name} is '{}', which is no whole number in range",
                shortened(text)
            );
            SimError::value(self.line, name, problem, "give a whole number, not negative")
        })
    }

    /// That a cell is wrong.
    #[must_use]
    pub fn wrong(&self, column: usize, problem: impl Into<String>, fix: impl Into<String>) -> SimError {
        SimError::value(self.line, self.names[column], problem, fix)
    }
}

fn cells(line: &str) -> impl Iterator<Item = &str> {
    line.split(',').map(|cell| cell.trim().trim_matches('"'))
}

fn shortened(text: &str) -> String {
    text.chars().take(SHOWN).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sums(text: &str) -> Result<Vec<u32>, SimError> {
        let table = Table::read(text, ["a", "b"])?;
        let rows = table.rows().map(|row| {
            let row = row?;
            Ok(row.number::<u32>(0)? + row.number::<u32>(1)?)
        });
        rows.collect()
    }

    #[test]
    fn columns_are_found_by_their_names() {
        assert_eq!(sums("\u{feff}b,x,a\n1,?,2\n\n\"3\",?, 4\n"), Ok(vec![3, 7]));
    }

    #[test]
    fn what_is_wrong_is_told_with_its_line() {
        for (text, told) in [
            ("", "line 1: the file is empty"),
            ("a,c\n1,2", "line 1: there is no column b"),
            ("a,b\n", "line 1: no line follows the names of the columns"),
            (
                "a,b\n1,2\n3",
                "line 3: there is nothing in column b: the line ends before it",
            ),
            (
                "a,b\n1,-2",
                "line 2: b is '-2', which is no whole number in range",
            ),
            (
                "a,b\n1,99999999999",
                "line 2: b is '99999999999', which is no whole number in range",
            ),
        ] {
            assert_eq!(sums(text).unwrap_err().to_string(), told);
        }
    }
}
