//! How a new version gets out, as its operator says it. Every member but the strategy has a default that suits the
//! strategy; one that belongs to another strategy is refused, not ignored. Times are in milliseconds.

use corliss_types::DurationMs;
use serde::{Deserialize, Serialize};

use crate::RoutingProblem;

const STEPS_MAX: usize = 20;
const STEP_DEFAULT_MS: u64 = 60_000;
const KEEP_DEFAULT_MS: u64 = 600_000;
const REQUESTS_DEFAULT: u64 = 50;
const REQUESTS_MAX: u64 = 1_000_000_000;
/// Thirty days.
const TIME_MAX_MS: u64 = 30 * 24 * 3_600_000;
const ERRORS_DEFAULT_BP: u32 = 100;

/// In which way a new version gets its requests.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Strategy {
    /// Replica by replica; nothing is compared.
    #[default]
    Rolling,
    /// A share of the requests that grows by steps, as long as the new version keeps its objectives.
    Canary,
    /// All at once, when as many replicas are ready as the old one has, which stay for a while.
    BlueGreen,
    /// Copies of requests, whose answers nobody gets.
    Shadow,
    /// A share of the callers or sessions, each of which stays with its version, until somebody decides.
    Ab,
}

impl Strategy {
    /// All of them.
    pub const ALL: [Self; 5] = [
        Self::Rolling,
        Self::Canary,
        Self::BlueGreen,
        Self::Shadow,
        Self::Ab,
    ];

    /// The name as stored and sent.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Rolling => "rolling",
            Self::Canary => "canary",
            Self::BlueGreen => "blue_green",
            Self::Shadow => "shadow",
            Self::Ab => "ab",
        }
    }
}

/// How a new version gets out.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ReleasePlan {
    /// In which way.
    pub strategy: Strategy,
    /// The new version's share in percent, step by step, for [`Strategy::Canary`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub steps: Option<Vec<u32>>,
    /// How long each step takes at least, for [`Strategy::Canary`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub step_ms: Option<u64>,
    /// How long the old version's replicas stay after the switch, for [`Strategy::BlueGreen`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub keep_ms: Option<u64>,
    /// The share of requests or callers in percent, for [`Strategy::Shadow`] and [`Strategy::Ab`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub percent: Option<u32>,
    /// Requests that the new version has answered before it is judged, in each step.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub min_requests: Option<u64>,
    /// What the new version must keep.
    #[serde(default)]
    pub objectives: Objectives,
}

/// What a new version must keep, or it is taken back.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Objectives {
    /// Errors among its requests, in hundredths of a percent.
    pub max_error_bp: u32,
    /// 99 of 100 requests end within this time.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_p99_ms: Option<u64>,
    /// They end within so many percent of the time that 99 of 100 take with the old version.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_p99_ratio_percent: Option<u64>,
    /// For 99 of 100 requests the first of the answer comes within this time.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_first_token_p99_ms: Option<u64>,
}

impl Default for Objectives {
    fn default() -> Self {
        Self {
            max_error_bp: ERRORS_DEFAULT_BP,
            max_p99_ms: None,
            max_p99_ratio_percent: None,
            max_first_token_p99_ms: None,
        }
    }
}

/// What the new version gets.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Split {
    /// Requests, in percent.
    pub percent: u32,
    /// Copies of the old version's requests, in percent.
    pub copies: u32,
    /// Whether a caller stays with its version even if it names no session.
    pub by_caller: bool,
}

impl ReleasePlan {
    /// Requests before the new version is judged.
    #[must_use]
    pub fn minimum(&self) -> u64 {
        self.min_requests.unwrap_or(REQUESTS_DEFAULT)
    }

    /// How long a step takes at least.
    #[must_use]
    pub fn step_time(&self) -> DurationMs {
        DurationMs(self.step_ms.unwrap_or(STEP_DEFAULT_MS))
    }

    /// How long the old version stays after a switch.
    #[must_use]
    pub fn keep_time(&self) -> DurationMs {
        DurationMs(self.keep_ms.unwrap_or(KEEP_DEFAULT_MS))
    }

    /// The shares, step by step; what is not done by steps has one.
    #[must_use]
    pub fn shares(&self) -> Vec<u32> {
        match self.strategy {
            Strategy::Canary => self.steps.clone().unwrap_or_else(|| vec![5, 25, 50]),
            Strategy::Rolling | Strategy::BlueGreen => vec![100],
            Strategy::Shadow => vec![self.percent.unwrap_or(10)],
            Strategy::Ab => vec![self.percent.unwrap_or(50)],
        }
    }

    /// What the new version gets in this step, counted from 0. Before the replicas of a step are ready it gets what it
    /// got in the one before, and nothing in the first.
    #[must_use]
    pub fn split(&self, step: u32, begun: bool) -> Split {
        let shares = self.shares();
        let at = if begun { Some(step) } else { step.checked_sub(1) };
        let share = at.and_then(|at| shares.get(at as usize)).copied().unwrap_or(0);
        let by_caller = self.strategy == Strategy::Ab;
        match self.strategy {
            Strategy::Shadow => Split {
                percent: 0,
                copies: share,
                by_caller,
            },
            _ => Split {
                percent: share,
                copies: 0,
                by_caller,
            },
        }
    }

    /// How many replicas of the new version this step needs, where the endpoint has so many.
    #[must_use]
    pub fn replicas(&self, step: u32, wanted: u32) -> u32 {
        let share = self.shares().get(step as usize).copied().unwrap_or(100);
        let needed = u64::from(wanted) * u64::from(share);
        u32::try_from(needed.div_ceil(100)).unwrap_or(wanted).max(1)
    }

    /// The first thing wrong with it.
    ///
    /// # Errors
    /// If something is.
    pub fn check(&self) -> Result<(), RoutingProblem> {
        let wrong = |field: &str, problem: String| {
            let field = format!("release.{field}");
            Err(RoutingProblem { field, problem })
        };
        let only = |field: &'static str, is_set: bool, strategies: &[Strategy]| {
            let fits = !is_set || strategies.contains(&self.strategy);
            let names: Vec<&str> = strategies.iter().map(|one| one.name()).collect();
            (!fits).then(|| {
                (
                    field,
                    format!(
                        "belongs to {}, not to {}",
                        names.join(" and "),
                        self.strategy.name()
                    ),
                )
            })
        };
        let judged = &[
            Strategy::Canary,
            Strategy::BlueGreen,
            Strategy::Shadow,
            Strategy::Ab,
        ];
        let foreign = [
            only("steps", self.steps.is_some(), &[Strategy::Canary]),
            only("step_ms", self.step_ms.is_some(), &[Strategy::Canary]),
            only("keep_ms", self.keep_ms.is_some(), &[Strategy::BlueGreen]),
            only(
                "percent",
                self.percent.is_some(),
                &[Strategy::Shadow, Strategy::Ab],
            ),
            only("min_requests", self.min_requests.is_some(), judged),
            only("objectives", self.objectives != Objectives::default(), judged),
        ];
        if let Some((field, problem)) = foreign.into_iter().flatten().next() {
            return wrong(field, problem);
        }
        let steps = self.steps.as_deref().unwrap_or(&[1]);
        if !(1..=STEPS_MAX).contains(&steps.len()) {
            return wrong("steps", format!("must be 1 to {STEPS_MAX} percentages"));
        }
        if steps.iter().any(|step| !(1..=100).contains(step)) || !steps.is_sorted_by(|one, next| one < next) {
            return wrong(
                "steps",
                "must be percentages from 1 to 100, each higher than the one before".to_owned(),
            );
        }
        if self.percent.is_some_and(|percent| !(1..=100).contains(&percent)) {
            return wrong("percent", "must lie between 1 and 100".to_owned());
        }
        for (field, time) in [("step_ms", self.step_ms), ("keep_ms", self.keep_ms)] {
            if time.is_some_and(|time| !(1..=TIME_MAX_MS).contains(&time)) {
                return wrong(field, format!("must lie between 1 and {TIME_MAX_MS}"));
            }
        }
        if self
            .min_requests
            .is_some_and(|count| !(1..=REQUESTS_MAX).contains(&count))
        {
            return wrong("min_requests", format!("must lie between 1 and {REQUESTS_MAX}"));
        }
        self.objectives.check()
    }
}

impl Objectives {
    fn check(&self) -> Result<(), RoutingProblem> {
        let wrong = |field: &str, problem: &str| {
            let (field, problem) = (format!("release.objectives.{field}"), problem.to_owned());
            Err(RoutingProblem { field, problem })
        };
        if self.max_error_bp > 10_000 {
            return wrong(
                "max_error_bp",
                "must lie between 0 and 10000, hundredths of a percent",
            );
        }
        for (field, time) in [
            ("max_p99_ms", self.max_p99_ms),
            ("max_first_token_p99_ms", self.max_first_token_p99_ms),
        ] {
            if time.is_some_and(|time| !(1..=TIME_MAX_MS).contains(&time)) {
                return wrong(field, "must lie between 1 and 2592000000");
            }
        }
        if self
            .max_p99_ratio_percent
            .is_some_and(|ratio| !(100..=100_000).contains(&ratio))
        {
            return wrong("max_p99_ratio_percent", "must lie between 100 and 100000");
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plan(text: &str) -> ReleasePlan {
        serde_json::from_str(text).unwrap()
    }

    #[test]
    fn what_a_step_gives_and_needs() {
        let canary = plan(r#"{"strategy": "canary", "steps": [5, 50]}"#);
        let percents = [(0, false), (0, true), (1, false), (1, true)]
            .map(|(step, begun)| canary.split(step, begun).percent);
        assert_eq!(percents, [0, 5, 5, 50]);
        assert_eq!(
            [
                canary.replicas(0, 4),
                canary.replicas(1, 4),
                canary.replicas(1, 3)
            ],
            [1, 2, 2]
        );
        let green = plan(r#"{"strategy": "blue_green"}"#);
        assert_eq!(
            (
                green.replicas(0, 3),
                green.split(0, false).percent,
                green.split(0, true).percent
            ),
            (3, 0, 100)
        );
        let shadow = plan(r#"{"strategy": "shadow", "percent": 20}"#).split(0, true);
        assert_eq!((shadow.percent, shadow.copies), (0, 20));
        assert!(plan(r#"{"strategy": "ab"}"#).split(0, true).by_caller);
    }

    #[test]
    fn what_nobody_can_mean_is_named() {
        for (text, field, said) in [
            (
                r#"{"strategy": "rolling", "steps": [5]}"#,
                "release.steps",
                "belongs to canary, not to rolling",
            ),
            (
                r#"{"strategy": "ab", "keep_ms": 5}"#,
                "release.keep_ms",
                "belongs to blue_green",
            ),
            (
                r#"{"strategy": "rolling", "objectives": {"max_p99_ms": 5}}"#,
                "release.objectives",
                "belongs to canary",
            ),
            (
                r#"{"strategy": "canary", "steps": []}"#,
                "release.steps",
                "1 to 20",
            ),
            (
                r#"{"strategy": "canary", "steps": [5, 5]}"#,
                "release.steps",
                "each higher",
            ),
            (
                r#"{"strategy": "canary", "steps": [5, 101]}"#,
                "release.steps",
                "from 1 to 100",
            ),
            (
                r#"{"strategy": "shadow", "percent": 0}"#,
                "release.percent",
                "between 1 and 100",
            ),
            (
                r#"{"strategy": "canary", "step_ms": 0}"#,
                "release.step_ms",
                "between 1",
            ),
            (
                r#"{"strategy": "canary", "min_requests": 0}"#,
                "release.min_requests",
                "between 1",
            ),
            (
                r#"{"strategy": "ab", "objectives": {"max_error_bp": 10001}}"#,
                "release.objectives.max_error_bp",
                "hundredths",
            ),
            (
                r#"{"strategy": "ab", "objectives": {"max_p99_ratio_percent": 99}}"#,
                "release.objectives.max_p99_ratio_percent",
                "100",
            ),
        ] {
            let problem = plan(text).check().unwrap_err();
            assert_eq!(problem.field, field, "{text}");
            assert!(problem.problem.contains(said), "{text}: {}", problem.problem);
        }
        for strategy in Strategy::ALL {
            let plan = plan(&format!(r#"{{"strategy": "{}"}}"#, strategy.name()));
            assert_eq!(plan.check(), Ok(()), "{strategy:?}");
        }
    }
}
