//! How the requests of an endpoint are routed, as its operator says it.
//!
//! Every member has a default, so `{}` is what an endpoint has until somebody says otherwise. Times are in
//! milliseconds.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::router::rules::{Condition, Destination, Rule};
use crate::router::{PrefixLimits, Settings, Strategy};

/// Rules of one endpoint.
const RULES_MAX: usize = 64;
/// Endpoints that a chain of fallbacks has.
const FALLBACKS_MAX: usize = 8;
/// Replicas that a request is given to, one after another.
const ATTEMPTS_MAX: u32 = 8;
/// Ten minutes, the longest that an answer may take.
const TIMEOUT_MAX_MS: u64 = 600_000;
const NAME_MAX: usize = 200;

/// How requests are routed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Routing {
    /// By what a replica is chosen.
    pub router: Strategy,
    /// The header whose value names a request's session, for [`Strategy::SessionAffinity`].
    pub session_header: String,
    /// Shares of versions under [`Strategy::Weighted`]; one that is not named has 1.
    pub weights: BTreeMap<u32, u32>,
    /// Tokens more than the least busy replica that a replica may have to compute, beside those that it saves, and
    /// still be preferred because the prompt's beginning is cached there, for [`Strategy::PrefixAware`].
    pub prefix_slack_tokens: u64,
    /// Which requests go to some of the replicas only, or to another endpoint. The first that holds decides.
    pub rules: Vec<Rule>,
    /// When a request is given to another replica.
    pub retry: Retry,
    /// After how long without a first answer another replica is asked as well, and the faster one taken.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hedge_after_ms: Option<u64>,
    /// How long one replica may take for its first answer before another is asked instead.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub attempt_timeout_ms: Option<u64>,
    /// How long all attempts together may take for the first answer.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub timeout_ms: Option<u64>,
    /// Requests that the endpoint works on at once; beyond it they are refused.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub concurrent_max: Option<u32>,
    /// Endpoints that are asked one after another when this one cannot answer.
    pub fallback: Vec<String>,
    /// What its answers cost, for the budgets of callers.
    pub price: Price,
}

/// What answers cost, in millionths of the unit that budgets are given in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Price {
    /// A million tokens of prompts.
    pub prompt_micros: u64,
    /// A million tokens of prompts that were in a cache; the price of others if it is not given.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cached_micros: Option<u64>,
    /// A million tokens of answers.
    pub answer_micros: u64,
    /// A request.
    pub request_micros: u64,
}

impl Price {
    /// The cost of so many requests with so many tokens of prompts, of which so many were cached, and of answers;
    /// in millionths, rounded up.
    #[must_use]
    pub fn micros(&self, requests: u64, prompt: u64, cached: u64, answer: u64) -> u64 {
        let cached = cached.min(prompt);
        let cached_micros = self.cached_micros.unwrap_or(self.prompt_micros);
        let parts = [
            (prompt - cached, self.prompt_micros),
            (cached, cached_micros),
            (answer, self.answer_micros),
        ];
        let sum: u128 = parts
            .into_iter()
            .map(|(count, price)| u128::from(count) * u128::from(price))
            .sum();
        let tokens = u64::try_from(sum.div_ceil(1_000_000)).unwrap_or(u64::MAX);
        tokens.saturating_add(requests.saturating_mul(self.request_micros))
    }
}

impl Default for Routing {
    fn default() -> Self {
        Self {
            router: Strategy::default(),
            session_header: "x-session-id".to_owned(),
            weights: BTreeMap::new(),
            prefix_slack_tokens: 512,
            rules: Vec::new(),
            retry: Retry::default(),
            hedge_after_ms: None,
            attempt_timeout_ms: None,
            timeout_ms: None,
            concurrent_max: None,
            fallback: Vec::new(),
            price: Price::default(),
        }
    }
}

/// When a request is given to another replica.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Retry {
    /// How many replicas a request is given to at most, the first one included.
    pub attempts: u32,
    /// Further attempts, hedges included, in percent of the requests; see
    /// [`RetryBudget`](crate::router::RetryBudget).
    pub budget_percent: u32,
}

impl Default for Retry {
    fn default() -> Self {
        Self {
            attempts: 2,
            budget_percent: 20,
        }
    }
}

/// What is wrong with settings, and where.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RoutingProblem {
    /// As `rules[2].to`.
    pub field: String,
    /// In words that follow the field's name.
    pub problem: String,
}

impl Routing {
    /// What the router is set to, where a block of a prompt stands for so many tokens.
    #[must_use]
    pub fn settings(&self, block_tokens: u64) -> Settings {
        Settings {
            prefix: PrefixLimits {
                slack_tokens: self.prefix_slack_tokens,
                block_tokens,
                ..PrefixLimits::default()
            },
            ..Settings::default()
        }
    }

    /// The share of a version.
    #[must_use]
    pub fn weight(&self, version: u32) -> u32 {
        self.weights.get(&version).copied().unwrap_or(1)
    }

    /// The first thing wrong with it, as the settings of the endpoint of this name.
    ///
    /// # Errors
    /// If something is.
    pub fn check(&self, endpoint: &str) -> Result<(), RoutingProblem> {
        let wrong = |field: &str, problem: String| {
            let field = field.to_owned();
            Err(RoutingProblem { field, problem })
        };
        let header = &self.session_header;
        if !is_header(header) {
            return wrong(
                "session_header",
                format!("'{header}' is not the name of a header"),
            );
        }
        if !(1..=ATTEMPTS_MAX).contains(&self.retry.attempts) {
            return wrong("retry.attempts", format!("must lie between 1 and {ATTEMPTS_MAX}"));
        }
        if self.retry.budget_percent > 100 {
            return wrong("retry.budget_percent", "must lie between 0 and 100".to_owned());
        }
        let times = [
            ("hedge_after_ms", self.hedge_after_ms),
            ("attempt_timeout_ms", self.attempt_timeout_ms),
            ("timeout_ms", self.timeout_ms),
        ];
        for (field, time) in times {
            if time.is_some_and(|time| !(1..=TIMEOUT_MAX_MS).contains(&time)) {
                return wrong(field, format!("must lie between 1 and {TIMEOUT_MAX_MS}"));
            }
        }
        if self.concurrent_max == Some(0) {
            return wrong("concurrent_max", "must be at least 1".to_owned());
        }
        if self.fallback.len() > FALLBACKS_MAX {
            return wrong("fallback", format!("names more than {FALLBACKS_MAX} endpoints"));
        }
        for (index, name) in self.fallback.iter().enumerate() {
            check_name(&format!("fallback[{index}]"), name, endpoint)?;
            if self.fallback[..index].contains(name) {
                return wrong(&format!("fallback[{index}]"), format!("names '{name}' again"));
            }
        }
        if self.rules.len() > RULES_MAX {
            return wrong("rules", format!("has more than {RULES_MAX} rules"));
        }
        let rules = self.rules.iter().enumerate();
        rules
            .into_iter()
            .try_for_each(|(index, rule)| check_rule(index, rule, endpoint))
    }
}

fn check_rule(index: usize, rule: &Rule, endpoint: &str) -> Result<(), RoutingProblem> {
    for (place, condition) in rule.when.iter().enumerate() {
        let problem = match condition {
            Condition::Header { name, .. } if !is_header(name) => {
                format!("'{name}' is not the name of a header")
            }
            Condition::PromptTokens {
                at_least: Some(least),
                at_most: Some(most),
            } if least > most => format!("no prompt has at least {least} and at most {most} tokens"),
            Condition::PromptTokens {
                at_least: None,
                at_most: None,
            } => "has no bound; give at_least, at_most or both, as {\"prompt_tokens\": {\"at_least\": 8000}}"
                .to_owned(),
            Condition::Tenant(names) if names.is_empty() => {
                "names no caller, so that it never holds; name some, as {\"tenant\": [\"acme\"]}".to_owned()
            }
            _ => continue,
        };
        let field = format!("rules[{index}].when[{place}]");
        return Err(RoutingProblem { field, problem });
    }
    match &rule.to {
        Destination::Pool(name) => check_name(&format!("rules[{index}].to.pool"), name, endpoint),
        Destination::Replicas(ids) if ids.is_empty() => Err(RoutingProblem {
            field: format!("rules[{index}].to.replicas"),
            problem: "names no replica, so that nobody answers what it sends there".to_owned(),
        }),
        _ => Ok(()),
    }
}

fn check_name(field: &str, name: &str, endpoint: &str) -> Result<(), RoutingProblem> {
    let problem = if name == endpoint {
        "is the endpoint itself"
    } else if name.is_empty() || name.len() > NAME_MAX {
        "is not the name of an endpoint"
    } else {
        return Ok(());
    };
    Err(RoutingProblem {
        field: field.to_owned(),
        problem: problem.to_owned(),
    })
}

/// RFC 9110, section 5.1: a token.
fn is_header(name: &str) -> bool {
    let is_token = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
    !name.is_empty() && name.len() <= NAME_MAX && name.bytes().all(is_token)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn problem(change: impl FnOnce(&mut Routing)) -> String {
        let mut routing = Routing::default();
        change(&mut routing);
        let problem = routing.check("chat").unwrap_err();
        format!("{} {}", problem.field, problem.problem)
    }

    #[test]
    fn costs_are_rounded_up() {
        let price = Price {
            prompt_micros: 150_000,
            cached_micros: Some(75_000),
            answer_micros: 600_000,
            request_micros: 3,
        };
        assert_eq!(
            price.micros(1, 1_000_000, 400_000, 1_000_000),
            3 + 90_000 + 30_000 + 600_000
        );
        assert_eq!(price.micros(0, 1, 0, 0), 1);
        assert_eq!(price.micros(0, 0, 5, 0), 0);
        assert_eq!(price.micros(u64::MAX, u64::MAX, 0, u64::MAX), u64::MAX);
    }

    #[test]
    fn what_nobody_can_mean_is_named() {
        assert_eq!(Routing::default().check("chat"), Ok(()));
        let says = |change: fn(&mut Routing), said: &str| {
            let problem = problem(change);
            assert!(problem.contains(said), "{problem}");
        };
        says(
            |r| r.session_header = "a b".to_owned(),
            "session_header 'a b' is not",
        );
        says(
            |r| r.retry.attempts = 0,
            "retry.attempts must lie between 1 and 8",
        );
        says(|r| r.retry.budget_percent = 101, "retry.budget_percent");
        says(|r| r.hedge_after_ms = Some(0), "hedge_after_ms must lie");
        says(|r| r.timeout_ms = Some(600_001), "timeout_ms must lie");
        says(
            |r| r.concurrent_max = Some(0),
            "concurrent_max must be at least 1",
        );
        says(
            |r| r.fallback = vec!["chat".to_owned()],
            "fallback[0] is the endpoint itself",
        );
        says(
            |r| r.fallback = vec!["a".to_owned(), "a".to_owned()],
            "fallback[1] names 'a' again",
        );
        says(
            |r| {
                r.rules = vec![Rule {
                    when: vec![Condition::PromptTokens {
                        at_least: Some(2),
                        at_most: Some(1),
                    }],
                    to: Destination::All,
                }];
            },
            "rules[0].when[0] no prompt has",
        );
        says(
            |r| {
                r.rules = vec![Rule {
                    when: vec![],
                    to: Destination::Pool("chat".to_owned()),
                }];
            },
            "rules[0].to.pool is the endpoint itself",
        );
    }

    #[test]
    fn a_rule_that_can_do_nothing_is_named() {
        let told = |rule: &str| problem(|routing| routing.rules = vec![serde_json::from_str(rule).unwrap()]);
        assert_eq!(
            told(r#"{"when": [{"tenant": []}], "to": "all"}"#),
            "rules[0].when[0] names no caller, so that it never holds; name some, as {\"tenant\": [\"acme\"]}"
        );
        assert!(
            told(r#"{"when": [{"version": 1}, {"prompt_tokens": {}}], "to": "all"}"#)
                .starts_with("rules[0].when[1] has no bound")
        );
        assert!(told(r#"{"to": {"replicas": []}}"#).starts_with("rules[0].to.replicas names no replica"));
    }
}
