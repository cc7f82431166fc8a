//! Who held what for how long, and what came of it: accounting, from what is stored of every job. Pure.
//!
//! What a job was given counts from its admission to its end, for all of its workers, as a budget is charged: whether it
//! used it or not. Of that, what an attempt did after its last checkpoint is lost when it fails or makes room for another;
//! a service loses nothing by its end, it has answered until then.

mod period;

use std::collections::{BTreeMap, BTreeSet};
use std::str::FromStr;

use corliss_types::{Resources, Timestamp};
use serde::{Deserialize, Serialize};

use crate::{ExitClass, JobKind, JobsError};

pub use period::Period;

const HOUR_MS: f64 = 3_600_000.0;
const CPU_MILLI: f64 = 1_000.0;
const GIB: f64 = (1_u64 << 30) as f64;
/// Parts of a time in one answer.
const PERIODS_MAX: usize = 1_000;
/// Lines of one answer.
pub(crate) const ITEMS_MAX: usize = 10_000;
/// The last millisecond of the year 9999.
const LAST_MS: i64 = 253_402_300_799_999;

/// What usage is told by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum UsageBy {
    /// By who submitted the run; services are nobody's.
    User,
    /// By the project of the run, or the endpoint.
    Project,
    /// By queue.
    Queue,
}

impl FromStr for UsageBy {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "user" => Ok(Self::User),
            "project" => Ok(Self::Project),
            "queue" => Ok(Self::Queue),
            _ => Err(format!("'{text}' is none of user, project, queue")),
        }
    }
}

/// What is asked: of which time, told by what.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UsageQuery {
    /// From then on.
    pub from: Timestamp,
    /// Up to then.
    pub to: Timestamp,
    /// A line for each of these; one for all of it if there is none.
    pub by: BTreeSet<UsageBy>,
    /// A line for each of these periods.
    pub per: Option<Period>,
}

/// What was held in a time, and what came of it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Usage {
    /// From then on, in milliseconds since 1970.
    pub from_ms: i64,
    /// Up to then.
    pub to_ms: i64,
    /// By period, then by name.
    pub items: Vec<UsageItem>,
    /// Of all of it; a job that ran in two periods is one job here.
    pub total: Consumption,
}

/// One line of it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct UsageItem {
    /// Begin of the part of the time, in milliseconds since 1970.
    pub from_ms: i64,
    /// Its end.
    pub to_ms: i64,
    /// Whose, where it is told by user; empty where it is nobody's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user: Option<String>,
    /// Of which project, where it is told by project.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub project: Option<String>,
    /// In which queue, where it is told by queue.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub queue: Option<String>,
    /// How much.
    #[serde(flatten)]
    pub consumption: Consumption,
}

/// How much was held, and what came of it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
pub struct Consumption {
    /// Jobs that waited or held something; every attempt is one.
    pub jobs: u64,
    /// Hours that they waited.
    pub waited_hours: f64,
    /// What they were given.
    pub allocated: Hours,
    /// Of that, what was lost because an attempt failed.
    pub failed: Hours,
    /// Of that, what was lost because an attempt made room for another.
    pub preempted: Hours,
    /// CPU time that their processes took, of those that have ended, in hours.
    pub used_cpu_hours: f64,
}

/// Resources times time.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
pub struct Hours {
    /// Hours of a CPU.
    pub cpu: f64,
    /// Hours of a GiB of memory.
    pub memory_gib: f64,
    /// Hours of an accelerator.
    pub accelerator: f64,
}

impl Hours {
    fn add(&mut self, held: &Resources, ms: i64) {
        let hours = float(ms) / HOUR_MS;
        self.cpu += unsigned(held.cpu_milli) / CPU_MILLI * hours;
        self.memory_gib += unsigned(held.memory_bytes) / GIB * hours;
        self.accelerator += f64::from(held.accelerators) * hours;
    }
}

/// What is accounted of a job.
#[derive(Debug, Clone)]
pub(crate) struct Account {
    pub user: String,
    pub project: String,
    pub queue: String,
    pub kind: JobKind,
    /// All workers together.
    pub held: Resources,
    pub created: Timestamp,
    pub admitted: Option<Timestamp>,
    pub ended: Option<Timestamp>,
    /// When the newest checkpoint was begun that it left.
    pub saved: Option<Timestamp>,
    pub class: Option<ExitClass>,
    /// Of its processes that have ended.
    pub cpu_time_ms: u64,
}

impl UsageQuery {
    /// Whether this can be answered.
    ///
    /// # Errors
    /// The time is none, or has too many parts.
    pub(crate) fn check(&self) -> Result<(), JobsError> {
        let wrong = |field, reason: String| Err(JobsError::InvalidUsage { field, reason });
        let (from, to) = (self.from.as_millis(), self.to.as_millis());
        for (field, at) in [("to_ms", to), ("from_ms", from)] {
            if !(0..=LAST_MS).contains(&at) {
                return wrong(
                    field,
                    "its times must lie between the years 1970 and 9999".to_owned(),
                );
            }
        }
        if from >= to {
            return wrong("from_ms", "it begins no sooner than it ends".to_owned());
        }
        if self.periods(from, to).nth(PERIODS_MAX).is_some() {
            return wrong(
                "per",
                format!(
                    "the time has more than {PERIODS_MAX} of those; ask for longer ones, or for less of it"
                ),
            );
        }
        Ok(())
    }

    /// The parts of the time from `from_ms` to `to_ms`, cut at its ends.
    fn periods(&self, from_ms: i64, to_ms: i64) -> impl Iterator<Item = (i64, i64)> + use<> {
        let per = self.per;
        let mut at = from_ms;
        std::iter::from_fn(move || {
            let begin = at;
            at = per.map_or(to_ms, |per| per.end_of(per.start_of(begin)).min(to_ms));
            (begin < to_ms).then_some((begin, at))
        })
    }
}

/// The account of many jobs, one after the other.
pub(crate) struct Ledger {
    query: UsageQuery,
    now_ms: i64,
    lines: BTreeMap<(i64, i64, [Option<String>; 3]), Consumption>,
    total: Consumption,
}

impl Ledger {
    pub fn new(query: UsageQuery, now: Timestamp) -> Self {
        Self {
            query,
            now_ms: now.as_millis(),
            lines: BTreeMap::new(),
            total: Consumption::default(),
        }
    }

    pub fn add(&mut self, account: &Account) {
        let (from, to) = (self.query.from.as_millis(), self.query.to.as_millis());
        let spans = Spans::of(account, self.now_ms);
        if !spans.touches(from, to) {
            return;
        }
        spans.count(account, from, to, &mut self.total);
        let name = |by: UsageBy, name: &String| self.query.by.contains(&by).then(|| name.clone());
        let names = [
            name(UsageBy::User, &account.user),
            name(UsageBy::Project, &account.project),
            name(UsageBy::Queue, &account.queue),
        ];
        for (begin, end) in self.query.periods(from, to) {
            if spans.touches(begin, end) {
                let line = self.lines.entry((begin, end, names.clone())).or_default();
                spans.count(account, begin, end, line);
            }
        }
    }

    /// Lines so far.
    pub fn len(&self) -> usize {
        self.lines.len()
    }

    pub fn close(self) -> Usage {
        let items = self
            .lines
            .into_iter()
            .map(|((from_ms, to_ms, names), consumption)| {
                let [user, project, queue] = names;
                UsageItem {
                    from_ms,
                    to_ms,
                    user,
                    project,
                    queue,
                    consumption,
                }
            });
        Usage {
            from_ms: self.query.from.as_millis(),
            to_ms: self.query.to.as_millis(),
            items: items.collect(),
            total: self.total,
        }
    }
}

/// When a job waited, held something, and lost it again; each from and to in milliseconds.
struct Spans {
    waited: (i64, i64),
    held: Option<(i64, i64)>,
    lost: Option<(i64, i64)>,
}

impl Spans {
    fn of(account: &Account, now_ms: i64) -> Self {
        let ms = |at: Option<Timestamp>| at.map(Timestamp::as_millis);
        let (admitted, ended) = (ms(account.admitted), ms(account.ended));
        let end = ended.unwrap_or(now_ms);
        let is_lost = account.kind == JobKind::Batch && account.class.is_some();
        Self {
            waited: (account.created.as_millis(), admitted.unwrap_or(end)),
            held: admitted.map(|admitted| (admitted, end)),
            lost: admitted.filter(|_| is_lost).map(|admitted| {
                let saved = ms(account.saved).unwrap_or(admitted);
                (admitted.max(saved), end)
            }),
        }
    }

    /// Whether it waited or held something in this time; the moment of a submission counts.
    fn touches(&self, from: i64, to: i64) -> bool {
        let until = self.held.map_or(self.waited.1, |held| held.1);
        let begin = self.waited.0;
        begin < to && (until > from || (begin == until && begin >= from))
    }

    fn count(&self, account: &Account, from: i64, to: i64, into: &mut Consumption) {
        let within = |span: Option<(i64, i64)>| {
            let (begin, end) = span.unwrap_or((0, 0));
            (end.min(to) - begin.max(from)).max(0)
        };
        into.jobs += 1;
        into.waited_hours += float(within(Some(self.waited))) / HOUR_MS;
        let held = within(self.held);
        into.allocated.add(&account.held, held);
        match account.class {
            Some(ExitClass::Preempted) => into.preempted.add(&account.held, within(self.lost)),
            Some(_) => into.failed.add(&account.held, within(self.lost)),
            None => {}
        }
        // It is not known when within its time a process used the CPU, so it is taken to have done so evenly.
        let whole = self.held.map_or(0, |(begin, end)| end - begin);
        if whole > 0 {
            into.used_cpu_hours += unsigned(account.cpu_time_ms) * float(held) / float(whole) / HOUR_MS;
        }
    }
}

#[expect(clippy::cast_precision_loss, reason = "the quotient is a share or hours")]
const fn float(ms: i64) -> f64 {
    ms as f64
}

#[expect(clippy::cast_precision_loss, reason = "the quotient is a share or hours")]
const fn unsigned(amount: u64) -> f64 {
    amount as f64
}

#[cfg(test)]
mod tests;
