//! The queues as people declare them, held to what can be true before they are kept.

use std::collections::BTreeMap;

use corliss_diagnostics::nearest;
use corliss_policy_scheduling::order::Order;
use corliss_policy_scheduling::queues::{Cap, Dimension, Overtaking, Preempts, Queue, Quota};
use corliss_policy_scheduling::{Rate, Rules};
use serde::{Deserialize, Serialize};

use crate::{DEFAULT_QUEUE, JobsError, view};

const QUEUES_MAX: usize = 1_000;
pub(crate) const NAME_MAX: usize = 63;
const WEIGHT_MAX: u32 = 1_000_000;
/// Ten years.
const SECONDS_MAX: u64 = 315_360_000;

/// All queues and the rules that hold for all of them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct QueueSettings {
    /// By name. `default` is there whether it is named here or not.
    #[serde(default)]
    pub queues: BTreeMap<String, QueueSpec>,
    /// After how many seconds what was held counts half for shares; without it, only what is held counts.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub half_life_s: Option<u64>,
    /// A job that has run for fewer seconds is not stopped for another.
    #[serde(default)]
    pub least_run_s: u64,
    /// For how many seconds one that does not fit may be overtaken.
    #[serde(default = "patience_s")]
    pub patience_s: u64,
    /// Jobs that may be stopped in any minute because their queue has more than its share.
    #[serde(default = "share_stops_per_minute")]
    pub share_stops_per_minute: u32,
}

const fn patience_s() -> u64 {
    3_600
}

const fn share_stops_per_minute() -> u32 {
    10
}

const fn one() -> u32 {
    1
}

impl Default for QueueSettings {
    fn default() -> Self {
        Self {
            queues: BTreeMap::new(),
            half_life_s: None,
            least_run_s: 0,
            patience_s: patience_s(),
            share_stops_per_minute: share_stops_per_minute(),
        }
    }
}

/// One queue.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct QueueSpec {
    /// The queue that it is a part of.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub parent: Option<String>,
    /// Its share beside its siblings.
    #[serde(default = "one")]
    pub weight: u32,
    /// Who goes first, among those of one priority.
    #[serde(default, with = "named::order")]
    pub order: Order,
    /// Whether users take turns before that, whoever has had the least first.
    #[serde(default)]
    pub fair: bool,
    /// Who may go before one that does not fit yet.
    #[serde(default, with = "named::overtaking")]
    pub overtaking: Overtaking,
    /// What is its own.
    #[serde(default, skip_serializing_if = "Amounts::is_empty")]
    pub quota: Amounts,
    /// The most that it may use of what others do not, beside its own; what is not named, all.
    #[serde(default, skip_serializing_if = "Amounts::is_empty")]
    pub borrow: Amounts,
    /// The most of its own that others may use; what is not named, all.
    #[serde(default, skip_serializing_if = "Amounts::is_empty")]
    pub lend: Amounts,
    /// The most that one user may hold in it and below it.
    #[serde(default, skip_serializing_if = "Amounts::is_empty")]
    pub per_user: Amounts,
    /// Whether its jobs may be stopped for others where they do not say so themselves.
    #[serde(default)]
    pub preemptible: bool,
    /// Whose places its jobs may take, of jobs that may be stopped.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub preempt: Vec<Preempt>,
}

impl Default for QueueSpec {
    fn default() -> Self {
        Self {
            parent: None,
            weight: one(),
            order: Order::default(),
            fair: false,
            overtaking: Overtaking::default(),
            quota: Amounts::default(),
            borrow: Amounts::default(),
            lend: Amounts::default(),
            per_user: Amounts::default(),
            preemptible: false,
            preempt: Vec::new(),
        }
    }
}

/// Whose places a queue's jobs may take.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Preempt {
    /// Those of the same queue that are of a lower priority, or go after it in an order that preempts.
    Lower,
    /// Those that use what this queue has a quota of.
    Borrowers,
    /// Those of queues that have more than their share.
    Favoured,
}

/// Amounts of resources; what is not named is not limited.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Amounts {
    /// Thousandths of a CPU.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cpu_milli: Option<u64>,
    /// Bytes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub memory_bytes: Option<u64>,
    /// Whole accelerators.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub accelerators: Option<u64>,
}

impl Amounts {
    fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// In the policy's units.
    fn parts(&self) -> impl Iterator<Item = (Dimension, &'static str, i64)> {
        let accelerators = self.accelerators.map(|whole| whole.saturating_mul(1_000));
        [
            (Dimension::Cpu, "cpu_milli", self.cpu_milli),
            (Dimension::Memory, "memory_bytes", self.memory_bytes),
            (Dimension::Accelerators, "accelerators", accelerators),
        ]
        .into_iter()
        .filter_map(|(dimension, name, amount)| Some((dimension, name, view::signed(amount?))))
    }

    fn of(&self, dimension: Dimension) -> Option<i64> {
        self.parts().find(|part| part.0 == dimension).map(|part| part.2)
    }
}

impl QueueSettings {
    /// Whether these can be the queues.
    ///
    /// # Errors
    /// They cannot; the error names the field.
    pub fn check(&self) -> Result<(), JobsError> {
        let refuse = |field: String, reason: String| Err(JobsError::InvalidQueues { field, reason });
        if self.queues.len() > QUEUES_MAX {
            let reason = format!("there are {}, {QUEUES_MAX} are possible", self.queues.len());
            return refuse("queues".to_owned(), reason);
        }
        let times = [
            ("half_life_s", self.half_life_s.unwrap_or(1), 1),
            ("least_run_s", self.least_run_s, 0),
            ("patience_s", self.patience_s, 0),
        ];
        for (field, seconds, least) in times {
            if !(least..=SECONDS_MAX).contains(&seconds) {
                let reason = format!("{seconds} is not between {least} and {SECONDS_MAX} seconds");
                return refuse(field.to_owned(), reason);
            }
        }
        for (name, queue) in &self.queues {
            self.check_queue(name, queue)?;
        }
        Ok(())
    }

    fn check_queue(&self, name: &str, queue: &QueueSpec) -> Result<(), JobsError> {
        let refuse = |field: &str, reason: String| {
            let dot = if field.is_empty() { "" } else { "." };
            let field = format!("queues.{name}{dot}{field}");
            Err(JobsError::InvalidQueues { field, reason })
        };
        if !is_name(name) {
            let reason = format!(
                "a name is a letter or digit, then letters, digits, '_' or '-', {NAME_MAX} characters at most"
            );
            return refuse("", reason);
        }
        if !(1..=WEIGHT_MAX).contains(&queue.weight) {
            return refuse(
                "weight",
                format!("{} is not between 1 and {WEIGHT_MAX}", queue.weight),
            );
        }
        if let Some(parent) = &queue.parent {
            if !self.is_known(parent) {
                let near = nearest(parent, self.names());
                let hint = near.map_or_else(String::new, |near| format!("; did you mean '{near}'?"));
                return refuse("parent", format!("there is no queue '{parent}'{hint}"));
            }
            if self.above(name).take(QUEUES_MAX + 1).any(|above| above == name) {
                return refuse("parent", format!("'{parent}' is '{name}' itself or a part of it"));
            }
        }
        for (field, amounts) in [("borrow", &queue.borrow), ("lend", &queue.lend)] {
            if let Some((_, what, _)) = amounts.parts().find(|part| queue.quota.of(part.0).is_none()) {
                return refuse(
                    &format!("{field}.{what}"),
                    format!("the queue has no quota of it: name quota.{what} too, 0 if nothing is its own"),
                );
            }
        }
        for (dimension, what, lent) in queue.lend.parts() {
            if queue.quota.of(dimension).is_some_and(|own| lent > own) {
                return refuse(
                    &format!("lend.{what}"),
                    "it is more than the queue's own quota".to_owned(),
                );
            }
        }
        Ok(())
    }

    /// Whether there is such a queue.
    #[must_use]
    pub fn is_known(&self, name: &str) -> bool {
        name == DEFAULT_QUEUE || self.queues.contains_key(name)
    }

    /// Whether jobs of this queue may be stopped where they do not say so themselves.
    pub(crate) fn is_preemptible(&self, name: &str) -> bool {
        self.queues.get(name).is_some_and(|queue| queue.preemptible)
    }

    /// Whether this queue goes by deadlines.
    pub(crate) fn keeps_deadlines(&self, name: &str) -> bool {
        self.queues
            .get(name)
            .is_some_and(|queue| queue.order == Order::Edf)
    }

    /// Every queue's name.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        let named = self.queues.keys().map(String::as_str);
        let default = (!self.queues.contains_key(DEFAULT_QUEUE)).then_some(DEFAULT_QUEUE);
        named.chain(default)
    }

    /// The queues that a queue is a part of, from below.
    fn above<'a>(&'a self, name: &str) -> impl Iterator<Item = &'a str> {
        let parent = |name: &str| self.queues.get(name)?.parent.as_deref();
        std::iter::successors(parent(name), move |above| parent(above))
    }

    /// As the policy knows them.
    #[must_use]
    pub fn queues(&self) -> Vec<Queue> {
        let known = |name: &str| {
            self.queues
                .get(name)
                .map_or_else(|| Queue::named(name), |spec| spec.queue(name))
        };
        self.names().map(known).collect()
    }

    /// As the policy knows them.
    #[must_use]
    pub fn rules(&self) -> Rules {
        Rules {
            half_life_ms: self.half_life_s.map(|seconds| seconds * 1_000),
            least_run_ms: self.least_run_s * 1_000,
            patience_ms: self.patience_s * 1_000,
            favoured: Rate {
                most: self.share_stops_per_minute,
                per_ms: 60_000,
            },
            ..Rules::default()
        }
    }
}

impl QueueSpec {
    fn queue(&self, name: &str) -> Queue {
        let quotas = self.quota.parts().map(|(dimension, _, nominal)| Quota {
            dimension,
            nominal,
            borrows: self.borrow.of(dimension),
            lends: self.lend.of(dimension),
        });
        let per_user = self.per_user.parts();
        Queue {
            name: name.to_owned(),
            parent: self.parent.clone(),
            weight: self.weight,
            order: self.order,
            is_fair: self.fair,
            overtaking: self.overtaking,
            quotas: quotas.collect(),
            per_user: per_user
                .map(|(dimension, _, most)| Cap { dimension, most })
                .collect(),
            preempts: Preempts {
                lower: self.preempt.contains(&Preempt::Lower),
                borrowers: self.preempt.contains(&Preempt::Borrowers),
                favoured: self.preempt.contains(&Preempt::Favoured),
            },
        }
    }
}

/// Whether a queue or a node may be called that.
pub(crate) fn is_name(text: &str) -> bool {
    let mut letters = text.chars();
    letters.next().is_some_and(|first| first.is_ascii_alphanumeric())
        && letters.all(|letter| letter.is_ascii_alphanumeric() || matches!(letter, '_' | '-'))
        && text.len() <= NAME_MAX
}

/// The policy's words, by their names.
mod named {
    macro_rules! by_name {
        ($module:ident, $kind:ty, $all:expr) => {
            pub mod $module {
                use serde::{Deserialize, Deserializer, Serializer, de::Error};

                type Kind = $kind;

                pub fn serialize<S: Serializer>(value: &Kind, to: S) -> Result<S::Ok, S::Error> {
                    to.serialize_str(value.name())
                }

                pub fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Kind, D::Error> {
                    let text = String::deserialize(from)?;
                    ($all)
                        .into_iter()
                        .find(|value| value.name() == text)
                        .ok_or_else(|| {
                            let names = ($all).map(Kind::name).join(", ");
                            D::Error::custom(format!("'{text}' is none of {names}"))
                        })
                }
            }
        };
    }
    by_name!(order, corliss_policy_scheduling::order::Order, Kind::ALL);
    by_name!(
        overtaking,
        corliss_policy_scheduling::queues::Overtaking,
        Kind::ALL
    );
}

#[cfg(test)]
#[path = "queues_tests.rs"]
mod tests;
