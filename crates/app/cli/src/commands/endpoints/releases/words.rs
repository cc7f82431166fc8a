//! Releases in words and tables.

use serde_json::Value;

use super::{ReleaseView, start};
use crate::output::{self, Table};
use crate::units;

/// How it is, in a line that changes only when something did.
pub(super) fn line(release: &ReleaseView) -> String {
    let versions = versions(release, "version ");
    if !release.is_active() {
        return format!("{versions}, {}", ended(release));
    }
    let step = if release.steps_total > 1 {
        format!(", step {} of {}", release.step + 1, release.steps_total)
    } else {
        String::new()
    };
    let paused = if release.state == "paused" { ", paused" } else { "" };
    format!(
        "{versions}{step}: {}{paused}{}",
        share(release.percent, release.copies),
        awaited(&release.next)
    )
}

/// From what to what; the models are named where they differ.
fn versions(release: &ReleaseView, word: &str) -> String {
    let (old, new) = (release.from_version, release.to_version);
    match &release.from_model {
        Some(from) if *from != release.to_model => format!("{from}/{old} to {}/{new}", release.to_model),
        _ => format!("{word}{old} to {new}"),
    }
}

fn share(percent: u32, copies: u32) -> String {
    if copies > 0 {
        format!("copies of {copies} %")
    } else {
        format!("{percent} % of the requests")
    }
}

fn awaited(next: &Value) -> String {
    match next["waits_for"].as_str() {
        Some("replicas") => format!("; {} of {} replicas ready", next["ready"], next["needed"]),
        Some("requests") => "; waits for requests".to_owned(),
        Some("decision") => "; waits for promote or rollback".to_owned(),
        _ => String::new(),
    }
}

pub(super) fn list(endpoint: &str, releases: Vec<ReleaseView>) {
    let mut table = Table::new(&[
        "release", "versions", "strategy", "state", "step", "gets", "by", "started", "reason",
    ]);
    for release in releases {
        let gets = if release.is_active() {
            share(release.percent, release.copies)
        } else {
            String::new()
        };
        table.row([
            release.id.clone(),
            versions(&release, ""),
            release.plan.strategy.replace('_', "-"),
            release.state.replace('_', " "),
            format!("{}/{}", release.step + 1, release.steps_total),
            gets,
            release.started_by.unwrap_or_else(|| "its alias".to_owned()),
            units::ago(release.created_ms),
            release.reason.unwrap_or_default(),
        ]);
    }
    table.print(&format!(
        "Endpoint '{endpoint}' has had no releases. Start one with: {}",
        start(endpoint)
    ));
}

pub(super) fn show(release: &ReleaseView) {
    let by = release.started_by.as_deref().unwrap_or("its alias");
    output::say(&format!(
        "{}  {}  {}, by {by}",
        release.id,
        release.model,
        release.plan.strategy.replace('_', "-")
    ));
    output::say(&line(release));
    if !release.versions.is_empty() {
        output::say("");
        let mut table = Table::new(&[
            "version",
            "replicas",
            "requests",
            "errors",
            "p99",
            "first token p99",
            "copies alike",
        ]);
        for version in &release.versions {
            let alike = version.same.zip(version.different);
            table.row([
                version.version.to_string(),
                version.replicas_ready.to_string(),
                units::grouped(version.seen.requests),
                units::grouped(version.seen.errors),
                span(version.seen.p99_us),
                span(version.seen.first_token_p99_us),
                alike
                    .map(|(same, different)| format!("{same} of {}", same + different))
                    .unwrap_or_default(),
            ]);
        }
        table.print("");
    }
    if !release.steps.is_empty() {
        output::say("");
        let mut table = Table::new(&[
            "step",
            "gave",
            "took",
            "new: requests",
            "errors",
            "p99",
            "old, in all: requests",
            "errors",
            "p99",
        ]);
        for step in &release.steps {
            table.row([
                (step.step + 1).to_string(),
                share(step.percent, step.copies),
                units::span(step.begun_ms, Some(step.ended_ms)),
                units::grouped(step.new.requests),
                units::grouped(step.new.errors),
                span(step.new.p99_us),
                units::grouped(step.old.requests),
                units::grouped(step.old.errors),
                span(step.old.p99_us),
            ]);
        }
        table.print("");
    }
}

fn span(us: Option<u64>) -> String {
    us.map_or_else(|| "-".to_owned(), super::super::requests::span)
}

/// How a release ended, and why; the reason alone where it says both.
pub(super) fn ended(release: &ReleaseView) -> String {
    let state = release.state.replace('_', " ");
    match release.reason.as_deref() {
        Some(reason) if reason.starts_with(&state) => reason.to_owned(),
        Some(reason) => format!("{state}: {reason}"),
        None => state,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::tests::release;
    use super::*;

    #[test]
    fn a_line_says_how_it_is() {
        assert_eq!(
            line(&release(json!({}))),
            "version 1 to 2, step 2 of 3: 25 % of the requests"
        );
        let waits = json!({"steps_total": 1, "copies": 20, "next": {"waits_for": "decision"}});
        assert_eq!(
            line(&release(waits)),
            "version 1 to 2: copies of 20 %; waits for promote or rollback"
        );
        let back = json!({"state": "rolled_back", "reason": "12 of 50 requests got no answer"});
        assert_eq!(
            line(&release(back)),
            "version 1 to 2, rolled back: 12 of 50 requests got no answer"
        );
        let other = json!({"from_model": "letters", "to_model": "digits"});
        assert_eq!(
            line(&release(other)),
            "letters/1 to digits/2, step 2 of 3: 25 % of the requests"
        );
        let said = json!({"state": "rolled_back", "reason": "rolled back by ana"});
        assert_eq!(line(&release(said)), "version 1 to 2, rolled back by ana");
    }
}
