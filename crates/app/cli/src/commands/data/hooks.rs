//! `corliss data hooks …`.

use std::fs::File;
use std::io::Read;
use std::path::Path;

use serde::Deserialize;
use serde_json::{Map, Value, json};

use crate::api::segment;
use crate::args::{AddHookArgs, HookArgs, HooksCommand, SetHookArgs, WhichHook};
use crate::confirm::confirm;
use crate::context::Context;
use crate::error::{CliError, CliResult};
use crate::output::{self, Table};
use crate::program;
use crate::units;
use crate::views::Page;

/// More is no secret.
const SECRET_FILE_BYTES: u64 = 4096;
/// Columns of an address or of what a receiver said.
const SHOWN_COLUMNS: usize = 60;

#[derive(Deserialize)]
struct HookView {
    id: String,
    url: String,
    events: Vec<String>,
    branches: Vec<String>,
    when: String,
    enabled: bool,
    #[serde(default)]
    disabled_reason: Option<String>,
    pending: u64,
    dropped: u64,
    #[serde(default)]
    secret: Option<String>,
}

#[derive(Deserialize)]
struct DeliveryView {
    event: String,
    created_ms: i64,
    state: String,
    tries: u32,
    #[serde(default)]
    outcome: Option<String>,
}

#[derive(Deserialize)]
struct TestView {
    accepted: bool,
    outcome: String,
    took_ms: u64,
}

/// Dispatches.
pub(super) fn run(context: &Context, command: &HooksCommand) -> CliResult {
    match command {
        HooksCommand::List { dataset } => list(context, dataset),
        HooksCommand::Add(args) => add(context, args),
        HooksCommand::Set(args) => set(context, args),
        HooksCommand::Remove { which, yes } => remove(context, which, *yes),
        HooksCommand::Test { which } => test(context, which),
        HooksCommand::Deliveries { which, limit } => deliveries(context, which, *limit),
    }
}

fn all(dataset: &str) -> String {
    format!("/api/v1/data/datasets/{}/hooks", segment(dataset))
}

fn one(which: &WhichHook) -> String {
    format!("{}/{}", all(&which.dataset), segment(&which.hook))
}

fn list(context: &Context, dataset: &str) -> CliResult {
    let answer: Value = context.api()?.get(&all(dataset))?;
    context.answer(answer, |page: Page<HookView>| {
        let mut table = Table::new(&["hook", "when", "events", "branches", "url", "state"]);
        for hook in page.items {
            let branches = match hook.branches.is_empty() {
                true => "all".to_owned(),
                false => hook.branches.join(", "),
            };
            let state = state(&hook);
            let url = crate::text::fit(&hook.url, SHOWN_COLUMNS);
            table.row([hook.id, hook.when, hook.events.join(", "), branches, url, state]);
        }
        let how = program::command(&format!("data hooks add {dataset} URL"));
        table.print(&format!("No hooks yet. Add one with: {how}"));
    })
}

fn state(hook: &HookView) -> String {
    let mut parts = vec![match (hook.enabled, &hook.disabled_reason) {
        (true, _) => "on".to_owned(),
        (false, None) => "off".to_owned(),
        (false, Some(reason)) => format!("off: {reason}"),
    }];
    if hook.pending > 0 {
        parts.push(format!("{} waiting", hook.pending));
    }
    if hook.dropped > 0 {
        parts.push(format!("{} dropped", hook.dropped));
    }
    parts.join(", ")
}

fn add(context: &Context, args: &AddHookArgs) -> CliResult {
    let mut body = settings(&args.settings)?;
    body.insert("url".to_owned(), json!(args.url));
    let answer: Value = context.api()?.post(&all(&args.dataset), &body)?;
    context.answer(answer, |hook: HookView| {
        output::say(&format!("hook {} was added", hook.id));
        tell_secret(&hook);
    })
}

fn set(context: &Context, args: &SetHookArgs) -> CliResult {
    let mut body = settings(&args.settings)?;
    let mut put = |name: &str, value: Value| body.insert(name.to_owned(), value);
    if let Some(url) = &args.url {
        put("url", json!(url));
    }
    if args.all_branches {
        put("branches", json!([]));
    }
    if args.enable || args.disable {
        put("enabled", json!(args.enable));
    }
    if args.new_secret {
        put("new_secret", json!(true));
    }
    if body.is_empty() {
        return Err(CliError::input("nothing is to change").hint("name what, such as --disable"));
    }
    let answer: Value = context.api()?.patch(&one(&args.which), &body)?;
    context.answer(answer, |hook: HookView| {
        output::say(&format!("hook {} is {}", hook.id, state(&hook)));
        tell_secret(&hook);
    })
}

/// What is named, as the server takes it.
fn settings(args: &HookArgs) -> CliResult<Map<String, Value>> {
    let mut body = Map::new();
    let mut put = |name: &str, value: Value| body.insert(name.to_owned(), value);
    if !args.events.is_empty() {
        put("events", json!(args.events));
    }
    if !args.branches.is_empty() {
        put("branches", json!(args.branches));
    }
    if args.before || args.after {
        put("when", json!(if args.before { "before" } else { "after" }));
    }
    if let Some(seconds) = args.timeout {
        put("timeout_ms", json!(seconds * 1000));
    }
    if let Some(path) = &args.secret_file {
        put("secret", json!(read_secret(path)?));
    }
    Ok(body)
}

/// From a file, as what stands on a command line can be seen by everybody on the machine.
fn read_secret(path: &Path) -> CliResult<String> {
    let mut text = String::new();
    let read = File::open(path).and_then(|file| file.take(SECRET_FILE_BYTES).read_to_string(&mut text));
    read.map_err(|error| CliError::input(format!("cannot read {}: {error}", path.display())))?;
    Ok(text.trim().to_owned())
}

fn tell_secret(hook: &HookView) {
    if let Some(secret) = &hook.secret {
        output::say(secret);
        output::complain("Its requests are signed with this secret. It is not shown again.");
    }
}

fn remove(context: &Context, which: &WhichHook, yes: bool) -> CliResult {
    let api = context.api()?;
    let path = one(which);
    if !yes {
        let hook: HookView = api.get(&path)?;
        confirm(&format!("Remove the hook that calls {}?", hook.url))?;
    }
    api.delete(&path)?;
    if context.json {
        output::say_json(&json!({ "id": which.hook, "deleted": true }));
    } else {
        output::say(&format!("hook {} was removed", which.hook));
    }
    Ok(())
}

/// Fails if the receiver did not take it, so that a script notices.
fn test(context: &Context, which: &WhichHook) -> CliResult {
    let answer: Value = context
        .api()?
        .post_list(&format!("{}/test", one(which)), &json!({}))?;
    let mut refused = None;
    context.answer(answer.clone(), |test: TestView| {
        let took = units::duration(test.took_ms);
        match test.accepted {
            true => output::say(&format!("{} after {took}", test.outcome)),
            false => refused = Some(test.outcome),
        }
    })?;
    let is_accepted = answer["accepted"].as_bool().unwrap_or(false);
    match (is_accepted, refused) {
        (true, _) => Ok(()),
        (false, said) => Err(CliError::failed(format!(
            "the receiver did not take it: {}",
            said.unwrap_or_else(|| answer["outcome"].as_str().unwrap_or_default().to_owned())
        ))),
    }
}

fn deliveries(context: &Context, which: &WhichHook, limit: u32) -> CliResult {
    let path = format!("{}/deliveries?limit={limit}", one(which));
    let answer: Value = context.api()?.get(&path)?;
    context.answer(answer, |page: Page<DeliveryView>| {
        let mut table = Table::new(&["event", "happened", "state", "tries", "outcome"]);
        for one in page.items {
            table.row([
                one.event,
                units::ago(one.created_ms),
                one.state,
                one.tries.to_string(),
                crate::text::fit(&one.outcome.unwrap_or_default(), SHOWN_COLUMNS),
            ]);
        }
        table.print("Nothing has happened yet that it is about.");
        if page.next_page_token.is_some() {
            let list = format!("data hooks deliveries {} {}", which.dataset, which.hook);
            output::say(&output::more(&list, limit, 1000));
        }
    })
}
