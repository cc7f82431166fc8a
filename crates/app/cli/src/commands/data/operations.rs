//! What the server does in the background: starting and following it, `corliss data operations` and `cancel`.

use std::time::{Duration, Instant};

use corliss_diagnostics::ErrorReport;
use serde::Deserialize;
use serde_json::Value;

use crate::api::{Api, segment};
use crate::context::{Context, typed};
use crate::error::{CliError, CliResult, EXIT_FAILED, EXIT_NOT_FOUND};
use crate::output::{self, Table};
use crate::progress::Meter;
use crate::views::Page;
use crate::{interrupt, program, units};

/// Between two questions: a sixteenth of the time that it has taken, so that nobody waits much longer than that.
const PAUSE_MIN: Duration = Duration::from_millis(10);
const PAUSE_MAX: Duration = Duration::from_millis(200);

#[derive(Deserialize)]
struct Operation {
    id: String,
    state: String,
    progress: Counted,
    #[serde(default)]
    error: Option<ErrorReport>,
}

#[derive(Deserialize)]
struct Listed {
    #[serde(flatten)]
    operation: Operation,
    kind: String,
    #[serde(default)]
    dataset: Option<String>,
    #[serde(default)]
    remote: Option<String>,
    #[serde(default)]
    source: Option<String>,
    started_ms: i64,
    #[serde(default)]
    ended_ms: Option<i64>,
}

/// How far an operation is.
#[derive(Debug, Default, Deserialize)]
pub(super) struct Counted {
    #[serde(default)]
    phase: Option<String>,
    commits_total: u64,
    commits: u64,
    pub(super) pieces: u64,
    #[serde(default)]
    pieces_total: Option<u64>,
    pub(super) bytes: u64,
    #[serde(default)]
    bytes_total: Option<u64>,
    files: u64,
    #[serde(default)]
    files_total: Option<u64>,
    packs: u64,
    #[serde(default)]
    packs_total: Option<u64>,
}

/// Starts something and follows it; answers the operation when it is done.
pub(super) fn start(api: &Api, path: &str, wish: &Value, what: &str) -> CliResult<Value> {
    let started: Operation = api.post(path, wish)?;
    let path = format!("/api/v1/data/operations/{}", segment(&started.id));
    interrupt::on_interrupt(format!(
        "the server goes on with it; stop it with {}",
        program::command(&format!("data cancel {}", started.id))
    ));
    let mut meter = Meter::new(what);
    let ended = wait(api, &path, &mut meter, what);
    meter.clear();
    let answer = ended?;
    let operation: Operation = typed(answer.clone())?;
    match (operation.state.as_str(), operation.error) {
        ("done", _) => Ok(answer),
        (_, Some(report)) => {
            let exit_code = exit_of(&report.code);
            Err(CliError::of(report, exit_code))
        }
        (state, None) => Err(CliError::failed(format!("it was {state}"))),
    }
}

/// What ended in the background has no status that would tell.
fn exit_of(code: &str) -> u8 {
    const NOTHING_THERE: [&str; 2] = ["data_remote_has_none", "data_source_empty"];
    match code.ends_with("_not_found") || NOTHING_THERE.contains(&code) {
        true => EXIT_NOT_FOUND,
        false => EXIT_FAILED,
    }
}

/// The same, for its result alone.
pub(super) fn result(api: &Api, path: &str, wish: &Value, what: &str) -> CliResult<Value> {
    let mut answer = start(api, path, wish, what)?;
    Ok(answer.get_mut("result").map(Value::take).unwrap_or_default())
}

/// Until it has ended.
fn wait(api: &Api, path: &str, meter: &mut Meter, what: &str) -> CliResult<Value> {
    let began = Instant::now();
    loop {
        let answer: Value = api.poll(path)?;
        let operation: Operation = typed(answer.clone())?;
        if operation.state != "running" {
            return Ok(answer);
        }
        let counted = &operation.progress;
        let text = format!("{what}{}", counted.beside());
        match counted.things() {
            Some((done, total)) => meter.things(&text, done, total),
            None => meter.bytes(&text, counted.bytes, counted.bytes_total),
        }
        std::thread::sleep((began.elapsed() / 16).clamp(PAUSE_MIN, PAUSE_MAX));
    }
}

impl Counted {
    /// Pieces or packs, where it is known how many there are and bytes are not what counts.
    fn things(&self) -> Option<(u64, u64)> {
        if self.bytes_total.is_some() || self.bytes > 0 {
            return None;
        }
        let packs = self.packs_total.map(|total| (self.packs, total));
        packs.or(self.pieces_total.map(|total| (self.pieces, total)))
    }

    /// What is said beside the bar: where it is, and what is counted that the bar does not show.
    fn beside(&self) -> String {
        let mut parts = Vec::new();
        parts.extend(self.phase.clone());
        if self.commits_total > 0 {
            parts.push(format!("commit {} of {}", self.commits, self.commits_total));
        }
        match self.files_total {
            Some(total) => parts.push(format!("file {} of {total}", self.files)),
            None if self.files > 0 => parts.push(units::plural(self.files, "file")),
            None => {}
        }
        if self.pieces > 0 {
            parts.push(units::plural(self.pieces, "piece"));
        }
        if self.packs > 0 {
            parts.push(units::plural(self.packs, "pack"));
        }
        match parts.is_empty() {
            true => String::new(),
            false => format!(": {}", parts.join(", ")),
        }
    }
}

pub(super) fn list(context: &Context) -> CliResult {
    let answer: Value = context.api()?.get("/api/v1/data/operations")?;
    context.answer(answer, |page: Page<Listed>| {
        let mut table = Table::new(&[
            "id", "what", "dataset", "with", "state", "started", "took", "bytes",
        ]);
        for one in page.items {
            table.row([
                one.operation.id,
                one.kind,
                one.dataset.unwrap_or_else(|| "-".to_owned()),
                one.remote.or(one.source).unwrap_or_else(|| "-".to_owned()),
                one.operation.state,
                units::ago(one.started_ms),
                units::span(Some(one.started_ms), one.ended_ms),
                units::bytes(one.operation.progress.bytes),
            ]);
        }
        table.print("No operations since the server was started.");
    })
}

pub(super) fn cancel(context: &Context, id: &str) -> CliResult {
    let path = format!("/api/v1/data/operations/{}", segment(id));
    let answer: Value = context.api()?.delete_for(&path)?;
    context.answer(answer, |operation: Operation| {
        output::say(&format!("{} is {}", operation.id, operation.state));
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_known_is_said() {
        assert_eq!(Counted::default().beside(), "");
        let import = Counted {
            phase: Some("copying".to_owned()),
            files: 2,
            files_total: Some(5),
            bytes: 10,
            bytes_total: Some(20),
            ..Counted::default()
        };
        assert_eq!(
            (import.beside().as_str(), import.things()),
            (": copying, file 2 of 5", None)
        );
        let push = Counted {
            commits: 1,
            commits_total: 3,
            files: 1,
            pieces: 9,
            bytes: 10,
            ..Counted::default()
        };
        assert_eq!(push.beside(), ": commit 1 of 3, 1 file, 9 pieces");
        let check = Counted {
            phase: Some("reading".to_owned()),
            packs: 3,
            packs_total: Some(4),
            ..Counted::default()
        };
        assert_eq!(
            (check.beside().as_str(), check.things()),
            (": reading, 3 packs", Some((3, 4)))
        );
    }
}
