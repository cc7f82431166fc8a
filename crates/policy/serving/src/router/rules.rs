//! Application-aware routing: rules that send a request to some of an endpoint's replicas, or elsewhere.
//!
//! Problem: given what a request says of itself (the version that it asks for, its headers, who sends it, how
//! long its prompt is) and a list of rules, say where it goes. The first rule whose conditions all hold
//! decides; without one it goes to any replica. A version that the client asks for by name is not a rule: it
//! is a condition that a rule may look at.

use std::collections::BTreeSet;

use corliss_types::ReplicaId;
use serde::{Deserialize, Serialize};

use super::Among;

/// A rule: where requests go for which all conditions hold. Without a condition it holds for all.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Rule {
    /// What must hold.
    #[serde(default)]
    pub when: Vec<Condition>,
    /// Where such a request goes.
    pub to: Destination,
}

/// What may be said of a request.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Condition {
    /// It asks for this version of the model.
    Version(u32),
    /// A header has this value. The header's name is compared without regard to case, its value exactly.
    Header {
        /// Its name.
        name: String,
        /// Its value.
        is: String,
    },
    /// One of these tenants sends it.
    Tenant(BTreeSet<String>),
    /// Its prompt has so many tokens; a bound that is not given does not bind.
    PromptTokens {
        /// At least so many.
        #[serde(default)]
        at_least: Option<u64>,
        /// At most so many.
        #[serde(default)]
        at_most: Option<u64>,
    },
}

/// Where a request goes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Destination {
    /// To any replica.
    All,
    /// To the replicas of one version.
    Version(u32),
    /// To the replicas listed.
    Replicas(Vec<ReplicaId>),
    /// To another pool: an endpoint of its own, with its own router.
    Pool(String),
}

/// What a request says of itself.
#[derive(Debug, Clone, Copy, Default)]
pub struct Facts<'a> {
    /// The version of the model that it asks for.
    pub version: Option<u32>,
    /// Its headers.
    pub headers: &'a [(&'a str, &'a str)],
    /// Who sends it.
    pub tenant: Option<&'a str>,
    /// Tokens of its prompt.
    pub prompt_tokens: u64,
}

/// Where a request may go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Route<'a> {
    /// To these replicas of this endpoint.
    Here(Among<'a>),
    /// To another pool.
    Pool(&'a str),
}

/// Where a request goes, and by which rule (counted from 0); `None` where no rule holds.
#[must_use]
pub fn route<'a>(rules: &'a [Rule], facts: &Facts<'_>) -> (Route<'a>, Option<usize>) {
    let holds = |rule: &Rule| rule.when.iter().all(|condition| condition.holds(facts));
    let Some((index, rule)) = rules.iter().enumerate().find(|(_, rule)| holds(rule)) else {
        return (Route::Here(Among::All), None);
    };
    let route = match &rule.to {
        Destination::All => Route::Here(Among::All),
        Destination::Version(version) => Route::Here(Among::Version(*version)),
        Destination::Replicas(ids) => Route::Here(Among::These(ids)),
        Destination::Pool(name) => Route::Pool(name),
    };
    (route, Some(index))
}

impl Condition {
    fn holds(&self, facts: &Facts<'_>) -> bool {
        match self {
            Self::Version(version) => facts.version == Some(*version),
            Self::Header { name, is } => facts
                .headers
                .iter()
                .any(|(other, value)| other.eq_ignore_ascii_case(name) && value == is),
            Self::Tenant(tenants) => facts.tenant.is_some_and(|tenant| tenants.contains(tenant)),
            Self::PromptTokens { at_least, at_most } => {
                at_least.is_none_or(|least| facts.prompt_tokens >= least)
                    && at_most.is_none_or(|most| facts.prompt_tokens <= most)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rule(when: Vec<Condition>, to: Destination) -> Rule {
        Rule { when, to }
    }

    fn header(name: &str, is: &str) -> Condition {
        Condition::Header {
            name: name.to_owned(),
            is: is.to_owned(),
        }
    }

    #[test]
    fn the_first_rule_that_holds_decides() {
        let long = Condition::PromptTokens {
            at_least: Some(8_000),
            at_most: None,
        };
        let short = Condition::PromptTokens {
            at_least: None,
            at_most: Some(100),
        };
        let rules = [
            rule(vec![header("X-Stage", "beta"), short], Destination::Version(3)),
            rule(vec![long], Destination::Pool("long".to_owned())),
            rule(
                vec![Condition::Tenant(["acme".to_owned()].into())],
                Destination::Replicas(vec![]),
            ),
            rule(vec![Condition::Version(2)], Destination::Version(2)),
        ];
        let facts = Facts::default();
        assert_eq!(route(&rules, &facts), (Route::Here(Among::All), None));
        let headers = [("x-stage", "beta")];
        let beta = Facts {
            headers: &headers,
            prompt_tokens: 100,
            ..facts
        };
        assert_eq!(route(&rules, &beta), (Route::Here(Among::Version(3)), Some(0)));
        let long_beta = Facts {
            prompt_tokens: 8_000,
            ..beta
        };
        assert_eq!(route(&rules, &long_beta), (Route::Pool("long"), Some(1)));
        let other_value = [("x-stage", "Beta")];
        let not_beta = Facts {
            headers: &other_value,
            ..beta
        };
        assert_eq!(route(&rules, &not_beta), (Route::Here(Among::All), None));
        let acme = Facts {
            tenant: Some("acme"),
            version: Some(2),
            ..facts
        };
        assert_eq!(route(&rules, &acme), (Route::Here(Among::These(&[])), Some(2)));
        let second = Facts {
            version: Some(2),
            ..facts
        };
        assert_eq!(route(&rules, &second), (Route::Here(Among::Version(2)), Some(3)));
    }

    #[test]
    fn a_rule_without_conditions_holds_for_all() {
        let rules = [
            rule(vec![], Destination::Version(1)),
            rule(vec![], Destination::All),
        ];
        assert_eq!(
            route(&rules, &Facts::default()),
            (Route::Here(Among::Version(1)), Some(0))
        );
    }
}
