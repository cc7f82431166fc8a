//! `corliss data remotes`, `push`, `pull` and `clone`: the server does the work; this follows it.

use serde::Deserialize;
use serde_json::{Value, json};

use super::log::short_commit;
use super::operations::{self, Counted};
use crate::api::segment;
use crate::args::TransferArgs;
use crate::context::Context;
use crate::error::CliResult;
use crate::output::{self, Table};
use crate::views::Page;
use crate::{program, units};

#[derive(Deserialize)]
struct Remote {
    name: String,
    kind: String,
    place: String,
}

#[derive(Deserialize)]
struct Done {
    progress: Counted,
    result: Report,
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
    let answer = operations::start(&context.api()?, path, wish, what)?;
    context.answer(answer, |done: Done| tell(dataset, &done.result, &done.progress))
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
