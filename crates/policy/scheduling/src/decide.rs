//! The decision: walk the queue in order, start what fits, stop starting at the first that does not.

use std::collections::{BTreeSet, VecDeque};

use corliss_types::Resources;

use crate::view::Machine;
use crate::{Placement, Plan, QueuedGang, Refusal, Shortage, Start, View, Wait, WaitReason};

/// Decides which gangs start now and why the others do not.
#[must_use]
pub fn decide(view: &View) -> Plan {
    let mut queue: Vec<&QueuedGang> = view.queued.iter().collect();
    queue.sort_by_key(|gang| (gang.submitted, &gang.job));
    let mut free = Free::of(view);
    let mut plan = Plan::default();
    for gang in queue {
        let impossible = capacity_shortages(&view.machine, gang.workers, &gang.per_worker);
        if !impossible.is_empty() {
            plan.refusals.push(Refusal {
                job: gang.job.clone(),
                shortages: impossible,
            });
        } else if let Some(reason) = why_not_now(&plan, gang, &free) {
            let position = place(plan.waits.len());
            plan.waits.push(Wait {
                job: gang.job.clone(),
                position,
                reason,
            });
        } else {
            plan.starts.push(Start {
                job: gang.job.clone(),
                placements: free.take(gang),
            });
        }
    }
    plan
}

/// What a machine has too little of to ever run such a gang; empty if it could.
#[must_use]
pub fn capacity_shortages(machine: &Machine, workers: u32, per_worker: &Resources) -> Vec<Shortage> {
    Shortage::between(&per_worker.times(workers.max(1)), &machine.total())
}

fn why_not_now(plan: &Plan, gang: &QueuedGang, free: &Free) -> Option<WaitReason> {
    match plan.waits.first() {
        None => {
            let shortages = Shortage::between(&gang.needs(), &free.amounts());
            (!shortages.is_empty()).then_some(WaitReason::NotEnoughFree { shortages })
        }
        Some(first) => {
            let (WaitReason::NotEnoughFree { shortages } | WaitReason::Behind { shortages, .. }) =
                &first.reason;
            Some(WaitReason::Behind {
                first: first.job.clone(),
                ahead: u32::try_from(plan.waits.len()).unwrap_or(u32::MAX),
                shortages: shortages.clone(),
            })
        }
    }
}

fn place(waiting_before: usize) -> u32 {
    u32::try_from(waiting_before)
        .unwrap_or(u32::MAX)
        .saturating_add(1)
}

/// What is left to hand out.
struct Free {
    cpu_milli: u64,
    memory_bytes: u64,
    accelerators: VecDeque<u32>,
}

impl Free {
    fn of(view: &View) -> Self {
        let held = view
            .running
            .iter()
            .map(|gang| gang.per_worker.times(gang.workers.max(1)));
        let held = held.fold(Resources::default(), |sum, gang| sum.plus(&gang));
        let taken: BTreeSet<u32> = view
            .running
            .iter()
            .flat_map(|gang| gang.accelerators.iter().copied())
            .collect();
        let all: BTreeSet<u32> = view.machine.accelerators.iter().copied().collect();
        Self {
            cpu_milli: view.machine.cpu_milli.saturating_sub(held.cpu_milli),
            memory_bytes: view.machine.memory_bytes.saturating_sub(held.memory_bytes),
            accelerators: all.difference(&taken).copied().collect(),
        }
    }

    fn amounts(&self) -> Resources {
        Resources {
            cpu_milli: self.cpu_milli,
            memory_bytes: self.memory_bytes,
            accelerators: u32::try_from(self.accelerators.len()).unwrap_or(u32::MAX),
        }
    }

    /// Takes what a gang asks for; it must fit.
    fn take(&mut self, gang: &QueuedGang) -> Vec<Placement> {
        let needs = gang.needs();
        self.cpu_milli = self.cpu_milli.saturating_sub(needs.cpu_milli);
        self.memory_bytes = self.memory_bytes.saturating_sub(needs.memory_bytes);
        let each = usize::try_from(gang.per_worker.accelerators).unwrap_or(usize::MAX);
        (0..gang.workers.max(1))
            .map(|_| Placement {
                accelerators: self
                    .accelerators
                    .drain(..each.min(self.accelerators.len()))
                    .collect(),
            })
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use corliss_types::{IdSeed, JobId, Timestamp};

    use super::*;
    use crate::{Resource, RunningGang};

    const GIB: u64 = 1 << 30;

    fn job(number: u8) -> JobId {
        JobId::new(IdSeed {
            at: Timestamp::from_millis(i64::from(number)),
            random: [number; 10],
        })
    }

    fn machine() -> Machine {
        Machine {
            cpu_milli: 4000,
            memory_bytes: 8 * GIB,
            accelerators: vec![0, 1, 2, 3],
        }
    }

    fn cpus(cpu_milli: u64) -> Resources {
        Resources {
            cpu_milli,
            memory_bytes: GIB,
            accelerators: 0,
        }
    }

    fn queued(number: u8, workers: u32, per_worker: Resources) -> QueuedGang {
        QueuedGang {
            job: job(number),
            submitted: Timestamp::from_millis(i64::from(number)),
            workers,
            per_worker,
        }
    }

    #[test]
    fn a_gang_starts_whole_or_waits_with_the_numbers() {
        let running = vec![RunningGang {
            job: job(9),
            workers: 1,
            per_worker: cpus(3000),
            accelerators: vec![],
        }];
        let view = View {
            machine: machine(),
            running,
            queued: vec![queued(1, 2, cpus(1000))],
        };
        let plan = decide(&view);
        assert!(plan.starts.is_empty());
        let shortages = vec![Shortage {
            resource: Resource::CpuMilli,
            needed: 2000,
            available: 1000,
        }];
        assert_eq!(
            plan.waits,
            [Wait {
                job: job(1),
                position: 1,
                reason: WaitReason::NotEnoughFree { shortages }
            }]
        );
    }

    #[test]
    fn nobody_overtakes() {
        let queue = vec![
            queued(3, 1, cpus(500)),
            queued(2, 1, cpus(4000)),
            queued(1, 1, cpus(1000)),
        ];
        let plan = decide(&View {
            machine: machine(),
            running: vec![],
            queued: queue,
        });
        assert_eq!(
            plan.starts.iter().map(|start| &start.job).collect::<Vec<_>>(),
            [&job(1)]
        );
        assert!(matches!(&plan.waits[0], Wait { job: first, position: 1, .. } if *first == job(2)));
        assert!(
            matches!(&plan.waits[1].reason, WaitReason::Behind { first, ahead: 1, shortages } if *first == job(2) && shortages.len() == 1)
        );
    }

    #[test]
    fn what_can_never_run_is_refused_and_blocks_nobody() {
        let queue = vec![queued(1, 5, cpus(1000)), queued(2, 1, cpus(4000))];
        let plan = decide(&View {
            machine: machine(),
            running: vec![],
            queued: queue,
        });
        let shortages = vec![Shortage {
            resource: Resource::CpuMilli,
            needed: 5000,
            available: 4000,
        }];
        assert_eq!(
            plan.refusals,
            [Refusal {
                job: job(1),
                shortages
            }]
        );
        assert_eq!(plan.starts.len(), 1);
    }

    #[test]
    fn accelerators_are_handed_out_once_and_in_order() {
        let two = Resources {
            cpu_milli: 0,
            memory_bytes: 0,
            accelerators: 1,
        };
        let running = vec![RunningGang {
            job: job(9),
            workers: 1,
            per_worker: two,
            accelerators: vec![1],
        }];
        let plan = decide(&View {
            machine: machine(),
            running,
            queued: vec![queued(1, 2, two), queued(2, 1, two)],
        });
        let places = |start: &Start| {
            start
                .placements
                .iter()
                .map(|place| place.accelerators.clone())
                .collect::<Vec<_>>()
        };
        assert_eq!(places(&plan.starts[0]), [vec![0], vec![2]]);
        assert_eq!(places(&plan.starts[1]), [vec![3]]);
    }
}
