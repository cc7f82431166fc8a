//! `corliss data du`, `retain`, `gc` and `check`.

use serde::Deserialize;
use serde_json::{Value, json};

use super::operations;
use crate::api::segment;
use crate::confirm::confirm;
use crate::context::{Context, typed};
use crate::error::{CliError, CliResult};
use crate::{output, program, units};

#[derive(Deserialize)]
struct Usage {
    versions: u64,
    versions_bytes: u64,
    unique_bytes: u64,
    stored_bytes: u64,
    packs: u64,
    pieces: u64,
    #[serde(default)]
    linked: Vec<Linked>,
    #[serde(default)]
    cache: Option<Cache>,
}

#[derive(Deserialize)]
struct Linked {
    source: String,
    objects: u64,
    bytes: u64,
}

#[derive(Deserialize)]
struct Cache {
    hits: u64,
    misses: u64,
    used_bytes: u64,
    limit_bytes: u64,
}

pub(super) fn du(context: &Context) -> CliResult {
    let answer: Value = context.api()?.get("/api/v1/data/storage")?;
    context.answer(answer, |usage: Usage| {
        output::say(&format!(
            "{} with {} of files, each version counted whole",
            units::plural(usage.versions, "version"),
            units::bytes(usage.versions_bytes)
        ));
        output::say(&format!(
            "{} of distinct content, with artifacts of tracking, in {}",
            units::bytes(usage.unique_bytes),
            units::plural(usage.pieces, "piece")
        ));
        output::say(&format!(
            "{} stored, compressed and encrypted, in {}",
            units::bytes(usage.stored_bytes),
            units::plural(usage.packs, "pack")
        ));
        for linked in usage.linked {
            output::say(&format!(
                "linked: {} in {}, {}, not stored here",
                units::bytes(linked.bytes),
                linked.source,
                units::plural(linked.objects, "object")
            ));
        }
        if let Some(cache) = usage.cache {
            output::say(&format!(
                "{} of {} of it here as well: {}, {}",
                units::bytes(cache.used_bytes),
                units::bytes(cache.limit_bytes),
                units::plural(cache.hits, "hit"),
                units::plural_of(cache.misses, "miss", "misses")
            ));
        }
    })
}

pub(super) fn retain(context: &Context, dataset: &str, days: Option<u64>) -> CliResult {
    let path = format!("/api/v1/data/datasets/{}", segment(dataset));
    let answer: Value = context.api()?.patch(&path, &json!({ "retention_days": days }))?;
    context.answer(answer, |_: Value| match days {
        Some(days) => output::say(&format!(
            "files of {dataset} are kept for {}; `{}` shows what that removes",
            units::plural(days, "day"),
            program::command("data gc --dry-run")
        )),
        None => output::say(&format!("files of {dataset} are kept forever")),
    })
}

#[derive(Deserialize)]
struct RemoteCollected {
    pieces_condemned: u64,
    bytes_condemned: u64,
    #[serde(default)]
    removable_ms: Option<i64>,
    packs_removed: u64,
    bytes_freed: u64,
    taken_back: bool,
    missing: Vec<String>,
    skipped: Vec<String>,
}

pub(super) fn gc_remote(
    context: &Context,
    remote: &str,
    grace_hours: u64,
    dry_run: bool,
    yes: bool,
) -> CliResult {
    let api = context.api()?;
    if !dry_run && !yes {
        confirm(&format!(
            "Remove from {remote} what no branch or tag there leads to?"
        ))?;
    }
    let wish = json!({
        "grace_seconds": grace_hours.saturating_mul(3600), "dry_run": dry_run, "remote": remote,
    });
    let answer = operations::result(&api, "/api/v1/data/collect", &wish, "collecting")?;
    context.answer(answer, |collected: RemoteCollected| {
        if collected.taken_back {
            output::say("what was condemned is in use again, so it stays");
        }
        if collected.packs_removed > 0 {
            output::say(&format!(
                "{} removed, {} freed",
                units::plural(collected.packs_removed, "pack"),
                units::bytes(collected.bytes_freed)
            ));
        }
        output::say(&format!(
            "{} {}, {}",
            if dry_run { "would condemn" } else { "condemned" },
            units::plural(collected.pieces_condemned, "piece"),
            units::bytes(collected.bytes_condemned)
        ));
        if let Some(at) = collected.removable_ms {
            let when = units::until(at);
            let when = if when == "expired" { "now" } else { when.as_str() };
            output::say(&format!(
                "what is condemned is removed if this is run again {when}"
            ));
        }
        for reason in collected.skipped {
            output::say(&reason);
        }
        if !collected.missing.is_empty() {
            let missing = units::plural(collected.missing.len() as u64, "piece");
            output::say(&format!(
                "{missing} that names lead to cannot be read there: push them again"
            ));
        }
    })
}

#[derive(Deserialize)]
struct Collected {
    commits_removed: u64,
    versions_removed: u64,
    versions_expired: u64,
    pieces_removed: u64,
    bytes_removed: u64,
    bytes_freed: u64,
    pieces_kept: u64,
    bytes_kept: u64,
    #[serde(default)]
    missing: Vec<String>,
    #[serde(default)]
    skipped: Vec<String>,
}

pub(super) fn gc(
    context: &Context,
    grace_hours: u64,
    dry_run: bool,
    yes: bool,
    despite_missing: bool,
) -> CliResult {
    let api = context.api()?;
    if !dry_run && !yes {
        confirm("Remove what no branch, tag, run, model or endpoint refers to?")?;
    }
    let wish = json!({
        "grace_seconds": grace_hours.saturating_mul(3600), "dry_run": dry_run,
        "despite_missing": despite_missing,
    });
    let answer = operations::result(&api, "/api/v1/data/collect", &wish, "collecting")?;
    context.answer(answer, |collected: Collected| {
        let would = if dry_run { "would remove" } else { "removed" };
        output::say(&format!(
            "{would} {}, {} and the files of {} past their retention",
            units::plural(collected.commits_removed, "commit"),
            units::plural(collected.versions_removed, "version"),
            collected.versions_expired
        ));
        output::say(&format!(
            "{would} {}, {}; {}, {} stay",
            units::plural(collected.pieces_removed, "piece"),
            units::bytes(collected.bytes_removed),
            units::plural(collected.pieces_kept, "piece"),
            units::bytes(collected.bytes_kept)
        ));
        if !dry_run {
            output::say(&format!("{} freed", units::bytes(collected.bytes_freed)));
        }
        for reason in collected.skipped {
            output::say(&reason);
        }
        if !collected.missing.is_empty() {
            output::say(&format!(
                "{} that are in use cannot be read: `{}` names the files",
                units::plural(collected.missing.len() as u64, "piece"),
                program::command("data check")
            ));
        }
    })
}

/// Findings and versions that are shown; there may be as many as there are pieces.
const FINDINGS_TOLD: usize = 50;
const VERSIONS_TOLD: usize = 200;

#[derive(Deserialize)]
struct Checked {
    packs: u64,
    pieces: u64,
    bytes: u64,
    findings_total: u64,
    findings: Vec<String>,
    waiting: u64,
    versions: Vec<DamagedVersion>,
    versions_total: u64,
    repair: Option<Repaired>,
    links: Option<Links>,
}

#[derive(Deserialize)]
struct Links {
    asked: u64,
    broken_total: u64,
    broken: Vec<BrokenLink>,
    unasked: Vec<Unasked>,
}

#[derive(Deserialize)]
struct BrokenLink {
    version: String,
    datasets: Vec<String>,
    path: String,
    problem: String,
}

#[derive(Deserialize)]
struct Unasked {
    source: String,
    problem: String,
    objects: u64,
}

#[derive(Deserialize)]
struct Repaired {
    remote: String,
    pieces_repaired: u64,
    pieces_salvaged: u64,
    not_there_total: u64,
}

#[derive(Deserialize)]
struct DamagedVersion {
    version: String,
    names: Vec<String>,
    names_total: u64,
    paths: Vec<DamagedPath>,
    files_total: u64,
}

#[derive(Deserialize)]
struct DamagedPath {
    path: String,
    files_listed: Option<u64>,
}

/// Fails if something is damaged, so that a script notices.
pub(super) fn check(context: &Context, quick: bool, repair_from: Option<&str>) -> CliResult {
    let api = context.api()?;
    let mut wish = json!({ "quick": quick });
    if let Some(remote) = repair_from {
        wish["repair_from"] = json!(remote);
    }
    let answer = operations::result(&api, "/api/v1/data/check", &wish, "checking what is stored")?;
    let checked: Checked = typed(answer.clone())?;
    let damaged = checked.findings_total;
    context.answer(answer, |_: Value| tell(&checked))?;
    let broken = checked.links.as_ref().map_or(0, |links| links.broken_total);
    if damaged == 0 && broken > 0 {
        let message = format!(
            "{} changed or gone",
            units::plural_of(broken, "linked object was", "linked objects were")
        );
        let error = CliError::failed(message).hint(
            "import them again, with `--link` or as copies, for the next version; an old one stays broken until nothing refers to it",
        );
        return Err(if context.json { error.told() } else { error });
    }
    if damaged == 0 {
        return Ok(());
    }
    let message = format!("{} in what is stored", units::plural(damaged, "finding"));
    let error = CliError::failed(message)
        .hint("send the same files again, or repair them from a remote with `--repair-from`");
    Err(if context.json { error.told() } else { error })
}

fn tell(checked: &Checked) {
    output::say(&format!(
        "{}, {}, {} read",
        units::plural(checked.packs, "pack"),
        units::plural(checked.pieces, "piece"),
        units::bytes(checked.bytes)
    ));
    if let Some(repair) = &checked.repair {
        output::say(&format!(
            "{} repaired from {}, {} taken out of damaged packs; {} not to be had there",
            units::plural(repair.pieces_repaired, "piece"),
            repair.remote,
            repair.pieces_salvaged,
            repair.not_there_total
        ));
    }
    for finding in checked.findings.iter().take(FINDINGS_TOLD) {
        output::say(finding);
    }
    more(
        checked.findings_total,
        FINDINGS_TOLD.min(checked.findings.len()),
        "findings",
    );
    for damaged in checked.versions.iter().take(VERSIONS_TOLD) {
        tell_version(damaged);
    }
    more(
        checked.versions_total,
        VERSIONS_TOLD.min(checked.versions.len()),
        "damaged versions",
    );
    if checked.waiting > 0 {
        output::say(&format!(
            "{} to be removed by `{}`",
            units::plural_of(checked.waiting, "damaged copy waits", "damaged copies wait"),
            program::command("data gc")
        ));
    }
    if let Some(links) = checked.links.as_ref() {
        tell_links(links);
    }
    if checked.findings_total == 0 && checked.links.as_ref().is_none_or(|links| links.broken_total == 0) {
        let is_all = checked
            .links
            .as_ref()
            .is_none_or(|links| links.unasked.is_empty());
        output::say(match is_all {
            true => "everything is as it should be",
            false => "what was looked at is as it should be",
        });
    }
}

fn tell_links(links: &Links) {
    if links.asked > 0 {
        output::say(&format!(
            "{} asked about, {} changed or gone",
            units::plural(links.asked, "linked object"),
            links.broken_total
        ));
    }
    for broken in &links.broken {
        let dataset = broken.datasets.first().map_or("in no dataset", String::as_str);
        output::say(&format!(
            "broken: {dataset}, {}: {} {}",
            broken.version, broken.path, broken.problem
        ));
    }
    for source in &links.unasked {
        output::say(&format!(
            "not asked: source {}, {}: {}",
            source.source,
            units::plural(source.objects, "linked object"),
            source.problem
        ));
    }
}

fn tell_version(damaged: &DamagedVersion) {
    let names = match damaged.names.is_empty() {
        true => damaged.version.clone(),
        false => damaged.names.join(", "),
    };
    let others = damaged.names_total.saturating_sub(damaged.names.len() as u64);
    let others = if others > 0 {
        format!(" and {others} more")
    } else {
        String::new()
    };
    output::say(&format!(
        "damaged: {names}{others}: {}",
        units::plural(damaged.files_total, "file")
    ));
    for DamagedPath { path, files_listed } in &damaged.paths {
        output::say(&match files_listed {
            None => format!("  {path}"),
            Some(files) if path.is_empty() => format!("  its list of {files} files"),
            Some(files) => format!("  the list of {files} files from {path} on"),
        });
    }
    let listed: u64 = damaged
        .paths
        .iter()
        .map(|path| path.files_listed.unwrap_or(1))
        .sum();
    let left = damaged.files_total.saturating_sub(listed);
    if left > 0 {
        output::say(&format!("  and {left} more files"));
    }
}

/// That not all were told.
fn more(total: u64, told: usize, what: &str) {
    let left = total.saturating_sub(told as u64);
    if left > 0 {
        output::say(&format!(
            "and {left} more {what}; `--json` tells up to a thousand"
        ));
    }
}
