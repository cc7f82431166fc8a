//! Jobs in plain English: amounts, shortages, ends.

use corliss_diagnostics::counted;
use corliss_executor::{ExitKind, LimitEnforcement, TaskExit};
use corliss_policy_scheduling::queues::{Dimension, OverQuota};
use corliss_policy_scheduling::{Never, Resource, Shortage};
use corliss_types::{Nearness, Resources, amount};

use crate::Terms;

/// "4 CPUs, 2 GiB of memory and 1 accelerator"
pub(crate) fn amounts(resources: &Resources) -> String {
    let mut parts = Vec::new();
    if resources.cpu_milli > 0 {
        parts.push(amount(Resource::CpuMilli, resources.cpu_milli));
    }
    if resources.memory_bytes > 0 {
        parts.push(amount(Resource::MemoryBytes, resources.memory_bytes));
    }
    if resources.accelerators > 0 {
        parts.push(amount(Resource::Accelerators, u64::from(resources.accelerators)));
    }
    if parts.is_empty() {
        return "nothing".to_owned();
    }
    list(parts)
}

/// "a, b and c"
pub(crate) fn list(mut names: Vec<String>) -> String {
    let last = names.pop().unwrap_or_default();
    if names.is_empty() {
        return last;
    }
    format!("{} and {last}", names.join(", "))
}

fn amount(resource: Resource, value: u64) -> String {
    match resource {
        Resource::CpuMilli => amount::cpus_in_words(value),
        Resource::MemoryBytes => format!("{} of memory", amount::memory(value)),
        Resource::Accelerators => counted(value, "accelerator", "accelerators"),
    }
}

/// "it needs 4 CPUs, of which 2 are free"
pub(crate) fn needs_but_free(shortage: &Shortage) -> String {
    let needed = amount(shortage.resource, shortage.needed);
    if shortage.available == 0 {
        return format!("{needed}, and none is free");
    }
    let (free, is_one) = match shortage.resource {
        Resource::MemoryBytes => (amount::memory(shortage.available), true),
        Resource::CpuMilli => (amount::cpus(shortage.available), shortage.available == 1_000),
        Resource::Accelerators => (shortage.available.to_string(), shortage.available == 1),
    };
    let are = if is_one { "is" } else { "are" };
    format!("{needed}, of which {free} {are} free")
}

/// Why a job that stands in the queue on these terms could never run, after "it can never start here:".
pub(crate) fn never(reason: &Never, terms: &Terms) -> String {
    match reason {
        Never::TooLarge { shortages } => larger_than_machine(shortages),
        Never::NoPlace => no_room(terms, "has room"),
        Never::NoQueue { queue } => format!("there is no queue '{queue}'"),
        Never::Quota { over } => match over {
            OverQuota::Queue {
                dimension,
                wanted,
                available,
                ..
            } => format!(
                "it needs {} and its queue may use {} at most",
                of(*dimension, *wanted),
                of(*dimension, *available)
            ),
            OverQuota::User {
                queue,
                dimension,
                wanted,
                most,
            } => format!(
                "it needs {} and queue '{queue}' lets each user hold {} at most",
                of(*dimension, *wanted),
                of(*dimension, *most)
            ),
        },
    }
}

/// "no rack has room for all of its workers"
pub(crate) fn no_room(terms: &Terms, has_room: &str) -> String {
    let placing = &terms.placing;
    let mut of = Vec::new();
    if !placing.accelerator_models.is_empty() {
        of.push(placing.accelerator_models.join(" or "));
    }
    if let Some(bytes) = placing.accelerator_memory_bytes {
        of.push(format!("accelerators of at least {}", amount::memory(bytes)));
    }
    let with = match of.is_empty() {
        true => String::new(),
        false => format!(" with {}", of.join(", ")),
    };
    match &placing.near {
        Some(Nearness::Within(level)) => format!("no {level}{with} {has_room} for all of its workers"),
        _ => format!("no node{with} {has_room} for one of its workers"),
    }
}

/// "queue 'research' may use 2 more accelerators, and it needs 4"
pub(crate) fn over_quota(queue: &str, over: &OverQuota) -> String {
    match over {
        OverQuota::Queue {
            dimension,
            wanted,
            available,
            quota,
        } if *available <= 0 => format!(
            "queue '{queue}' uses all that it may, of a quota of {}, and it needs {}",
            of(*dimension, *quota),
            of(*dimension, *wanted)
        ),
        OverQuota::Queue {
            dimension,
            wanted,
            available,
            quota,
        } => format!(
            "queue '{queue}', whose quota is {}, may use {} more now, and it needs {}",
            of(*dimension, *quota),
            of(*dimension, *available),
            of(*dimension, *wanted)
        ),
        OverQuota::User {
            queue,
            dimension,
            wanted,
            most,
        } => format!(
            "with it its user would hold {}, and queue '{queue}' lets each hold {} at most",
            of(*dimension, *wanted),
            of(*dimension, *most)
        ),
    }
}

/// What a quota is of, in words.
fn of(dimension: Dimension, value: i64) -> String {
    let value = u64::try_from(value).unwrap_or(0);
    match dimension {
        Dimension::Cpu => amount(Resource::CpuMilli, value),
        Dimension::Memory => amount(Resource::MemoryBytes, value),
        Dimension::Accelerators | Dimension::Model(_) => amount(Resource::Accelerators, value / 1_000),
    }
}

/// "it needs 8 CPUs and this machine has 4 CPUs"
fn larger_than_machine(shortages: &[Shortage]) -> String {
    let each = shortages.iter().map(|shortage| {
        let needed = amount(shortage.resource, shortage.needed);
        format!(
            "it needs {needed} and this machine has {}",
            amount(shortage.resource, shortage.available)
        )
    });
    each.collect::<Vec<_>>().join("; ")
}

/// A whole sentence: capital first, full stop last.
pub(crate) fn sentence(clause: &str) -> String {
    let mut letters = clause.chars();
    match letters.next() {
        Some(first) => format!("{}{}.", first.to_uppercase(), letters.as_str()),
        None => String::new(),
    }
}

/// How a worker's end reads after "it" or "rank 1": "was killed by signal 9 (SIGKILL), which …"
pub(crate) fn ended(exit: &TaskExit) -> String {
    let mut text = match exit.kind {
        ExitKind::Exited => format!("ended with exit code {}", exit.code.unwrap_or(-1)),
        ExitKind::Signaled => {
            let number = exit.signal.unwrap_or(0);
            format!(
                "was killed by signal {number}{}, which Corliss did not send",
                signal_name(number)
            )
        }
        ExitKind::OutOfMemory => match exit.enforced_by {
            Some(LimitEnforcement::Kernel) => "was killed because the machine ran out of memory".to_owned(),
            _ => "used more memory than its limit".to_owned(),
        },
        ExitKind::TimedOut => "ran longer than its time-out".to_owned(),
        ExitKind::Cancelled => "was stopped".to_owned(),
        ExitKind::Lost => "was lost".to_owned(),
    };
    if let Some(message) = &exit.message {
        text.push_str(": ");
        text.push_str(message);
    }
    text
}

fn signal_name(number: i32) -> &'static str {
    match number {
        1 => " (SIGHUP)",
        2 => " (SIGINT)",
        4 => " (SIGILL)",
        6 => " (SIGABRT)",
        7 => " (SIGBUS)",
        8 => " (SIGFPE)",
        9 => " (SIGKILL)",
        11 => " (SIGSEGV)",
        15 => " (SIGTERM)",
        _ => "",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn amounts_read_as_people_say_them() {
        let some = Resources {
            cpu_milli: 1500,
            memory_bytes: 2 << 30,
            accelerators: 1,
        };
        assert_eq!(amounts(&some), "1.5 CPUs, 2 GiB of memory and 1 accelerator");
        assert_eq!(
            amounts(&Resources {
                cpu_milli: 1000,
                ..Resources::default()
            }),
            "1 CPU"
        );
        assert_eq!(amounts(&Resources::default()), "nothing");
    }

    #[test]
    fn a_kill_from_outside_is_told_as_one() {
        let exit = TaskExit {
            signal: Some(9),
            ..TaskExit::of(ExitKind::Signaled, 1)
        };
        assert_eq!(
            ended(&exit),
            "was killed by signal 9 (SIGKILL), which Corliss did not send"
        );
    }
}
