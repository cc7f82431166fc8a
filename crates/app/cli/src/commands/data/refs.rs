//! `corliss data branches`, `branch`, `tags` and `tag`.

use serde_json::{Value, json};

use super::log::short_commit;
use crate::api::{Api, segment};
use crate::args::BranchArgs;
use crate::commands::versions::resolve;
use crate::context::Context;
use crate::error::CliResult;
use crate::output::{self, Table};
use crate::program;
use crate::units;
use crate::views::{Page, RefView};

pub(super) fn branches(context: &Context, dataset: &str) -> CliResult {
    list(context, dataset, "branches", "It has no branches.")
}

pub(super) fn tags(context: &Context, dataset: &str) -> CliResult {
    let how = program::command(&format!("data tag {dataset} TAG"));
    list(
        context,
        dataset,
        "tags",
        &format!("No tags yet. Make one with: {how}"),
    )
}

fn list(context: &Context, dataset: &str, kind: &str, empty: &str) -> CliResult {
    let path = format!("/api/v1/data/datasets/{}/{kind}?limit=1000", segment(dataset));
    let answer: Value = context.api()?.get(&path)?;
    context.answer(answer, |page: Page<RefView>| {
        let mut table = Table::new(&["name", "commit", "moved", ""]);
        for one in page.items {
            table.row([
                one.name,
                short_commit(&one.commit),
                units::ago(one.updated_ms),
                if one.protected {
                    "protected".to_owned()
                } else {
                    String::new()
                },
            ]);
        }
        table.print(empty);
    })
}

pub(super) fn branch(context: &Context, args: &BranchArgs) -> CliResult {
    let api = context.api()?;
    let all = format!("/api/v1/data/datasets/{}/branches", segment(&args.dataset));
    let one = format!("{all}/{}", segment(&args.name));
    if args.delete {
        return delete(context, &api, &one, "branch", &args.name);
    }
    let answer: Value = if let Some(to) = &args.move_to {
        let to = within_dataset(&api, &args.dataset, Some(to))?;
        api.patch(&one, &json!({ "to": to }))?
    } else if args.protect || args.unprotect {
        api.patch(&one, &json!({ "protected": args.protect }))?
    } else {
        let at = within_dataset(&api, &args.dataset, args.at.as_deref())?;
        api.post(&all, &json!({ "name": args.name, "at": at }))?
    };
    let verb = if args.move_to.is_some() {
        "is now at"
    } else if args.protect {
        "is protected at"
    } else if args.unprotect {
        "is not protected any more, at"
    } else {
        "was made at"
    };
    context.answer(answer, |one: RefView| {
        output::say(&format!(
            "branch {} {verb} {}",
            one.name,
            short_commit(&one.commit)
        ));
    })
}

pub(super) fn tag(
    context: &Context,
    dataset: &str,
    name: &str,
    at: Option<&str>,
    is_deleted: bool,
) -> CliResult {
    let api = context.api()?;
    let all = format!("/api/v1/data/datasets/{}/tags", segment(dataset));
    if is_deleted {
        let one = format!("{all}/{}", segment(name));
        return delete(context, &api, &one, "tag", name);
    }
    let at = within_dataset(&api, dataset, at)?;
    let answer: Value = api.post(&all, &json!({ "name": name, "at": at }))?;
    context.answer(answer, |one: RefView| {
        output::say(&format!(
            "tag {} was made at {}",
            one.name,
            short_commit(&one.commit)
        ));
    })
}

/// Also `NAME~2` and `NAME@main~2`, as everywhere else a version is named, where the dataset is plain.
fn within_dataset(api: &Api, dataset: &str, at: Option<&str>) -> CliResult<Option<String>> {
    let rest = at.and_then(|at| at.strip_prefix(dataset));
    match at.zip(rest) {
        Some((at, rest)) if rest.starts_with(['@', '~']) => {
            let resolved = resolve(api, at)?;
            Ok(resolved.commit.or(Some(resolved.version)))
        }
        _ => Ok(at.map(str::to_owned)),
    }
}

/// Says where it was, so that it can be made again.
fn delete(context: &Context, api: &Api, path: &str, kind: &str, name: &str) -> CliResult {
    let answer: Value = api.delete_for(path)?;
    context.answer(answer, |gone: RefView| {
        output::say(&format!("{kind} {name} was deleted; it was at {}", gone.commit));
    })
}
