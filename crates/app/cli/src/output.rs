//! Tables for people, JSON for programs.

use std::io::{IsTerminal, Write};

use serde::Serialize;

use crate::{program, text};

/// Between two columns of a table.
const GAP: &str = "  ";
/// A cell with spaces that is wider is a sentence, and stays as wide at least.
const SENTENCE: usize = 16;

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

    /// The table as text, header first, as wide as it is.
    #[must_use]
    pub fn render(&self) -> String {
        let all: Vec<usize> = (0..self.headers.len()).collect();
        let widths: Vec<usize> = all.iter().map(|column| self.width(*column)).collect();
        self.lines(&all, &widths)
    }

    /// The table in so many columns of a terminal. One that is wider leaves out what is empty in every row, breaks
    /// sentences into lines, and at last goes on below itself, each part beginning with the first column: nothing is
    /// cut off.
    fn render_within(&self, terminal: usize) -> String {
        let whole = self.render();
        if whole.lines().all(|line| text::width(line) <= terminal) {
            return whole;
        }
        let columns = (0..self.headers.len()).filter(|column| *column == 0 || self.has_text(*column));
        let columns: Vec<usize> = columns.collect();
        let widths = self.narrowed(&columns, terminal);
        let parts = parts(&columns, &widths, terminal);
        let parts = parts.iter().map(|part| {
            let (columns, widths): (Vec<usize>, Vec<usize>) = part.iter().copied().unzip();
            self.lines(&columns, &widths)
        });
        parts.collect::<Vec<_>>().join("\n")
    }

    fn cells(&self, column: usize) -> impl Iterator<Item = &str> {
        let cells = self.rows.iter().filter_map(move |row| row.get(column));
        cells.map(String::as_str)
    }

    fn width(&self, column: usize) -> usize {
        let cells = self.cells(column).map(text::width);
        cells.chain([self.headers[column].len()]).max().unwrap_or(0)
    }

    fn has_text(&self, column: usize) -> bool {
        self.cells(column).any(|cell| !cell.is_empty())
    }

    /// What a column needs at least: names and numbers stay whole, sentences may be broken into lines.
    fn least(&self, column: usize) -> usize {
        let broken = |cell: &str| match text::width(cell) {
            width if width > SENTENCE && cell.contains(' ') => SENTENCE,
            width => width,
        };
        let cells = self.cells(column).map(broken);
        cells.chain([self.headers[column].len()]).max().unwrap_or(0)
    }

    /// The widths of these columns, the widest made narrower as far as it can be until they fit.
    fn narrowed(&self, columns: &[usize], terminal: usize) -> Vec<usize> {
        let mut widths: Vec<usize> = columns.iter().map(|column| self.width(*column)).collect();
        let least: Vec<usize> = columns.iter().map(|column| self.least(*column)).collect();
        while taken(&widths) > terminal {
            let can_shrink = (0..widths.len()).filter(|at| widths[*at] > least[*at]);
            let Some(widest) = can_shrink.max_by_key(|at| widths[*at]) else {
                break;
            };
            let over = taken(&widths) - terminal;
            widths[widest] = widths[widest].saturating_sub(over.min(8)).max(least[widest]);
        }
        widths
    }

    fn lines(&self, columns: &[usize], widths: &[usize]) -> String {
        let headers = columns.iter().map(|column| self.headers[*column].to_uppercase());
        let mut rendered = line(widths, headers);
        for row in &self.rows {
            let cells = columns.iter().zip(widths);
            let cells: Vec<Vec<String>> = cells
                .map(|(column, width)| text::broken(row.get(*column).map_or("", String::as_str), *width))
                .collect();
            let height = cells.iter().map(Vec::len).max().unwrap_or(0);
            for at in 0..height {
                let cells = cells
                    .iter()
                    .map(|lines| lines.get(at).cloned().unwrap_or_default());
                rendered.push_str(&line(widths, cells));
            }
        }
        rendered
    }

    /// Prints the table, or `empty` where there are no rows. A program that reads it gets a row a line, whatever its
    /// terminal.
    pub fn print(&self, empty: &str) {
        if self.is_empty() {
            return say(empty);
        }
        let terminal = Some(console::Term::stdout()).filter(console::Term::is_term);
        let rendered = match terminal.and_then(|terminal| terminal.size_checked()) {
            Some((_, columns)) => self.render_within(usize::from(columns)),
            None => self.render(),
        };
        say(rendered.trim_end());
    }
}

/// The columns of a terminal that these take, with what is between them.
fn taken(widths: &[usize]) -> usize {
    widths.iter().sum::<usize>() + GAP.len() * widths.len().saturating_sub(1)
}

/// The columns with their widths, in parts that fit each; the first column stands in all.
fn parts(columns: &[usize], widths: &[usize], terminal: usize) -> Vec<Vec<(usize, usize)>> {
    let mut columns = columns.iter().copied().zip(widths.iter().copied());
    let Some(first) = columns.next() else {
        return Vec::new();
    };
    let (mut parts, mut room) = (vec![vec![first]], terminal.saturating_sub(first.1));
    for column in columns {
        let needed = GAP.len() + column.1;
        match parts.last_mut().filter(|part| needed <= room || part.len() == 1) {
            Some(part) => part.push(column),
            None => {
                parts.push(vec![first, column]);
                room = terminal.saturating_sub(first.1);
            }
        }
        room = room.saturating_sub(needed);
    }
    parts
}

fn line(widths: &[usize], cells: impl Iterator<Item = String>) -> String {
    let padded = cells.zip(widths).map(|(cell, width)| {
        let padding = width.saturating_sub(text::width(&cell));
        format!("{cell}{}", " ".repeat(padding))
    });
    format!("{}\n", padded.collect::<Vec<_>>().join(GAP).trim_end())
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
    fn a_narrow_terminal_cuts_nothing_off() {
        let mut table = Table::new(&["name", "job", "reason"]);
        let reason = "the engine was killed by signal 9; the next one starts in 2 s";
        table.row(["digits".to_owned(), String::new(), reason.to_owned()]);
        assert_eq!(table.render_within(200), table.render());
        // What is empty in every row goes, and the sentence goes on below.
        assert_eq!(
            table.render_within(40),
            "NAME    REASON\ndigits  the engine was killed by signal\n        9; the next one starts in 2 s\n"
        );
    }

    #[test]
    fn a_table_that_is_too_wide_goes_on_below_itself() {
        let mut table = Table::new(&["id", "p50", "p90", "p99"]);
        table.row(["least_tokens", "12.5 ms", "1,234 ms", "2,345 ms"].map(str::to_owned));
        assert_eq!(
            table.render_within(32),
            "ID            P50      P90\nleast_tokens  12.5 ms  1,234 ms\n\nID            P99\nleast_tokens  2,345 ms\n"
        );
        // No terminal is too narrow for an end.
        assert_eq!(table.render_within(1).matches("least_tokens").count(), 3);
    }

    #[test]
    fn wide_characters_keep_the_columns_straight() {
        let mut table = Table::new(&["name", "n"]);
        table.row(["数字".to_owned(), "1".to_owned()]);
        table.row(["abcde".to_owned(), "2".to_owned()]);
        assert_eq!(table.render(), "NAME   N\n数字   1\nabcde  2\n");
    }
}
