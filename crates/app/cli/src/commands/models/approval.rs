//! `corliss models protect`, `unprotect`, `approve` and `reject`.

use serde::Deserialize;
use serde_json::{Value, json};

use super::version::Decision;
use crate::api::segment;
use crate::args::VersionArgs;
use crate::context::Context;
use crate::error::CliResult;
use crate::output;
use crate::views::Protection;

fn path(name: &str) -> String {
    format!("/api/v1/models/{}/protection", segment(name))
}

pub(super) fn protect(
    context: &Context,
    name: &str,
    (approvals, aliases, self_approval): (u32, &[String], bool),
) -> CliResult {
    let body = json!({ "approvals": approvals, "aliases": aliases, "self_approval": self_approval });
    let answer: Value = context.api()?.put(&path(name), &body)?;
    context.answer(answer, |protection: Protection| output::say(&protection.told()))
}

pub(super) fn unprotect(context: &Context, name: &str) -> CliResult {
    context.api()?.delete(&path(name))?;
    if context.json {
        output::say_json(&json!({ "name": name, "protection": null }));
    } else {
        output::say(&format!("Model '{name}' is not protected any more."));
    }
    Ok(())
}

#[derive(Debug, Deserialize)]
struct Decided {
    #[serde(default)]
    decisions: Vec<Decision>,
    missing_approval: Option<String>,
    /// Why the version would not be served, approved or not.
    unfit: Option<Unfit>,
}

#[derive(Debug, Deserialize)]
struct Unfit {
    message: String,
    hint: Option<String>,
}

pub(super) fn decide(context: &Context, version: &VersionArgs, approved: bool, reason: &str) -> CliResult {
    let VersionArgs { name, version } = version;
    let path = format!("/api/v1/models/{}/versions/{version}/decisions", segment(name));
    let word = if approved { "approved" } else { "rejected" };
    let answer: Value = context
        .api()?
        .post(&path, &json!({ "decision": word, "reason": reason }))?;
    context.answer(answer, |decided: Decided| {
        output::say(&format!("You {word} version {version} of '{name}'."));
        if let Some(missing) = decided.missing_approval {
            output::say(&format!("It {missing}."));
        } else if decided.decisions.iter().all(|decision| decision.approved) {
            output::say("It has the approvals that it needs.");
        }
        if let Some(unfit) = decided.unfit {
            output::say(&format!("It would not be served as it is: {}.", unfit.message));
            if let Some(hint) = unfit.hint {
                output::say(&format!("hint: {hint}"));
            }
        }
    })
}
