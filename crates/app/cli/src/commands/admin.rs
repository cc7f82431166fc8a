//! `corliss admin token …`: create, list, revoke; `corliss admin keys …`: list, rotate.

use serde_json::{Value, json};

use crate::api::segment;
use crate::args::{AdminCommand, KeysCommand, TokenCommand};
use crate::confirm::confirm;
use crate::context::Context;
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
    }
}

fn keys(context: &Context, command: &KeysCommand) -> CliResult {
    let api = context.api()?;
    let answer: Value = match command {
        KeysCommand::List => api.get("/api/v1/system/keys")?,
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
