//! `corliss data remotes`, `push`, `pull` and `clone`: the server does the work; this follows it.

use std::time::Duration;

use corliss_diagnostics::ErrorReport;
use indicatif::ProgressBar;
use serde::Deserialize;
use serde_json::{Value, json};

use super::log::short_commit;
use crate::api::{Api, segment};
use crate::args::TransferArgs;
use crate::context::{Context, typed};
use crate::error::{CliError, CliResult, EXIT_FAILED};
use crate::output::{self, Table};
use crate::views::Page;
use crate::{interrupt, program, progress, units};

/// Between two looks at how far it is.
const PAUSE: Duration = Duration::from_millis(200);

#[derive(Deserialize)]
struct Remote {
    name: String,
    kind: String,
    place: String,
}

#[derive(Deserialize)]
struct Operation {
    id: String,
    state: String,
    progress: Counted,
    #[serde(default)]
    result: Option<Report>,
    #[serde(default)]
    error: Option<ErrorReport>,
}

#[derive(Deserialize)]
struct Listed {
    #[serde(flatten)]
    operation: Operation,
    kind: String,
    dataset: String,
    remote: String,
    started_ms: i64,
}

#[derive(Deserialize)]
struct Counted {
    commits_total: u64,
    commits: u64,
    pieces: u64,
    bytes: u64,
    files: u64,
}

#[derive(Deserialize)]
struct Report {
    commits: u64,
    refs: Vec<RefReport>,
}

#[derive(Deserialize)]
struct RefReport {
    kind: String,
    name: String,
    outcome: String,
    new: String,
    #[serde(default)]
    kept_as: Option<String>,
}

pub(super) fn remotes(context: &Context) -> CliResult {
    let answer: Value = context.api()?.get("/api/v1/data/remotes")?;
    context.answer(answer, |page: Page<Remote>| {
        let mut table = Table::new(&["remote", "kind", "place"]);
        for remote in page.items {
            table.row([remote.name, remote.kind, remote.place]);
        }
        table.print("No remotes yet: add a section [remotes.NAME] to config.toml in the server's home.");
    })
}

pub(super) fn push(context: &Context, args: &TransferArgs) -> CliResult {
    let path = format!("/api/v1/data/datasets/{}/push", segment(&args.dataset));
    let what = format!("pushing {} to {}", args.dataset, args.remote);
    follow(context, &path, &wish(args), &args.dataset, &what)
}

pub(super) fn pull(context: &Context, args: &TransferArgs) -> CliResult {
    let path = format!("/api/v1/data/datasets/{}/pull", segment(&args.dataset));
    let what = format!("pulling {} from {}", args.dataset, args.remote);
    follow(context, &path, &wish(args), &args.dataset, &what)
}

pub(super) fn clone(context: &Context, remote: &str, dataset: &str, name: Option<&str>) -> CliResult {
    let wish = json!({ "remote": remote, "dataset": dataset, "name": name });
    let what = format!("cloning {dataset} from {remote}");
    follow(
        context,
        "/api/v1/data/clones",
        &wish,
        name.unwrap_or(dataset),
        &what,
    )
}

/// All branches and tags if none is named.
fn wish(args: &TransferArgs) -> Value {
    let is_all = args.branch.is_empty() && args.tag.is_empty();
    json!({
        "remote": args.remote,
        "remote_dataset": args.remote_dataset,
        "branches": (!is_all).then_some(&args.branch),
        "tags": (!is_all).then_some(&args.tag),
        "force": args.force,
    })
}

/// `dataset` is what it is called here.
fn follow(context: &Context, path: &str, wish: &Value, dataset: &str, what: &str) -> CliResult {
    let api = context.api()?;
    let started: Operation = api.post(path, wish)?;
    let path = format!("/api/v1/data/operations/{}", segment(&started.id));
    interrupt::on_interrupt(format!(
        "the server goes on with it; stop it with {}",
        program::command(&format!("data cancel {}", started.id))
    ));
    let bar = progress::spinner(what);
    let ended = wait(&api, &path, &bar, what);
    bar.finish_and_clear();
    let answer = ended?;
    let operation: Operation = typed(answer.clone())?;
    match (operation.state.as_str(), operation.error) {
        ("done", _) => context.answer(answer, |_: Value| {
            if let Some(report) = operation.result {
                tell(dataset, &report, &operation.progress);
            }
        }),
        (_, Some(report)) => Err(CliError::of(report, EXIT_FAILED)),
        (state, None) => Err(CliError::failed(format!("it was {state}"))),
    }
}

/// Until it has ended.
fn wait(api: &Api, path: &str, bar: &ProgressBar, what: &str) -> CliResult<Value> {
    loop {
        let answer: Value = api.poll(path)?;
        let operation: Operation = typed(answer.clone())?;
        if operation.state != "running" {
            return Ok(answer);
        }
        let counted = &operation.progress;
        bar.set_message(format!(
            "{what}: commit {} of {}, {}, {}, {}",
            counted.commits,
            counted.commits_total,
            units::plural(counted.files, "file"),
            units::plural(counted.pieces, "piece"),
            units::bytes(counted.bytes)
        ));
        std::thread::sleep(PAUSE);
    }
}

pub(super) fn transfers(context: &Context) -> CliResult {
    let answer: Value = context.api()?.get("/api/v1/data/operations")?;
    context.answer(answer, |page: Page<Listed>| {
        let mut table = Table::new(&[
            "id",
            "what",
            "dataset",
            "remote",
            "state",
            "started",
            "transferred",
        ]);
        for one in page.items {
            table.row([
                one.operation.id,
                one.kind,
                one.dataset,
                one.remote,
                one.operation.state,
                units::ago(one.started_ms),
                units::bytes(one.operation.progress.bytes),
            ]);
        }
        table.print("No transfers since the server was started.");
    })
}

pub(super) fn cancel(context: &Context, id: &str) -> CliResult {
    let path = format!("/api/v1/data/operations/{}", segment(id));
    let answer: Value = context.api()?.delete_for(&path)?;
    context.answer(answer, |operation: Operation| {
        output::say(&format!("{} is {}", operation.id, operation.state));
    })
}

fn tell(dataset: &str, report: &Report, counted: &Counted) {
    for one in &report.refs {
        let outcome = match one.outcome.as_str() {
            "created" => "was made",
            "moved" => "was moved forward",
            "forced" => "was moved by force",
            "up_to_date" => "was there already,",
            "ahead" => "has more than was sent; it was sent",
            "diverged" => "has commits that were not sent, and was left alone; it was sent",
            _ => "is another one there, and was left alone; it was sent",
        };
        let mut line = format!(
            "{} {} {outcome} at {}",
            one.kind,
            one.name,
            short_commit(&one.new)
        );
        if let Some(kept_as) = &one.kept_as {
            line = format!(
                "{} {} has commits of its own; theirs is {kept_as}, to be merged with `{}`",
                one.kind,
                one.name,
                program::command(&format!("data merge {dataset} {kept_as} --into {}", one.name))
            );
        }
        output::say(&line);
    }
    output::say(&format!(
        "{}, {}, {} transferred",
        units::plural(report.commits, "commit"),
        units::plural(counted.pieces, "piece"),
        units::bytes(counted.bytes)
    ));
}
