//! Tables for people, JSON for programs.

use std::io::{IsTerminal, Write};

use serde::Serialize;

use crate::text;

/// A table whose columns are as wide as their widest cell.
pub struct Table {
    headers: Vec<&'static str>,
    rows: Vec<Vec<String>>,
}

impl Table {
    /// An empty table with these columns.
    #[must_use]
    pub fn new(headers: &[&'static str]) -> Self {
        Self {
            headers: headers.to_vec(),
            rows: Vec::new(),
        }
    }

    /// Adds a row; control characters are shown as spaces so that data cannot move the cursor.
    pub fn row(&mut self, cells: impl IntoIterator<Item = String>) {
        let clean = |cell: String| {
            cell.chars()
                .map(|c| if c.is_control() { ' ' } else { c })
                .collect()
        };
        self.rows.push(cells.into_iter().map(clean).collect());
    }

    /// Whether it has no rows.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// The table as text, header first.
    #[must_use]
    pub fn render(&self) -> String {
        let width = |column: usize| {
            let cells = self
                .rows
                .iter()
                .filter_map(|row| row.get(column))
                .map(|cell| text::width(cell));
            cells.chain([self.headers[column].len()]).max().unwrap_or(0)
        };
        let widths: Vec<usize> = (0..self.headers.len()).map(width).collect();
        let mut rendered = line(&widths, self.headers.iter().map(|header| header.to_uppercase()));
        for row in &self.rows {
            rendered.push_str(&line(&widths, row.iter().cloned()));
        }
        rendered
    }

    /// Prints the table, or `empty` where there are no rows.
    pub fn print(&self, empty: &str) {
        if self.is_empty() {
            say(empty);
        } else {
            say(self.render().trim_end());
        }
    }
}

fn line(widths: &[usize], cells: impl Iterator<Item = String>) -> String {
    let padded = cells.zip(widths).map(|(cell, width)| {
        let padding = width.saturating_sub(text::width(&cell));
        format!("{cell}{}", " ".repeat(padding))
    });
    format!("{}\n", padded.collect::<Vec<_>>().join("  ").trim_end())
}

/// Prints a line. A closed pipe (`corliss … | head`) ends the output quietly.
pub fn say(text: &str) {
    let _ = writeln!(std::io::stdout(), "{text}");
}

/// Prints a value as JSON, indented on a terminal.
pub fn say_json(value: &impl Serialize) {
    let text = if std::io::stdout().is_terminal() {
        serde_json::to_string_pretty(value)
    } else {
        serde_json::to_string(value)
    };
    say(&text.unwrap_or_else(|error| format!("{{\"error\":\"{error}\"}}")));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cell_cannot_move_the_cursor() {
        let mut table = Table::new(&["name"]);
        table.row(["a\u{1b}[2Jb".to_owned()]);
        assert_eq!(table.render(), "NAME\na [2Jb\n");
    }

    #[test]
    fn wide_characters_keep_the_columns_straight() {
        let mut table = Table::new(&["name", "n"]);
        table.row(["数字".to_owned(), "1".to_owned()]);
        table.row(["abcde".to_owned(), "2".to_owned()]);
        assert_eq!(table.render(), "NAME   N\n数字   1\nabcde  2\n");
    }
}
