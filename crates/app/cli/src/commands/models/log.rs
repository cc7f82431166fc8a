//! `corliss models log`: who did what when.

use serde::Deserialize;
use serde_json::{Map, Value};

use crate::api::segment;
use crate::args::MAX_EVENTS;
use crate::context::Context;
use crate::error::CliResult;
use crate::output::{self, Table, more};
use crate::units;
use crate::views::Page;

#[derive(Debug, Deserialize)]
struct Event {
    at_ms: i64,
    actor: String,
    action: String,
    version: Option<i64>,
    #[serde(default)]
    details: Map<String, Value>,
}

pub(super) fn log(context: &Context, name: &str, limit: u32) -> CliResult {
    let path = format!("/api/v1/models/{}/events?limit={limit}", segment(name));
    let answer: Value = context.api()?.get(&path)?;
    context.answer(answer, |page: Page<Event>| {
        let mut table = Table::new(&["when", "who", "what", "version", "details"]);
        for event in page.items {
            table.row([
                units::ago(event.at_ms),
                event.actor,
                event.action.replace('_', " "),
                event
                    .version
                    .map(|version| version.to_string())
                    .unwrap_or_default(),
                details(&event.details),
            ]);
        }
        table.print("Nothing has happened to it.");
        if page.next_page_token.is_some() {
            output::say(&more(&format!("models log {name}"), limit, MAX_EVENTS));
        }
    })
}

/// `alias=champion from=1 to=2`; what is empty is left out.
fn details(details: &Map<String, Value>) -> String {
    let shown = details.iter().filter_map(|(key, value)| match value {
        Value::Null | Value::Bool(false) => None,
        Value::String(text) if text.is_empty() => None,
        Value::Array(items) if items.is_empty() => None,
        Value::String(text) => Some(format!("{key}={text}")),
        other => Some(format!("{key}={other}")),
    });
    shown.collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_empty_is_left_out() {
        let map =
            serde_json::json!({"alias": "champion", "from": null, "to": 2, "reason": "", "aliases": []});
        assert_eq!(details(map.as_object().unwrap()), "alias=champion to=2");
    }
}
