//! `corliss data import` and `sources`: what lies elsewhere as files of a dataset.
//!
//! An address is fetched by this command and never by the server, which would let any user make it reach what only
//! it can reach. A source is the administrator's choice, so the server reads it.

use corliss_data::EntryPath;
use serde::Deserialize;
use serde_json::{Value, json};

use super::operations;
use crate::api::segment;
use crate::args::ImportArgs;
use crate::context::Context;
use crate::data::web;
use crate::error::{CliError, CliResult};
use crate::output::{self, Table};
use crate::units;
use crate::views::Page;

#[derive(Deserialize)]
struct Source {
    name: String,
    kind: String,
    place: String,
}

#[derive(Deserialize)]
struct Imported {
    version: String,
    branch: Option<String>,
    created: bool,
    files: u64,
    size_bytes: u64,
    #[serde(default)]
    copied: u64,
    #[serde(default)]
    copied_bytes: u64,
    #[serde(default)]
    linked: u64,
    #[serde(default)]
    linked_bytes: u64,
    #[serde(default)]
    unchanged: u64,
}

pub(super) fn sources(context: &Context) -> CliResult {
    let answer: Value = context.api()?.get("/api/v1/data/sources")?;
    context.answer(answer, |page: Page<Source>| {
        let mut table = Table::new(&["source", "kind", "place"]);
        for source in page.items {
            table.row([source.name, source.kind, source.place]);
        }
        table.print("No sources yet: add a section [sources.NAME] to config.toml in the server's home.");
    })
}

pub(super) fn import(context: &Context, args: &ImportArgs) -> CliResult {
    match args.source.split_once("://") {
        Some(("http" | "https", _)) if args.link => Err(CliError::input(
            "an address cannot be linked to: what it answers may change, and nobody would notice",
        )
        .hint("import it without --link; or link to a source")),
        Some(("http" | "https", _)) => from_web(context, args),
        Some((scheme, _)) => Err(
            CliError::input(format!("{scheme}:// is not fetched by its address"))
                .hint("ask the administrator for a section [sources.NAME] with it, then import NAME"),
        ),
        None => from_source(context, args),
    }
}

fn from_source(context: &Context, args: &ImportArgs) -> CliResult {
    let (source, prefix) = args.source.split_once('/').unwrap_or((&args.source, ""));
    let wish = json!({
        "source": source, "prefix": prefix, "to": folder(args)?, "branch": args.branch,
        "message": args.message.clone().unwrap_or_default(), "link": args.link,
    });
    let path = format!("/api/v1/data/datasets/{}/import", segment(&args.dataset));
    let verb = if args.link { "linking" } else { "importing" };
    let what = format!("{verb} {}", args.source);
    let answer = operations::result(&context.api()?, &path, &wish, &what)?;
    context.answer(answer, |done: Imported| {
        tell(args, &done);
        let (objects, bytes, what) = match args.link {
            true => (done.linked, done.linked_bytes, "linked, not copied"),
            false => (done.copied, done.copied_bytes, "copied"),
        };
        output::say(&format!(
            "{}, {} {what}; {} unchanged",
            units::plural(objects, "object"),
            units::bytes(bytes),
            done.unchanged
        ));
    })
}

fn from_web(context: &Context, args: &ImportArgs) -> CliResult {
    let address = web::Address::parse(&args.source)?;
    let path = match folder(args)? {
        Some(folder) => format!("{folder}/{}", address.file_name()),
        None => address.file_name().to_owned(),
    };
    let path: EntryPath = path.parse().map_err(|error| CliError::diagnosed(&error))?;
    let api = context.api()?;
    let blob = web::fetch(&api, &address)?;
    let message = args
        .message
        .clone()
        .unwrap_or_else(|| format!("Import {}", address.shown()));
    let answer: Value = api.post_list(
        &format!("/api/v1/data/datasets/{}/commits", segment(&args.dataset)),
        &json!({
            "edits": [{ "path": path, "blob": blob.id }],
            "branch": args.branch,
            "message": message,
        }),
    )?;
    context.answer(answer, |done: Imported| {
        tell(args, &done);
        output::say(&format!("{path}, {} downloaded", units::bytes(blob.size_bytes)));
    })
}

/// The folder without a slash at its end, which people write.
fn folder(args: &ImportArgs) -> CliResult<Option<EntryPath>> {
    let to = args.to.as_deref().map(|to| to.trim_end_matches('/'));
    let to = to.map(str::parse).transpose();
    to.map_err(|error| CliError::diagnosed(&error))
}

fn tell(args: &ImportArgs, done: &Imported) {
    let name = match (&args.branch, &done.branch) {
        (Some(_), Some(branch)) => format!("{}@{branch}", args.dataset),
        _ => args.dataset.clone(),
    };
    let what = if done.created { "is now" } else { "was already" };
    output::say(&format!("{name} {what} {}", done.version));
    output::say(&format!(
        "{}, {}",
        units::plural(done.files, "file"),
        units::bytes(done.size_bytes)
    ));
}
