//! The decision about one endpoint: what to start, drain and stop, and what to tell.

use corliss_types::Timestamp;

use crate::lifecycle::{CRASHES_UNTIL_FAILED, restart_delay};
use crate::plan::{Action, Phase, Plan, Reason};
use crate::view::{Beside, Crashes, Desired, Replica, ReplicaState, View};

/// Decides about one endpoint.
#[must_use]
pub fn decide(view: &View) -> Plan {
    let mut draft = Draft {
        view,
        actions: Vec::new(),
        wake_at: None,
    };
    draft.finish_drains();
    draft.fail_late_starters();
    match view.desired {
        None => draft.remove(),
        Some(desired) => draft.converge(desired),
    }
}

struct Draft<'a> {
    view: &'a View,
    actions: Vec<Action>,
    wake_at: Option<Timestamp>,
}

impl<'a> Draft<'a> {
    fn wake(&mut self, at: Timestamp) {
        self.wake_at = Some(self.wake_at.map_or(at, |earlier| earlier.min(at)));
    }

    /// The replicas in this state, oldest first.
    fn replicas(&self, wanted: impl Fn(&Replica) -> bool) -> Vec<&'a Replica> {
        let mut found: Vec<&Replica> = self
            .view
            .replicas
            .iter()
            .filter(|replica| wanted(replica))
            .collect();
        found.sort_by(|left, right| left.id.cmp(&right.id));
        found
    }

    fn finish_drains(&mut self) {
        for replica in self.replicas(|replica| matches!(replica.state, ReplicaState::Draining { .. })) {
            let ReplicaState::Draining { since } = replica.state else {
                continue;
            };
            let deadline = since + self.view.limits.drain_timeout;
            if replica.in_flight == 0 || deadline <= self.view.now {
                self.actions.push(Action::Stop {
                    replica: replica.id.clone(),
                });
            } else {
                self.wake(deadline);
            }
        }
    }

    fn fail_late_starters(&mut self) {
        for replica in self.replicas(|replica| matches!(replica.state, ReplicaState::Starting { .. })) {
            let ReplicaState::Starting { since } = replica.state else {
                continue;
            };
            let deadline = since + self.view.limits.start_timeout;
            if deadline <= self.view.now {
                self.actions.push(Action::Fail {
                    replica: replica.id.clone(),
                });
            } else {
                self.wake(deadline);
            }
        }
    }

    fn is_failed_now(&self, replica: &Replica) -> bool {
        self.actions
            .iter()
            .any(|action| matches!(action, Action::Fail { replica: id } if *id == replica.id))
    }

    fn remove(mut self) -> Plan {
        for replica in self.replicas(|_| true) {
            match replica.state {
                ReplicaState::Queued | ReplicaState::Starting { .. } if !self.is_failed_now(replica) => {
                    self.actions.push(Action::Stop {
                        replica: replica.id.clone(),
                    });
                }
                ReplicaState::Ready => self.actions.push(Action::Drain {
                    replica: replica.id.clone(),
                }),
                _ => {}
            }
        }
        let phase = if self.view.replicas.is_empty() {
            Phase::Stopped
        } else {
            Phase::Stopping
        };
        let draining = count(&self.view.replicas, |replica| {
            matches!(replica.state, ReplicaState::Draining { .. } | ReplicaState::Ready)
        });
        let reasons = if draining > 0 {
            vec![Reason::Draining { replicas: draining }]
        } else {
            vec![]
        };
        Plan {
            actions: self.actions,
            phase,
            reasons,
            wake_at: self.wake_at,
        }
    }

    fn converge(mut self, desired: Desired) -> Plan {
        // What stands beside is counted apart: it neither stands in for a wanted replica nor is in the way of one.
        let beside = self
            .view
            .beside
            .filter(|beside| beside.version != desired.version);
        let counts = |replica: &Replica| beside.is_none_or(|beside| replica.version != beside.version);
        let is_new = |replica: &Replica| replica.version == desired.version;
        let old_coming = self.replicas(|replica| is_coming(replica) && !is_new(replica) && counts(replica));
        for replica in old_coming
            .into_iter()
            .filter(|replica| !self.is_failed_now(replica))
            .collect::<Vec<_>>()
        {
            self.actions.push(Action::Stop {
                replica: replica.id.clone(),
            });
        }
        let failing: Vec<_> = self.replicas(|replica| self.is_failed_now(replica) && counts(replica));
        let new_coming =
            self.replicas(|replica| is_coming(replica) && is_new(replica) && !failing.contains(&replica));
        let new_ready = self.replicas(|replica| replica.state == ReplicaState::Ready && is_new(replica));
        let old_ready = self
            .replicas(|replica| replica.state == ReplicaState::Ready && !is_new(replica) && counts(replica));
        self.drain_surplus(desired, &old_ready, &new_ready);
        self.stop_surplus(desired, &new_coming, &new_ready);
        let backing_off = self.start_missing(desired, failing.len(), &new_coming, &new_ready, &old_ready);
        let phase = phase(
            desired,
            self.view,
            backing_off.is_some(),
            new_ready.len(),
            old_ready.len(),
        );
        let mut reasons = reasons(&new_coming, size(&new_ready), size(&old_ready), backing_off);
        let others = old_ready.len() + new_ready.len();
        reasons.extend(beside.and_then(|beside| self.stand_beside(beside, others)));
        Plan {
            actions: self.actions,
            phase,
            reasons,
            wake_at: self.wake_at,
        }
    }

    /// Old versions go first, oldest first; then the newest of the wanted version.
    fn drain_surplus(&mut self, desired: Desired, old_ready: &[&Replica], new_ready: &[&Replica]) {
        let surplus = (old_ready.len() + new_ready.len()).saturating_sub(desired.replicas as usize);
        for replica in old_ready.iter().chain(new_ready.iter().rev()).take(surplus) {
            self.actions.push(Action::Drain {
                replica: replica.id.clone(),
            });
        }
    }

    fn stop_surplus(&mut self, desired: Desired, new_coming: &[&Replica], new_ready: &[&Replica]) {
        let surplus = (new_coming.len() + new_ready.len()).saturating_sub(desired.replicas as usize);
        for replica in new_coming.iter().rev().take(surplus) {
            self.actions.push(Action::Stop {
                replica: replica.id.clone(),
            });
        }
    }

    /// Brings the version beside to its number; says if it is not there. Where no other replica takes requests, the last
    /// one of a version that is to go stays until one does.
    fn stand_beside(&mut self, beside: Beside, others: usize) -> Option<Reason> {
        let is_its = |replica: &Replica| replica.version == beside.version;
        let failing = self.replicas(|replica| self.is_failed_now(replica) && is_its(replica));
        let coming =
            self.replicas(|replica| is_coming(replica) && is_its(replica) && !failing.contains(&replica));
        let ready = self.replicas(|replica| replica.state == ReplicaState::Ready && is_its(replica));
        let (wanted, there) = (beside.replicas as usize, coming.len() + ready.len());
        for replica in coming.iter().rev().take(there.saturating_sub(wanted)) {
            self.actions.push(Action::Stop {
                replica: replica.id.clone(),
            });
        }
        let kept = wanted.max(usize::from(others == 0));
        for replica in ready.iter().rev().take(ready.len().saturating_sub(kept)) {
            self.actions.push(Action::Drain {
                replica: replica.id.clone(),
            });
        }
        let missing = wanted.saturating_sub(there);
        if missing > 0 && failing.is_empty() {
            // How it fares is told where its release is; what waits for its wake-up is done here.
            let _ = self.start(beside.version, missing, beside.crashes);
        }
        (ready.len() < wanted).then_some(Reason::Beside {
            version: beside.version,
            ready: size(&ready),
            wanted: beside.replicas,
        })
    }

    /// Starts so many replicas, or says that it must wait after a crash.
    fn start(&mut self, version: u32, count: usize, crashes: Crashes) -> Option<Reason> {
        let until = crashes.last + restart_delay(crashes.in_a_row);
        if crashes.in_a_row > 0 && until > self.view.now {
            self.wake(until);
            return Some(Reason::BackingOff {
                crashes: crashes.in_a_row,
                until,
            });
        }
        // After a crash one replica at a time shows whether the next one lives.
        let count = if crashes.in_a_row > 0 { count.min(1) } else { count };
        self.actions.extend((0..count).map(|_| Action::Start { version }));
        None
    }

    /// Starts what is missing, one more than wanted at most while old replicas serve; says if it must wait.
    fn start_missing(
        &mut self,
        desired: Desired,
        failing_now: usize,
        new_coming: &[&Replica],
        new_ready: &[&Replica],
        old_ready: &[&Replica],
    ) -> Option<Reason> {
        let wanted = desired.replicas as usize;
        let missing = wanted.saturating_sub(new_coming.len() + new_ready.len());
        let surge = usize::from(!old_ready.is_empty());
        let room = (wanted + surge).saturating_sub(new_coming.len() + new_ready.len() + old_ready.len());
        let starts = missing.min(room);
        // The failures of this very plan are counted only once it is applied; wait for that.
        if starts == 0 || failing_now > 0 {
            return None;
        }
        self.start(desired.version, starts, self.view.crashes)
    }
}

fn is_coming(replica: &Replica) -> bool {
    matches!(
        replica.state,
        ReplicaState::Queued | ReplicaState::Starting { .. }
    )
}

fn phase(desired: Desired, view: &View, backing_off: bool, new_ready: usize, old_ready: usize) -> Phase {
    let complete = new_ready >= desired.replicas as usize;
    if complete && old_ready == 0 {
        Phase::Ready
    } else if complete {
        Phase::Deploying
    } else if view.crashes.in_a_row >= CRASHES_UNTIL_FAILED {
        Phase::Failed
    } else if new_ready > 0 && old_ready == 0 && (backing_off || view.crashes.in_a_row > 0) {
        Phase::Degraded
    } else {
        Phase::Deploying
    }
}

fn reasons(
    new_coming: &[&Replica],
    new_ready: u32,
    old_ready: u32,
    backing_off: Option<Reason>,
) -> Vec<Reason> {
    let queued = size_of(new_coming, |replica| replica.state == ReplicaState::Queued);
    let starting = size(new_coming) - queued;
    let mut reasons: Vec<Reason> = backing_off.into_iter().collect();
    if old_ready > 0 {
        reasons.push(Reason::Rolling { old_ready, new_ready });
    }
    if queued > 0 {
        reasons.push(Reason::Queued { replicas: queued });
    }
    if starting > 0 {
        reasons.push(Reason::Starting { replicas: starting });
    }
    reasons
}

fn count(replicas: &[Replica], wanted: impl Fn(&Replica) -> bool) -> u32 {
    u32::try_from(replicas.iter().filter(|replica| wanted(replica)).count()).unwrap_or(u32::MAX)
}

fn size(replicas: &[&Replica]) -> u32 {
    u32::try_from(replicas.len()).unwrap_or(u32::MAX)
}

fn size_of(replicas: &[&Replica], wanted: impl Fn(&Replica) -> bool) -> u32 {
    u32::try_from(replicas.iter().filter(|replica| wanted(replica)).count()).unwrap_or(u32::MAX)
}
