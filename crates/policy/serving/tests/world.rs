//! A small world of replicas that load, crash and drain: every plan keeps the rules, and every endpoint
//! ends up as it should be.
#![allow(clippy::unwrap_used)] // A helper of a test may fail it.

use corliss_policy_serving::{
    Action, Beside, Crashes, Desired, Limits, Phase, Replica, ReplicaState, View, decide, invariants,
    lifecycle,
};
use corliss_types::{DurationMs, IdSeed, ReplicaId, Timestamp};
use proptest::prelude::*;

struct World {
    view: View,
    made: u8,
    /// Endings by themselves that are still to happen, one a start.
    crashes_left: u32,
}

impl World {
    fn new(replicas: u32, crashes_left: u32) -> Self {
        let view = View {
            now: Timestamp::from_millis(1_000_000),
            desired: Some(Desired { version: 1, replicas }),
            replicas: vec![],
            crashes: Crashes::default(),
            beside: None,
            limits: Limits::default(),
        };
        Self {
            view,
            made: 0,
            crashes_left,
        }
    }

    fn deploy(&mut self, version: u32, replicas: u32) {
        self.view.desired = Some(Desired { version, replicas });
        self.view.crashes = Crashes::default();
    }

    fn ready(&self) -> usize {
        self.view
            .replicas
            .iter()
            .filter(|replica| replica.state == ReplicaState::Ready)
            .count()
    }

    /// Lets a version out beside the one that there is.
    fn release(&mut self, version: u32, replicas: u32) {
        let crashes = Crashes::default();
        self.view.beside = Some(Beside {
            version,
            replicas,
            crashes,
        });
    }

    fn of_version(&self, version: u32) -> usize {
        let replicas = self.view.replicas.iter();
        replicas
            .filter(|replica| replica.version == version && replica.state == ReplicaState::Ready)
            .count()
    }

    fn crash(&mut self, id: &ReplicaId) {
        let version = self
            .view
            .replicas
            .iter()
            .find(|replica| replica.id == *id)
            .unwrap()
            .version;
        self.view.replicas.retain(|replica| replica.id != *id);
        let its = self
            .view
            .beside
            .as_mut()
            .filter(|beside| beside.version == version);
        let crashes = its.map_or(&mut self.view.crashes, |beside| &mut beside.crashes);
        *crashes = Crashes {
            in_a_row: lifecycle::crashes_in_a_row(crashes.in_a_row, DurationMs(0)),
            last: self.view.now,
        };
    }

    /// Decides, checks, applies, and lets one replica load or crash; time moves a little, or to the wake-up.
    fn step(&mut self) -> Phase {
        let plan = decide(&self.view);
        assert_eq!(
            invariants::check(&self.view, &plan),
            None,
            "{:?}\n{plan:?}",
            self.view
        );
        for action in &plan.actions {
            self.apply(action);
        }
        let starting = self
            .view
            .replicas
            .iter()
            .find(|replica| matches!(replica.state, ReplicaState::Starting { .. }));
        if let Some(id) = starting.map(|replica| replica.id.clone()) {
            if self.crashes_left > 0 {
                self.crashes_left -= 1;
                self.crash(&id);
            } else {
                self.view
                    .replicas
                    .iter_mut()
                    .find(|replica| replica.id == id)
                    .unwrap()
                    .state = ReplicaState::Ready;
            }
        }
        let soon = self.view.now + DurationMs(10);
        self.view.now = match plan.wake_at {
            Some(at) if plan.actions.is_empty() => at.max(soon),
            _ => soon,
        };
        plan.phase
    }

    fn apply(&mut self, action: &Action) {
        let now = self.view.now;
        match action {
            Action::Start { version } => {
                self.made += 1;
                let id = ReplicaId::new(IdSeed {
                    at: now,
                    random: [self.made; 10],
                });
                let state = ReplicaState::Starting { since: now };
                self.view.replicas.push(Replica {
                    id,
                    version: *version,
                    state,
                    in_flight: 0,
                });
            }
            Action::Drain { replica } => {
                let found = self
                    .view
                    .replicas
                    .iter_mut()
                    .find(|other| other.id == *replica)
                    .unwrap();
                found.state = ReplicaState::Draining { since: now };
            }
            Action::Stop { replica } => self.view.replicas.retain(|other| other.id != *replica),
            Action::Fail { replica } => self.crash(&replica.clone()),
        }
    }

    fn until(&mut self, phase: Phase) -> bool {
        (0..200).any(|_| self.step() == phase)
    }
}

#[test]
fn an_update_never_has_fewer_ready_replicas_than_wanted() {
    let mut world = World::new(3, 0);
    assert!(world.until(Phase::Ready));
    world.deploy(2, 3);
    for _ in 0..50 {
        world.step();
        assert!(world.ready() >= 3);
    }
    assert!(world.view.replicas.iter().all(|replica| replica.version == 2));
}

#[test]
fn a_version_that_cannot_start_leaves_the_old_one_serving() {
    let mut world = World::new(2, 0);
    assert!(world.until(Phase::Ready));
    world.deploy(2, 2);
    world.crashes_left = u32::MAX;
    assert!(world.until(Phase::Failed));
    assert_eq!(world.ready(), 2);
    world.deploy(1, 2);
    assert!(world.until(Phase::Ready));
}

#[test]
fn a_model_that_never_becomes_ready_is_failed_in_time() {
    let mut world = World::new(1, 0);
    let since = world.view.now;
    let id = ReplicaId::new(IdSeed {
        at: since,
        random: [1; 10],
    });
    let state = ReplicaState::Starting { since };
    world.view.replicas.push(Replica {
        id: id.clone(),
        version: 1,
        state,
        in_flight: 0,
    });
    let plan = decide(&world.view);
    assert_eq!(
        (plan.actions.len(), plan.wake_at),
        (0, Some(since + world.view.limits.start_timeout))
    );
    world.view.now = since + world.view.limits.start_timeout;
    assert_eq!(decide(&world.view).actions, [Action::Fail { replica: id }]);
}

#[test]
fn a_removed_endpoint_finishes_its_requests_first() {
    let mut world = World::new(1, 0);
    assert!(world.until(Phase::Ready));
    world.view.replicas[0].in_flight = 1;
    world.view.desired = None;
    let plan = decide(&world.view);
    assert!(matches!(plan.actions[..], [Action::Drain { .. }]));
    world.apply(&plan.actions[0]);
    assert!(decide(&world.view).actions.is_empty());
    world.view.replicas[0].in_flight = 0;
    assert!(matches!(decide(&world.view).actions[..], [Action::Stop { .. }]));
    assert!(world.until(Phase::Stopped));
}

#[test]
fn a_version_beside_that_crashes_never_touches_the_old_one() {
    let mut world = World::new(2, 0);
    assert!(world.until(Phase::Ready));
    world.crashes_left = u32::MAX;
    world.release(2, 1);
    for _ in 0..20 {
        assert_eq!(world.step(), Phase::Ready);
        assert_eq!(world.of_version(1), 2);
    }
    assert!(world.view.beside.unwrap().crashes.in_a_row > 3);
    assert_eq!(world.view.crashes, Crashes::default());
}

proptest! {
    /// Released, taken back or completed at any moment, with crashes: the old one is there in full number until the new
    /// one takes its place, and no replica of what was taken back stays.
    #[test]
    fn every_release_ends(
        wanted in 1_u32..5,
        crashes in 0_u32..4,
        grows in prop::collection::vec((0_u32..6, 0_usize..8), 1..5),
        completes: bool,
    ) {
        let mut world = World::new(wanted, 0);
        prop_assert!(world.until(Phase::Ready));
        world.crashes_left = crashes;
        for (replicas, steps) in grows {
            world.release(2, replicas);
            for _ in 0..steps {
                world.step();
                prop_assert_eq!(world.of_version(1), wanted as usize);
            }
        }
        if completes {
            world.view.beside = None;
            world.deploy(2, wanted);
        } else {
            world.release(2, 0);
        }
        for _ in 0..100 {
            world.step();
            prop_assert!(world.ready() >= wanted as usize);
        }
        let (kept, gone) = if completes { (2, 1) } else { (1, 2) };
        prop_assert_eq!((world.of_version(kept), world.of_version(gone)), (wanted as usize, 0));
    }

    #[test]
    fn every_endpoint_converges(
        first in 1_u32..5,
        crashes in 0_u32..8,
        deployments in prop::collection::vec((1_u32..4, 1_u32..5, 0_usize..6), 0..6),
    ) {
        let mut world = World::new(first, crashes);
        for (version, replicas, steps) in deployments {
            for _ in 0..steps {
                world.step();
            }
            world.deploy(version, replicas);
        }
        prop_assert!(world.until(Phase::Ready));
        prop_assert_eq!(world.ready(), world.view.desired.unwrap().replicas as usize);
    }
}
