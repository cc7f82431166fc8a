//! The live screen of a run: its steps in order, how long each takes, and the last log lines.

use std::collections::VecDeque;
use std::io::Write;

use super::watch::describe;
use crate::output;
use crate::views::{RunDetail, StepView};

const LOG_LINES: usize = 6;
const MAX_STEP_LINES: usize = 30;
const FALLBACK_COLUMNS: usize = 80;

/// Draws over what it drew before.
pub struct Screen {
    address: String,
    logs: VecDeque<String>,
    drawn_lines: usize,
    frame: usize,
}

impl Screen {
    /// A screen that has drawn nothing; the address is shown below the steps.
    pub fn new(address: String) -> Self {
        Self {
            address,
            logs: VecDeque::new(),
            drawn_lines: 0,
            frame: 0,
        }
    }

    /// Adds a log line; only the last few are shown.
    pub fn log(&mut self, step: &str, line: &str) {
        let clean: String = line
            .chars()
            .map(|c| if c.is_control() { ' ' } else { c })
            .collect();
        self.logs.push_back(format!("{step} │ {clean}"));
        while self.logs.len() > LOG_LINES {
            self.logs.pop_front();
        }
    }

    /// Draws the run as it is now; the last drawing keeps no log lines.
    pub fn draw(&mut self, run: &RunDetail, ended: bool) {
        self.frame += 1;
        let columns = columns();
        let mut text = String::new();
        if self.drawn_lines > 0 {
            text.push_str(&format!("\x1b[{}A", self.drawn_lines));
        }
        let lines = self.lines(run, ended);
        for line in &lines {
            // Cut to the width: a wrapped line would break the count that the next drawing goes up by.
            text.push_str(&format!("\x1b[2K{}\n", fit(line, columns)));
        }
        for _ in lines.len()..self.drawn_lines {
            text.push_str("\x1b[2K\n");
        }
        if lines.len() < self.drawn_lines {
            text.push_str(&format!("\x1b[{}A", self.drawn_lines - lines.len()));
        }
        self.drawn_lines = lines.len();
        let mut out = std::io::stdout().lock();
        let _ = out.write_all(text.as_bytes()).and_then(|()| out.flush());
    }

    fn lines(&self, run: &RunDetail, ended: bool) -> Vec<String> {
        let summary = &run.summary;
        let took = output::span(summary.started_ms.or(Some(summary.created_ms)), summary.ended_ms);
        let mut lines = vec![
            format!("{}  {}  {took}", summary.project, summary.state),
            format!(
                "{}  {}/{}",
                bar(summary.steps_done, summary.steps_total),
                summary.steps_done,
                summary.steps_total
            ),
        ];
        let width = run
            .steps
            .iter()
            .map(|step| step.name.chars().count())
            .max()
            .unwrap_or(0);
        let hidden = run.steps.len().saturating_sub(MAX_STEP_LINES);
        // A long run shows the steps that move; those that ended or wait are counted.
        let shown = run
            .steps
            .iter()
            .filter(|step| hidden == 0 || is_moving(step))
            .take(MAX_STEP_LINES);
        lines.extend(shown.map(|step| self.step_line(step, width)));
        for model in &run.models {
            lines.push(format!(
                "  {} model {} {}",
                mark(&model.state, 0),
                model.label(),
                model.state_and_reason()
            ));
        }
        for endpoint in &run.endpoints {
            lines.push(format!(
                "  {} endpoint {} {}",
                mark(&endpoint.state, 0),
                endpoint.name,
                endpoint.state
            ));
        }
        if !ended {
            lines.extend(self.logs.iter().map(|line| format!("    {line}")));
        }
        lines.push(self.address.clone());
        lines
    }

    fn step_line(&self, step: &StepView, width: usize) -> String {
        let workers = if step.workers > 1 {
            format!("  {} workers", step.workers)
        } else {
            String::new()
        };
        let took = output::span(step.started_ms, step.ended_ms);
        let padding = " ".repeat(width.saturating_sub(step.name.chars().count()));
        format!(
            "  {} {}{padding}  {took:>9}{workers}  {}",
            mark(&step.state, self.frame),
            step.name,
            describe(step)
        )
    }
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

fn fit(line: &str, columns: usize) -> String {
    if line.chars().count() <= columns {
        return line.to_owned();
    }
    line.chars()
        .take(columns.saturating_sub(1))
        .chain(['…'])
        .collect()
}

fn columns() -> usize {
    let size = console::Term::stdout().size_checked();
    size.map_or(FALLBACK_COLUMNS, |(_, columns)| usize::from(columns).max(20))
}
