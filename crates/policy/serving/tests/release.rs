//! Releases under made-up traffic: what every one of them keeps to, and that what is good gets out and what is bad does not.
#![allow(clippy::unwrap_used, clippy::panic)] // A helper of a test may fail it.

use corliss_policy_serving::release::{
    Breach, CRASHES_UNTIL_ROLLBACK, Counts, Next, Objectives, Progress, ReleasePlan, Strategy, View, Wait,
    decide,
};
use corliss_policy_serving::router::mix;
use corliss_types::{DurationMs, Timestamp};
use proptest::prelude::*;

/// How a version behaves.
#[derive(Debug, Clone, Copy)]
struct Behaviour {
    errors_bp: u64,
    latency_us: u64,
}

const GOOD: Behaviour = Behaviour {
    errors_bp: 0,
    latency_us: 10_000,
};

#[derive(Debug, PartialEq, Eq)]
enum End {
    Complete,
    RolledBack(Breach),
    /// It still goes on; what it waited for when it was last looked at.
    Open(Wait),
}

/// A release with its traffic, as the reconciler and the gateway do it.
struct Release {
    plan: ReleasePlan,
    progress: Progress,
    now: Timestamp,
    ready: u32,
    crashes: u32,
    old: Counts,
    new: Counts,
    drawn: u64,
    /// Largest share that the new version was ever given.
    most: u32,
    /// What it waited for last.
    waited: Option<Wait>,
}

impl Release {
    fn new(plan: ReleasePlan, seed: u64) -> Self {
        assert_eq!(plan.check(), Ok(()));
        Self {
            plan,
            progress: Progress::default(),
            now: Timestamp::from_millis(1_000_000),
            ready: 0,
            crashes: 0,
            old: Counts::default(),
            new: Counts::default(),
            drawn: seed,
            most: 0,
            waited: None,
        }
    }

    fn draw(&mut self, bound: u64) -> u64 {
        self.drawn = mix(self.drawn);
        self.drawn % bound
    }

    fn serve(&mut self, requests: u32, old: Behaviour, new: Behaviour) {
        for _ in 0..requests {
            let split = self.plan.split(self.progress.step, self.progress.begun.is_some());
            self.most = self.most.max(split.percent);
            let is_new = self.draw(100) < u64::from(split.percent);
            let behaviour = if is_new { new } else { old };
            let failed = self.draw(10_000) < behaviour.errors_bp;
            let jitter = self.draw(behaviour.latency_us / 2);
            let counts = if is_new { &mut self.new } else { &mut self.old };
            counts.requests += 1;
            counts.errors += u64::from(failed);
            counts.latency.observe(behaviour.latency_us + jitter);
            counts.first_token.observe(behaviour.latency_us + jitter);
        }
    }

    fn look(&mut self) -> Option<End> {
        let view = View {
            now: self.now,
            plan: &self.plan,
            progress: self.progress,
            replicas: 4,
            ready: self.ready,
            crashes: self.crashes,
            old: &self.old,
            new: &self.new,
        };
        let decision = decide(&view);
        assert!(decision.wake_at.is_none_or(|at| at > self.now), "{decision:?}");
        match decision.next {
            Next::Wait(wait) => {
                if let Wait::Replicas { needed, .. } = wait {
                    self.ready = needed;
                }
                self.waited = Some(wait);
            }
            Next::Begin => {
                assert!(self.ready >= self.plan.replicas(self.progress.step, 4));
                self.progress.begun = Some(self.now);
                self.new = Counts::default();
            }
            Next::Advance | Next::Complete => {
                if self.plan.strategy == Strategy::Canary {
                    assert!(
                        self.new.requests >= self.plan.minimum(),
                        "a step without its requests"
                    );
                    assert!(self.now.since(self.progress.begun.unwrap()).0 >= self.plan.step_time().0);
                }
                if decision.next == Next::Complete {
                    return Some(End::Complete);
                }
                self.progress = Progress {
                    step: self.progress.step + 1,
                    ..Progress::default()
                };
            }
            Next::RollBack(breach) => return Some(End::RolledBack(breach)),
        }
        None
    }

    fn run(&mut self, looks: u32, per_look: u32, old: Behaviour, new: Behaviour) -> End {
        for _ in 0..looks {
            if let Some(end) = self.look() {
                return end;
            }
            self.serve(per_look, old, new);
            self.now = self.now + DurationMs(1_000);
        }
        End::Open(self.waited.take().unwrap())
    }
}

fn canary(steps: &[u32]) -> ReleasePlan {
    ReleasePlan {
        strategy: Strategy::Canary,
        steps: Some(steps.to_vec()),
        step_ms: Some(10_000),
        ..ReleasePlan::default()
    }
}

#[test]
fn a_good_version_gets_out_step_by_step() {
    let mut release = Release::new(canary(&[5, 25, 50]), 1);
    assert_eq!(release.run(400, 50, GOOD, GOOD), End::Complete);
    assert_eq!((release.progress.step, release.most), (2, 50));
}

#[test]
fn one_that_answers_with_errors_is_taken_back_long_before_its_step_ends() {
    let broken = Behaviour {
        errors_bp: 10_000,
        ..GOOD
    };
    let plan = ReleasePlan {
        step_ms: Some(3_600_000),
        ..canary(&[10])
    };
    let mut release = Release::new(plan, 2);
    let end = release.run(100, 20, GOOD, broken);
    let End::RolledBack(Breach::Errors { errors, requests, .. }) = end else {
        panic!("{end:?}");
    };
    assert!(
        errors == requests && (10..40).contains(&requests),
        "{errors} of {requests}"
    );
}

#[test]
fn a_slow_one_is_taken_back_by_its_own_limit_and_by_the_one_beside() {
    let slow = Behaviour {
        latency_us: 40_000,
        ..GOOD
    };
    for objectives in [
        Objectives {
            max_p99_ms: Some(30),
            ..Objectives::default()
        },
        Objectives {
            max_p99_ratio_percent: Some(150),
            ..Objectives::default()
        },
        Objectives {
            max_first_token_p99_ms: Some(30),
            ..Objectives::default()
        },
    ] {
        let plan = ReleasePlan {
            objectives,
            ..canary(&[10])
        };
        let end = Release::new(plan.clone(), 3).run(100, 50, GOOD, slow);
        assert!(
            matches!(end, End::RolledBack(Breach::Slow { .. })),
            "{objectives:?} {end:?}"
        );
        assert_eq!(
            Release::new(plan.clone(), 3).run(400, 50, GOOD, GOOD),
            End::Complete
        );
        // Both are slow: the machine is, not the version.
        assert_eq!(
            Release::new(plan, 3).run(400, 50, slow, slow),
            End::Complete,
            "{objectives:?}"
        );
    }
}

#[test]
fn equally_bad_versions_are_no_reason() {
    for seed in 0..200 {
        let bad = Behaviour {
            errors_bp: 2_000,
            ..GOOD
        };
        let end = Release::new(canary(&[5, 25, 50]), mix(seed)).run(600, 30, bad, bad);
        assert_eq!(end, End::Complete, "seed {seed}");
    }
}

#[test]
fn without_requests_nothing_moves() {
    let mut release = Release::new(canary(&[5, 25]), 4);
    let end = release.run(1_000, 0, GOOD, GOOD);
    assert_eq!(end, End::Open(Wait::Requests { missing: 50 }));
    assert_eq!(release.progress.step, 0);
}

#[test]
fn crashes_take_it_back_whatever_it_waits_for() {
    let mut release = Release::new(canary(&[5]), 5);
    release.crashes = CRASHES_UNTIL_ROLLBACK - 1;
    assert_eq!(release.look(), None);
    release.crashes += 1;
    release.progress.paused = true;
    let crashes = CRASHES_UNTIL_ROLLBACK;
    assert_eq!(release.look(), Some(End::RolledBack(Breach::Crashes { crashes })));
}

#[test]
fn a_paused_one_stays_where_it_is_and_is_still_watched() {
    let mut release = Release::new(canary(&[50]), 6);
    release.run(3, 10, GOOD, GOOD);
    release.progress.paused = true;
    assert_eq!(release.run(500, 10, GOOD, GOOD), End::Open(Wait::Resume));
    let broken = Behaviour {
        errors_bp: 10_000,
        ..GOOD
    };
    assert!(matches!(release.run(500, 200, GOOD, broken), End::RolledBack(_)));
}

#[test]
fn blue_and_green_switch_at_once_and_the_old_one_stays_a_while() {
    let plan = ReleasePlan {
        strategy: Strategy::BlueGreen,
        keep_ms: Some(20_000),
        ..ReleasePlan::default()
    };
    let mut release = Release::new(plan.clone(), 7);
    assert_eq!(release.look(), None);
    assert_eq!(release.ready, 4, "as many as the old one has");
    let end = release.run(60, 50, GOOD, GOOD);
    assert_eq!((end, release.most), (End::Complete, 100));
    let broken = Behaviour {
        errors_bp: 10_000,
        ..GOOD
    };
    assert!(matches!(
        Release::new(plan, 7).run(60, 50, GOOD, broken),
        End::RolledBack(_)
    ));
}

#[test]
fn copies_and_callers_wait_for_a_decision() {
    for strategy in [Strategy::Shadow, Strategy::Ab] {
        let plan = ReleasePlan {
            strategy,
            percent: Some(30),
            ..ReleasePlan::default()
        };
        let mut release = Release::new(plan, 8);
        assert_eq!(release.run(500, 20, GOOD, GOOD), End::Open(Wait::Decision));
        assert_eq!(release.most, if strategy == Strategy::Ab { 30 } else { 0 });
    }
}

proptest! {
    /// Whatever both versions do: no share above the step's, no step without its requests, no wake-up in the past.
    #[test]
    fn every_release_keeps_to_its_plan(
        seed: u64,
        steps in prop::collection::btree_set(1_u32..=100, 1..6),
        per_look in 0_u32..60,
        old_bp in 0_u64..3_000,
        new_bp in 0_u64..3_000,
        latency_us in 100_u64..100_000,
        minimum in 1_u64..200,
    ) {
        let steps: Vec<u32> = steps.into_iter().collect();
        let plan = ReleasePlan {
            min_requests: Some(minimum),
            objectives: Objectives { max_p99_ms: Some(50), ..Objectives::default() },
            ..canary(&steps)
        };
        let mut release = Release::new(plan, seed);
        let old = Behaviour { errors_bp: old_bp, ..GOOD };
        let end = release.run(150, per_look, old, Behaviour { errors_bp: new_bp, latency_us });
        prop_assert!(release.most <= steps[release.progress.step as usize]);
        if new_bp == 0 && latency_us < 30_000 {
            prop_assert!(!matches!(end, End::RolledBack(_)), "{end:?}");
        }
    }
}
