//! The live screen of a run: its steps in order, how long each takes, and the last log lines.

use std::collections::VecDeque;
use std::io::Write;

use super::watch::describe;
use crate::views::{RunDetail, StepView};
use crate::{interrupt, text, units};

const LOG_LINES: usize = 6;
/// Characters kept of a log line: more than any terminal is wide.
const LOG_LINE_CHARS: usize = 500;
const MAX_STEP_LINES: usize = 30;
/// Columns that a step's mark, time, workers and state need beside its name, and the fewest that a name gets.
const BESIDE_NAME: usize = 40;
const SHORTEST_NAME: usize = 8;
/// Rows and columns where the terminal does not say.
const FALLBACK_SIZE: (usize, usize) = (24, 80);
const HIDE_CURSOR: &str = "\x1b[?25l";
const CLEAR_BELOW: &str = "\x1b[J";
const SHOW_CURSOR: &str = "\x1b[?25h";

/// Draws over what it drew before, with the cursor hidden; dropping it shows the cursor again.
pub struct Screen {
    /// Where the console shows the run; below the steps.
    pub address: String,
    /// What hinders the view now; above the address.
    pub notice: Option<String>,
    logs: VecDeque<String>,
    drawn: Vec<String>,
    size: (usize, usize),
    looks: usize,
}

impl Screen {
    /// A screen that has drawn nothing.
    pub fn new() -> Self {
        Self {
            address: String::new(),
            notice: None,
            logs: VecDeque::new(),
            drawn: Vec::new(),
            size: FALLBACK_SIZE,
            looks: 0,
        }
    }

    /// Adds a log line; only the last few are shown.
    pub fn log(&mut self, step: &str, line: &str) {
        self.logs.push_back(format!(
            "{step} │ {}",
            text::tame(&text::colourless(line), LOG_LINE_CHARS)
        ));
        while self.logs.len() > LOG_LINES {
            self.logs.pop_front();
        }
    }

    /// Draws the run as it is now, if that is not what is there.
    pub fn draw(&mut self, run: &RunDetail) {
        self.looks += 1;
        let size = size();
        let lines = self.fitting_lines(run, size);
        if lines != self.drawn || size != self.size {
            self.draw_over(lines, size);
        }
    }

    /// Draws the run's end: every step and whole addresses, which may scroll, because nothing is drawn over it.
    pub fn finish(mut self, run: &RunDetail) {
        let size = size();
        self.notice = None;
        // A line of it may wrap into a row that drawing over would not clear.
        let clear = format!("{}{CLEAR_BELOW}", self.to_the_top(size));
        write(&clear);
        self.drawn.clear();
        self.draw_over(self.last_lines(run, size.1), size);
    }

    /// Moves the cursor to the first row of the last drawing.
    fn to_the_top(&self, size: (usize, usize)) -> String {
        match self.height_at(size) {
            0 => String::new(),
            height => format!("\x1b[{height}A"),
        }
    }

    fn draw_over(&mut self, lines: Vec<String>, size: (usize, usize)) {
        let mut drawing = format!("{HIDE_CURSOR}{}", self.to_the_top(size));
        for line in &lines {
            drawing.push_str(&format!("\x1b[2K{line}\n"));
        }
        // What is left of a taller drawing.
        drawing.push_str(CLEAR_BELOW);
        interrupt::drawing(true);
        write(&drawing);
        self.drawn = lines;
        self.size = size;
    }

    /// The rows that the last drawing takes on a terminal of this size, which wraps what has become too wide.
    fn height_at(&self, (rows, columns): (usize, usize)) -> usize {
        let rows_of = |line: &String| text::width(line).div_ceil(columns).max(1);
        let height: usize = self.drawn.iter().map(rows_of).sum();
        height.min(rows.saturating_sub(1))
    }

    /// The lines, cut to the terminal: a wrapped or scrolled line would break the count that the next drawing
    /// goes up by.
    fn fitting_lines(&self, run: &RunDetail, (rows, columns): (usize, usize)) -> Vec<String> {
        let lines = self.lines(run, rows.saturating_sub(1).max(1), columns);
        lines.iter().map(|line| fitted(line, columns)).collect()
    }

    /// Only a step's line is cut, so that the steps stay a table.
    fn last_lines(&self, run: &RunDetail, columns: usize) -> Vec<String> {
        let steps = self.step_lines(run, usize::MAX, columns);
        let mut lines = head(run);
        lines.extend(steps.iter().map(|line| fitted(line, columns)));
        lines.extend(results(run));
        lines.push(self.address.clone());
        lines.iter().map(|line| text::tame(line, usize::MAX)).collect()
    }

    /// At most `room` lines: log lines go first, then steps that do not move, then what is left from below.
    fn lines(&self, run: &RunDetail, room: usize, columns: usize) -> Vec<String> {
        let mut lines = head(run);
        let mut tail: Vec<String> = results(run);
        tail.extend(self.notice.clone());
        tail.push(self.address.clone());
        let for_steps = room.saturating_sub(lines.len() + tail.len()).min(MAX_STEP_LINES);
        lines.extend(self.step_lines(run, for_steps, columns));
        let for_logs = room.saturating_sub(lines.len() + tail.len());
        let shown = self.logs.iter().skip(self.logs.len().saturating_sub(for_logs));
        lines.extend(shown.map(|line| format!("    {line}")));
        lines.extend(tail);
        lines.truncate(room);
        lines
    }

    /// A line for each step; where there are more than lines, those that move come before the others, and the
    /// last line counts what is left out.
    fn step_lines(&self, run: &RunDetail, room: usize, columns: usize) -> Vec<String> {
        let names = run.steps.iter().map(|step| text::width(&step.name));
        let most = columns.saturating_sub(BESIDE_NAME).max(SHORTEST_NAME);
        let width = names.max().unwrap_or(0).min(most);
        if run.steps.len() <= room {
            return run.steps.iter().map(|step| self.step_line(step, width)).collect();
        }
        let places = |moving: bool| {
            let steps = run.steps.iter().enumerate();
            steps.filter_map(move |(at, step)| (is_moving(step) == moving).then_some(at))
        };
        let mut shown: Vec<usize> = places(true)
            .chain(places(false))
            .take(room.saturating_sub(1))
            .collect();
        shown.sort_unstable();
        let mut lines: Vec<String> = shown
            .into_iter()
            .map(|at| self.step_line(&run.steps[at], width))
            .collect();
        if room > 0 {
            let more = run.steps.len() - lines.len();
            lines.push(format!("  … {more} more"));
        }
        lines
    }

    fn step_line(&self, step: &StepView, width: usize) -> String {
        let workers = if step.workers > 1 {
            format!("  {} workers", step.workers)
        } else {
            String::new()
        };
        let took = units::span(step.started_ms, step.ended_ms);
        let name = text::fit(&step.name, width);
        let padding = " ".repeat(width.saturating_sub(text::width(&name)));
        format!(
            "  {} {name}{padding}  {took:>9}{workers}  {}",
            mark(&step.state, self.looks),
            describe(step)
        )
    }
}

impl Drop for Screen {
    fn drop(&mut self) {
        if !self.drawn.is_empty() {
            write(SHOW_CURSOR);
            interrupt::drawing(false);
        }
    }
}

fn fitted(line: &str, columns: usize) -> String {
    text::fit(&text::tame(line, LOG_LINE_CHARS), columns)
}

fn write(text: &str) {
    let mut out = std::io::stdout().lock();
    let _ = out.write_all(text.as_bytes()).and_then(|()| out.flush());
}

/// What run this is and how far it is.
fn head(run: &RunDetail) -> Vec<String> {
    let summary = &run.summary;
    let took = units::span(summary.started_ms.or(Some(summary.created_ms)), summary.ended_ms);
    vec![
        format!("{}  {}  {took}", summary.project, summary.state),
        format!(
            "{}  {}/{}",
            bar(summary.steps_done, summary.steps_total),
            summary.steps_done,
            summary.steps_total
        ),
    ]
}

/// What the run makes.
fn results(run: &RunDetail) -> Vec<String> {
    let models = run.models.iter().map(|model| {
        let mark = mark(&model.state, 0);
        format!("  {mark} model {} {}", model.label(), model.state_and_reason())
    });
    let endpoints = run.endpoints.iter().map(|endpoint| {
        let mark = mark(&endpoint.state, 0);
        format!(
            "  {mark} endpoint {} {}",
            endpoint.name,
            endpoint.state_and_reason()
        )
    });
    models.chain(endpoints).collect()
}

fn is_moving(step: &StepView) -> bool {
    matches!(
        step.state.as_str(),
        "running" | "publishing" | "failed" | "queued"
    )
}

fn bar(done: u32, total: u32) -> String {
    const CELLS: u32 = 24;
    let filled = (done.min(total) * CELLS).checked_div(total).unwrap_or(CELLS);
    format!(
        "{}{}",
        "━".repeat(filled as usize),
        "─".repeat((CELLS - filled) as usize)
    )
}

/// One character that says a state without colour.
fn mark(state: &str, frame: usize) -> char {
    const TURN: [char; 4] = ['◐', '◓', '◑', '◒'];
    match state {
        "succeeded" | "registered" | "ready" | "deployed" => '✓',
        "reused" => '=',
        "failed" => '✗',
        "cancelled" | "skipped" | "gated" => '-',
        "running" | "publishing" | "deploying" => TURN[frame / 2 % TURN.len()],
        _ => '○',
    }
}

/// Rows and columns.
fn size() -> (usize, usize) {
    let size = console::Term::stdout().size_checked();
    size.map_or(FALLBACK_SIZE, |(rows, columns)| {
        (usize::from(rows).max(2), usize::from(columns).max(1))
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn run(steps: usize, moving: usize) -> RunDetail {
        let steps: Vec<_> = (0..steps)
            .map(|at| {
                let state = if at < moving { "running" } else { "waiting" };
                json!({ "name": format!("步{at}"), "state": state })
            })
            .collect();
        let run = json!({
            "id": "run_1", "project": "p", "state": "running", "created_ms": 0, "steps": steps,
            "models": [{ "name": "m", "state": "pending" }],
        });
        serde_json::from_value(run).unwrap()
    }

    fn screen() -> Screen {
        let mut screen = Screen::new();
        screen.address = "http://here/runs/run_1".to_owned();
        for at in 0..20 {
            screen.log("步0", &format!("行 {at} 🎉"));
        }
        screen
    }

    #[test]
    fn a_small_terminal_loses_log_lines_then_steps_that_do_not_move() {
        let screen = screen();
        let all = screen.fitting_lines(&run(5, 2), (40, 80));
        assert_eq!(all.len(), 2 + 5 + LOG_LINES + 2);
        let fewer_logs = screen.fitting_lines(&run(5, 2), (12, 80));
        assert_eq!(fewer_logs.len(), 11);
        assert!(fewer_logs.iter().any(|line| line.contains("行 19")));
        assert!(!fewer_logs.iter().any(|line| line.contains("行 17")));
        let fewer_steps = screen.fitting_lines(&run(50, 2), (9, 80));
        assert!(fewer_steps.iter().any(|line| line.contains("步1")));
        assert!(fewer_steps.iter().any(|line| line.contains("… 47 more")));
        assert!(!fewer_steps.iter().any(|line| line.contains("行")));
    }

    #[test]
    fn the_last_drawing_has_every_step_and_the_whole_address() {
        let lines = screen().last_lines(&run(50, 2), 20);
        assert_eq!(lines.len(), 2 + 50 + 2);
        assert_eq!(lines.last().map(String::as_str), Some("http://here/runs/run_1"));
        assert!(!lines.iter().any(|line| line.contains("行")));
    }

    #[test]
    fn a_long_name_leaves_the_states_where_they_are() {
        let mut run = run(3, 1);
        run.steps[1].name = "x".repeat(100);
        let lines = screen().fitting_lines(&run, (40, 80));
        assert!(lines[2].ends_with("running"), "{}", lines[2]);
        assert!(
            lines[3].contains("x…") && lines[3].ends_with("waiting"),
            "{}",
            lines[3]
        );
    }

    #[test]
    fn what_hinders_the_view_is_on_it() {
        let mut screen = screen();
        screen.notice = Some("trying again".to_owned());
        let lines = screen.fitting_lines(&run(50, 2), (12, 80));
        assert_eq!(lines[lines.len() - 2], "trying again");
    }

    #[test]
    fn a_drawing_never_leaves_the_terminal() {
        let screen = screen();
        for rows in 2..40 {
            for columns in 1..60 {
                let lines = screen.fitting_lines(&run(50, 20), (rows, columns));
                assert!(lines.len() < rows);
                assert!(lines.iter().all(|line| text::width(line) <= columns));
            }
        }
    }
}
