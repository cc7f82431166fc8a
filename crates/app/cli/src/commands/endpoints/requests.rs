//! `corliss endpoints requests`: what became of the newest ones.

use corliss_policy_serving::router::Reason;
use serde::Deserialize;
use serde_json::Value;

use crate::context::Context;
use crate::error::CliResult;
use crate::output::Table;
use crate::readiness::path;
use crate::units;
use crate::views::Page;

/// As far as the table shows it.
#[derive(Debug, Deserialize)]
struct RequestView {
    at_ms: i64,
    caller: String,
    outcome: String,
    #[serde(default)]
    error: Option<String>,
    #[serde(default)]
    shadow: bool,
    #[serde(default)]
    instead_of: Option<String>,
    #[serde(default)]
    replica: Option<String>,
    /// One that this program does not know is left out.
    #[serde(default)]
    reason: Value,
    attempts: u32,
    hedged: bool,
    #[serde(default)]
    first_us: Option<u64>,
    total_us: u64,
    prompt_tokens: u32,
    cached_tokens: u32,
    completion_tokens: u32,
}

/// Prints them, newest first.
pub fn run(context: &Context, name: &str, limit: u32) -> CliResult {
    let answer: Value = context
        .api()?
        .get(&format!("{}/requests?limit={limit}", path(name)))?;
    context.answer(answer, |page: Page<RequestView>| {
        let mut table = Table::new(&[
            "when", "caller", "outcome", "replica", "why", "attempts", "first", "total", "prompt", "cached",
            "answer",
        ]);
        for request in page.items {
            table.row([
                units::ago(request.at_ms),
                request.caller,
                outcome(
                    &request.outcome,
                    request.error,
                    request.instead_of,
                    request.shadow,
                ),
                request.replica.unwrap_or_default(),
                serde_json::from_value(request.reason)
                    .map(why)
                    .unwrap_or_default(),
                attempts(request.attempts, request.hedged),
                request.first_us.map(span).unwrap_or_default(),
                span(request.total_us),
                request.prompt_tokens.to_string(),
                request.cached_tokens.to_string(),
                request.completion_tokens.to_string(),
            ]);
        }
        table.print("It has had no requests since the server started.");
    })
}

fn outcome(outcome: &str, error: Option<String>, instead_of: Option<String>, shadow: bool) -> String {
    let copy = if shadow { "copy " } else { "" };
    let error = error.map(|error| format!(": {error}")).unwrap_or_default();
    let instead = instead_of.map(|name| format!(" for {name}")).unwrap_or_default();
    format!("{copy}{outcome}{instead}{error}")
}

fn attempts(attempts: u32, hedged: bool) -> String {
    if hedged {
        format!("{attempts}, hedged")
    } else {
        attempts.to_string()
    }
}

pub(super) fn span(us: u64) -> String {
    if us < 1_000 {
        format!("{us} µs")
    } else {
        units::duration(us / 1_000)
    }
}

/// Why a replica was picked, in a few words.
fn why(reason: Reason) -> String {
    match reason {
        Reason::Turn => "its turn".to_owned(),
        Reason::Weight => "its share was due".to_owned(),
        Reason::FewestInFlight { in_flight } => format!("fewest in flight: {in_flight}"),
        Reason::FasterOfTwo { .. } => "the faster of two".to_owned(),
        Reason::FewestTokens { tokens } => format!("fewest tokens to do: {tokens}"),
        Reason::PrefixHit { blocks } => format!("its cache has {}", units::plural(blocks.into(), "block")),
        Reason::PrefixMiss => "in no cache: less busy of two".to_owned(),
        Reason::ImbalanceBound { .. } => "the one with the cache is too busy".to_owned(),
        Reason::AffinityKept => "its session".to_owned(),
        Reason::AffinityMoved => "its session's replica is aside".to_owned(),
        Reason::OnlyOne => "no other".to_owned(),
        Reason::LastResort => "all are aside".to_owned(),
    }
}
