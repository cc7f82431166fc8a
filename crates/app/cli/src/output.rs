//! Tables, sizes and durations for people; JSON for programs.

use std::io::{IsTerminal, Write};

use serde::Serialize;

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
                .map(|cell| cell.chars().count());
            cells.chain([self.headers[column].len()]).max().unwrap_or(0)
        };
        let widths: Vec<usize> = (0..self.headers.len()).map(width).collect();
        let mut text = line(&widths, self.headers.iter().map(|header| header.to_uppercase()));
        for row in &self.rows {
            text.push_str(&line(&widths, row.iter().cloned()));
        }
        text
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
        let padding = width.saturating_sub(cell.chars().count());
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

/// `1.5 GiB`
#[must_use]
pub fn bytes(count: u64) -> String {
    const UNITS: [&str; 5] = ["KiB", "MiB", "GiB", "TiB", "PiB"];
    if count < 1024 {
        return format!("{count} B");
    }
    let mut scaled = count / 1024;
    let mut tenths = count % 1024 * 10 / 1024;
    let mut unit = 0;
    while scaled >= 1024 && unit + 1 < UNITS.len() {
        tenths = scaled % 1024 * 10 / 1024;
        scaled /= 1024;
        unit += 1;
    }
    format!("{scaled}.{tenths} {}", UNITS[unit])
}

/// `350 ms`, `4.2 s`, `3 m 05 s`, `2 h 10 m`, `3 d 4 h`
#[must_use]
pub fn duration(ms: u64) -> String {
    let seconds = ms / 1000;
    match seconds {
        0 => format!("{ms} ms"),
        1..60 => format!("{seconds}.{} s", ms % 1000 / 100),
        60..3600 => format!("{} m {:02} s", seconds / 60, seconds % 60),
        3600..86_400 => format!("{} h {:02} m", seconds / 3600, seconds % 3600 / 60),
        _ => format!("{} d {} h", seconds / 86_400, seconds % 86_400 / 3600),
    }
}

fn now_ms() -> i64 {
    let now = std::time::SystemTime::now()
        .duration_since(std::time::UNIX_EPOCH)
        .unwrap_or_default();
    i64::try_from(now.as_millis()).unwrap_or(i64::MAX)
}

/// `4.2 s ago`
#[must_use]
pub fn ago(then_ms: i64) -> String {
    format!(
        "{} ago",
        duration(u64::try_from(now_ms().saturating_sub(then_ms)).unwrap_or(0))
    )
}

/// `in 3 d 4 h`, or `expired`
#[must_use]
pub fn until(then_ms: i64) -> String {
    match u64::try_from(then_ms.saturating_sub(now_ms())) {
        Ok(left) if left > 0 => format!("in {}", duration(left)),
        _ => "expired".to_owned(),
    }
}

/// How long something took, or has taken until now; `-` before it starts.
#[must_use]
pub fn span(started_ms: Option<i64>, ended_ms: Option<i64>) -> String {
    match (started_ms, ended_ms) {
        (None, _) => "-".to_owned(),
        (Some(start), Some(end)) => duration(u64::try_from(end.saturating_sub(start)).unwrap_or(0)),
        (Some(start), None) => ago(start).trim_end_matches(" ago").to_owned(),
    }
}

/// `0.5 cpu, 2.0 GiB, 1 accelerator`
#[must_use]
pub fn resources(resources: &corliss_types::Resources) -> String {
    let mut parts = vec![format!(
        "{}.{} cpu",
        resources.cpu_milli / 1000,
        resources.cpu_milli % 1000 / 100
    )];
    if resources.memory_bytes > 0 {
        parts.push(bytes(resources.memory_bytes));
    }
    if resources.accelerators > 0 {
        parts.push(format!("{} accelerator(s)", resources.accelerators));
    }
    parts.join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_and_durations_read_well() {
        assert_eq!(bytes(512), "512 B");
        assert_eq!(bytes(1536), "1.5 KiB");
        assert_eq!(bytes(3 << 30), "3.0 GiB");
        assert_eq!(duration(350), "350 ms");
        assert_eq!(duration(4200), "4.2 s");
        assert_eq!(duration(185_000), "3 m 05 s");
    }

    #[test]
    fn a_cell_cannot_move_the_cursor() {
        let mut table = Table::new(&["name"]);
        table.row(["a\u{1b}[2Jb".to_owned()]);
        assert_eq!(table.render(), "NAME\na [2Jb\n");
    }
}
