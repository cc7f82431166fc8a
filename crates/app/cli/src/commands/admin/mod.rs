//! `corliss admin token …`: create, list, revoke; `corliss admin keys …`: list, rotate, destroy; limits of callers; queues; nodes.

mod effect;
mod limits;
mod nodes;
mod queues;

use serde::Deserialize;
use serde_json::{Value, json};

use crate::api::segment;
use crate::args::{AdminCommand, KeysCommand, TokenCommand};
use crate::confirm::{confirm, confirm_name};
use crate::context::{Context, typed};
use crate::error::CliResult;
use crate::output::{self, Table};
use crate::units;
use crate::views::{KeyView, Page, TokenView};

const DAY_S: u64 = 24 * 60 * 60;

/// Dispatches.
pub fn run(context: &Context, command: &AdminCommand) -> CliResult {
    match command {
        AdminCommand::Token(command) => token(context, command),
        AdminCommand::Keys(command) => keys(context, command),
        AdminCommand::Limits(command) => limits::run(context, command),
        AdminCommand::Queues(command) => queues::run(context, command),
        AdminCommand::Nodes(command) => nodes::run(context, command),
    }
}

#[derive(Deserialize)]
struct Destruction {
    keys: TenantKeys,
    datasets: u64,
    versions: u64,
    versions_bytes: u64,
    artifacts: u64,
    model_versions: u64,
    stored_bytes: u64,
}

#[derive(Deserialize)]
struct TenantKeys {
    state: String,
    #[serde(default)]
    by: Option<String>,
}

/// What cannot be undone is shown first, and asked for by the tenant's name.
fn destroy(context: &Context, tenant: &str, dry_run: bool, yes: bool) -> CliResult {
    let api = context.api()?;
    let path = "/api/v1/system/keys/destroy";
    let looked: Value = api.post(path, &json!({ "tenant": tenant, "dry_run": true }))?;
    let found: Destruction = typed(looked.clone())?;
    if dry_run {
        return context.answer(looked, |found: Destruction| tell_sealed(&found, output::say));
    }
    if found.keys.state == "live" && !yes {
        if !context.json {
            tell_sealed(&found, output::complain);
        }
        confirm_name(
            &format!("This cannot be undone. Type the tenant's name, {tenant}, to go on:"),
            tenant,
        )?;
    }
    let answer: Value = api.post(path, &json!({ "tenant": tenant }))?;
    context.answer(answer, |done: Destruction| {
        let by = done.keys.by.unwrap_or_default();
        output::say(&format!(
            "the keys of {tenant} were destroyed by {by}; what is stored cannot be read again"
        ));
    })
}

fn tell_sealed(found: &Destruction, say: fn(&str)) {
    if found.keys.state != "live" {
        let by = found.keys.by.as_deref().unwrap_or_default();
        return say(&format!("the keys were destroyed before, by {by}"));
    }
    say(&format!(
        "becomes unreadable: {} with {} ({} of files), {}, {}; {} stored",
        units::plural(found.datasets, "dataset"),
        units::plural(found.versions, "version"),
        units::bytes(found.versions_bytes),
        units::plural(found.model_versions, "model version"),
        units::plural(found.artifacts, "artifact"),
        units::bytes(found.stored_bytes)
    ));
    say(
        "not reached: files that are laid out (runs, models being served, working copies), remotes, and backups of the \
         keys",
    );
}

fn keys(context: &Context, command: &KeysCommand) -> CliResult {
    let api = context.api()?;
    let answer: Value = match command {
        KeysCommand::List => api.get("/api/v1/system/keys")?,
        KeysCommand::Destroy { tenant, dry_run, yes } => {
            return destroy(context, tenant, *dry_run, *yes);
        }
        KeysCommand::Rotate {
            root,
            retire_old,
            yes,
        } => {
            if *retire_old && !yes {
                confirm("Remove the old root keys? Backups from before become unreadable.")?;
            }
            let wish = json!({ "root": root, "retire": retire_old });
            api.post("/api/v1/system/keys/rotate", &wish)?
        }
    };
    context.answer(answer, |page: Page<KeyView>| {
        let mut table = Table::new(&[
            "tenant",
            "root key",
            "kept by",
            "tenant key",
            "data keys",
            "seals left",
        ]);
        for key in page.items {
            table.row([
                key.tenant,
                key.root_key,
                key.provider,
                format!("version {}", key.tenant_key_version),
                key.data_keys.to_string(),
                key.uses_left.to_string(),
            ]);
        }
        table.print("No keys yet: they are made when something is stored.");
    })
}

fn token(context: &Context, command: &TokenCommand) -> CliResult {
    match command {
        TokenCommand::Create {
            name,
            role,
            expires_in_days,
        } => create(context, name, role, *expires_in_days),
        TokenCommand::List => list(context),
        TokenCommand::Revoke { id } => revoke(context, id),
    }
}

fn create(context: &Context, name: &str, role: &str, expires_in_days: Option<u64>) -> CliResult {
    let mut body = json!({ "name": name, "role": role });
    if let Some(days) = expires_in_days {
        body["expires_in_s"] = json!(days.saturating_mul(DAY_S));
    }
    let answer: Value = context.api()?.post("/api/v1/tokens", &body)?;
    context.answer(answer, |token: TokenView| {
        output::say(&token.token.unwrap_or_default());
        output::complain(&format!(
            "Token {} for {} ({}). It is not shown again.",
            token.id, token.name, token.role
        ));
    })
}

fn list(context: &Context) -> CliResult {
    let answer: Value = context.api()?.get("/api/v1/tokens")?;
    context.answer(answer, |page: Page<TokenView>| {
        let mut table = Table::new(&["token", "name", "role", "expires"]);
        for token in page.items {
            let expires = token.expires_ms.map_or_else(|| "never".to_owned(), units::until);
            table.row([token.id, token.name, token.role, expires]);
        }
        table.print("No tokens.");
    })
}

fn revoke(context: &Context, id: &str) -> CliResult {
    context
        .api()?
        .delete(&format!("/api/v1/tokens/{}", segment(id)))?;
    if context.json {
        output::say_json(&json!({ "id": id, "state": "revoked" }));
    } else {
        output::say(&format!("Token {id} is revoked."));
    }
    Ok(())
}
