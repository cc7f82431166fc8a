//! `corliss endpoints releases`, `promote`, `rollback`, `pause`, `resume`: how versions get out, and what is said about it.

mod follow;
mod plan;
mod words;

use serde::Deserialize;
use serde_json::{Value, json};

use crate::api::segment;
use crate::args::ReleasesArgs;
use crate::context::{Context, typed};
use crate::error::{CliError, CliResult, EXIT_FAILED, EXIT_NOT_FOUND};
use crate::link::Link;
use crate::output;
use crate::program;
use crate::readiness::path;
use crate::views::Page;

pub use follow::wait;
pub use plan::{in_flags, plan};

#[derive(Debug, Deserialize)]
struct ReleaseView {
    id: String,
    model: String,
    from_version: u32,
    /// Not known of old ones.
    #[serde(default)]
    from_model: Option<String>,
    to_version: u32,
    to_model: String,
    plan: Plan,
    state: String,
    step: u32,
    steps_total: u32,
    percent: u32,
    copies: u32,
    /// What this program does not know is not told.
    #[serde(default)]
    next: Value,
    #[serde(default)]
    reason: Option<String>,
    #[serde(default)]
    started_by: Option<String>,
    #[serde(default)]
    versions: Vec<VersionView>,
    #[serde(default)]
    steps: Vec<StepView>,
    created_ms: i64,
}

#[derive(Debug, Deserialize)]
struct Plan {
    strategy: String,
}

#[derive(Debug, Deserialize)]
struct VersionView {
    version: u32,
    replicas_ready: u32,
    #[serde(flatten)]
    seen: Seen,
    #[serde(default)]
    same: Option<u64>,
    #[serde(default)]
    different: Option<u64>,
}

#[derive(Debug, Deserialize)]
struct StepView {
    step: u32,
    percent: u32,
    copies: u32,
    begun_ms: Option<i64>,
    ended_ms: i64,
    old: Seen,
    new: Seen,
}

#[derive(Debug, Deserialize)]
struct Seen {
    requests: u64,
    errors: u64,
    p99_us: Option<u64>,
    first_token_p99_us: Option<u64>,
}

impl ReleaseView {
    fn is_active(&self) -> bool {
        matches!(self.state.as_str(), "running" | "paused")
    }

    /// Requests of the version that is let out, in this step.
    fn new_requests(&self) -> u64 {
        let new = self.versions.iter().find(|one| one.version == self.to_version);
        new.map_or(0, |new| new.seen.requests)
    }

    /// Whether it goes no further by itself.
    fn waits_for_somebody(&self) -> bool {
        self.next["waits_for"] == "decision"
    }
}

fn all(name: &str) -> String {
    format!("{}/releases", path(name))
}

fn one(name: &str, id: &str) -> String {
    format!("{}/{}", all(name), segment(id))
}

/// Lists them, shows one, or follows one.
pub fn run(context: &Context, args: &ReleasesArgs) -> CliResult {
    let api = context.api()?;
    let name = &args.name;
    if args.release.is_none() && !args.follow {
        let answer: Value = api.get(&all(name))?;
        return context.answer(answer, |page: Page<ReleaseView>| words::list(name, page.items));
    }
    let id = match args.release.as_deref() {
        Some(id) if id != "newest" => id.to_owned(),
        _ => newest(&api.get(&all(name))?, name)?,
    };
    let answer = if args.follow {
        let look = format!("endpoints releases {name}");
        let link = Link::new(context, api, "the release", look);
        let answer = follow::follow(link, context, name, &id, false)?;
        if let Some(lost) = follow::lost(&typed(answer.clone())?, name) {
            return Err(lost);
        }
        answer
    } else {
        api.get(&one(name, &id))?
    };
    context.answer(answer, |release: ReleaseView| words::show(&release))
}

fn newest(answer: &Value, name: &str) -> CliResult<String> {
    let id = answer["items"][0]["id"].as_str();
    id.map(str::to_owned).ok_or_else(|| {
        CliError::new(
            EXIT_NOT_FOUND,
            "release_not_found",
            format!("endpoint '{name}' has had no releases"),
        )
        .hint(start(name))
    })
}

/// What to say of the release that goes on beside what was deployed, if one does, and how to follow it.
pub fn begun(name: &str, release: &Value) -> CliResult<Option<String>> {
    if release.is_null() {
        return Ok(None);
    }
    let release: ReleaseView = typed(release.clone())?;
    let follow = program::command(&format!("endpoints releases {name} --follow"));
    Ok(Some(format!(
        "Release {} goes on, {}. Follow it with: {follow}",
        release.id,
        words::line(&release)
    )))
}

fn start(name: &str) -> String {
    program::command(&format!(
        "endpoints deploy {name} --model MODEL@ALIAS --release canary"
    ))
}

/// Says something about the release that goes on.
pub fn tell(context: &Context, name: &str, word: &str) -> CliResult {
    let api = context.api()?;
    let releases: Value = api.get(&all(name))?;
    let id = newest(&releases, name)?;
    if let Some(done) = done_already(&typed(releases["items"][0].clone())?, word) {
        return Err(CliError::new(EXIT_FAILED, "release_ended", done).hint(start(name)));
    }
    let answer: Value = api.post(&format!("{}/{word}", one(name, &id)), &json!({}))?;
    context.answer(answer, |release: ReleaseView| {
        output::say(&format!("{}: {}", release.id, words::line(&release)));
    })
}

/// What to say to who asks for what a release has come to before. The server takes it as done; a person means another
/// release, which is not there.
fn done_already(release: &ReleaseView, word: &str) -> Option<String> {
    let is_done = matches!(
        (word, release.state.as_str()),
        ("promote", "completed") | ("rollback", "rolled_back")
    );
    let what = if word == "promote" { "promote" } else { "roll back" };
    is_done.then(|| {
        format!(
            "there is nothing to {what}: {} was {}",
            release.id,
            words::ended(release)
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A release that is at its second step, but for what is said of it.
    pub(super) fn release(more: Value) -> ReleaseView {
        let mut release = json!({
            "id": "rel_1", "model": "digits/2", "from_version": 1, "from_model": "digits",
            "to_version": 2, "to_model": "digits", "plan": {"strategy": "canary"},
            "state": "running", "step": 1, "steps_total": 3, "percent": 25, "copies": 0, "created_ms": 0,
        });
        for (name, value) in more.as_object().unwrap() {
            release[name] = value.clone();
        }
        serde_json::from_value(release).unwrap()
    }

    #[test]
    fn a_release_that_is_not_waited_for_is_told_with_how_to_follow_it() {
        let view = json!({
            "id": "rel_1", "model": "digits/2", "from_version": 1, "from_model": "digits",
            "to_version": 2, "to_model": "digits", "plan": {"strategy": "canary"},
            "state": "running", "step": 0, "steps_total": 3, "percent": 5, "copies": 0, "created_ms": 0,
        });
        let told = begun("digits", &view).unwrap().unwrap();
        assert!(
            told.starts_with("Release rel_1 goes on, version 1 to 2, step 1 of 3"),
            "{told}"
        );
        assert!(told.contains("endpoints releases digits --follow"), "{told}");
        assert_eq!(begun("digits", &Value::Null).unwrap(), None);
    }

    #[test]
    fn what_a_release_came_to_before_is_not_there_to_be_asked_for() {
        let done = |state: &str, reason: &str, word| {
            done_already(&release(json!({"state": state, "reason": reason})), word)
        };
        assert_eq!(
            done("completed", "promoted by ana", "promote").as_deref(),
            Some("there is nothing to promote: rel_1 was completed: promoted by ana")
        );
        assert_eq!(
            done("rolled_back", "rolled back by ana", "rollback").as_deref(),
            Some("there is nothing to roll back: rel_1 was rolled back by ana")
        );
        // What contradicts it is for the server to refuse.
        assert_eq!(done("completed", "promoted by ana", "rollback"), None);
        assert_eq!(done("running", "", "promote"), None);
    }
}
