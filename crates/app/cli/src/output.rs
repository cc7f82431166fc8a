//! Tables for people, JSON for programs.

use std::io::{IsTerminal, Write};

use serde::Serialize;

use crate::{program, text};

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
        let clean = cells.into_iter().map(|cell| text::tame(&cell, usize::MAX));
        self.rows.push(clean.collect());
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

/// Prints a line, with nothing in it that commands a terminal. A closed pipe (`corliss … | head`) ends the
/// output quietly.
pub fn say(text: &str) {
    let _ = writeln!(std::io::stdout(), "{}", text::harmless(text));
}

/// Prints a line to standard error, as harmless as [`say`].
pub fn complain(text: &str) {
    let _ = writeln!(std::io::stderr(), "{}", text::harmless(text));
}

/// Prints a JSON document to standard error.
pub fn complain_json(value: &serde_json::Value) {
    let _ = writeln!(std::io::stderr(), "{value}");
}

/// Whether this is a terminal that can draw over what it showed. A dumb one, and one that does not say what
/// it is, gets plain lines.
#[must_use]
pub fn can_draw(stream: &impl IsTerminal) -> bool {
    stream.is_terminal() && is_able(std::env::var("TERM").ok().as_deref())
}

fn is_able(kind: Option<&str>) -> bool {
    !matches!(kind, None | Some("" | "dumb"))
}

/// What stands below a list that was cut: how to see more of it.
#[must_use]
pub fn more(list: &str, limit: u32, max: u32) -> String {
    if limit >= max {
        return "There are more: the console shows them all.".to_owned();
    }
    let larger = limit.saturating_mul(5).min(max);
    format!(
        "There are more: {}",
        program::command(&format!("{list} --limit {larger}"))
    )
}

/// Prints a value as JSON, indented on a terminal.
pub fn say_json(value: &impl Serialize) {
    let text = if std::io::stdout().is_terminal() {
        serde_json::to_string_pretty(value)
    } else {
        serde_json::to_string(value)
    };
    let text = text.unwrap_or_else(|error| format!("{{\"error\":\"{error}\"}}"));
    let _ = writeln!(std::io::stdout(), "{text}");
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
    fn a_list_that_was_cut_says_how_to_see_more() {
        assert_eq!(
            more("runs list", 20, 500),
            "There are more: corliss runs list --limit 100"
        );
        assert!(more("runs list", 200, 500).ends_with("--limit 500"));
        assert!(more("runs list", 500, 500).ends_with("the console shows them all."));
    }

    #[test]
    fn a_dumb_terminal_is_not_drawn_on() {
        assert!(is_able(Some("xterm")));
        assert!(!is_able(Some("dumb")));
        assert!(!is_able(Some("")));
        assert!(!is_able(None));
    }

    #[test]
    fn wide_characters_keep_the_columns_straight() {
        let mut table = Table::new(&["name", "n"]);
        table.row(["数字".to_owned(), "1".to_owned()]);
        table.row(["abcde".to_owned(), "2".to_owned()]);
        assert_eq!(table.render(), "NAME   N\n数字   1\nabcde  2\n");
    }
}
