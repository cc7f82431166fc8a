//! An endpoint's life told plan by plan, so that a change of the decision shows as a change of a story.
#![allow(clippy::unwrap_used)] // A helper of a test may fail it.

use corliss_policy_serving::{
    Action, Beside, Crashes, Desired, Limits, Plan, Reason, Replica, ReplicaState, View, decide, invariants,
};
use corliss_types::{IdSeed, ReplicaId, Timestamp};

const START: i64 = 1_000_000;

fn at(millis: i64) -> Timestamp {
    Timestamp::from_millis(START + millis)
}

/// The replica called `a`, `b`, …, in order of age.
fn replica(name: char, version: u32, state: ReplicaState, in_flight: u32) -> Replica {
    Replica {
        id: id(name),
        version,
        state,
        in_flight,
    }
}

fn id(name: char) -> ReplicaId {
    ReplicaId::new(IdSeed {
        at: at(i64::from(u32::from(name))),
        random: [0; 10],
    })
}

fn name(wanted: &ReplicaId) -> char {
    ('a'..='z').find(|name| id(*name) == *wanted).unwrap()
}

fn view(desired: Option<(u32, u32)>, replicas: Vec<Replica>) -> View {
    View {
        now: at(0),
        desired: desired.map(|(version, replicas)| Desired { version, replicas }),
        replicas,
        crashes: Crashes::default(),
        beside: None,
        limits: Limits::default(),
    }
}

/// The plan in a line; times in milliseconds from now.
fn told(view: &View) -> String {
    let plan = decide(view);
    assert_eq!(invariants::check(view, &plan), None);
    let actions: Vec<String> = plan
        .actions
        .iter()
        .map(|action| match action {
            Action::Start { version } => format!("start v{version}"),
            Action::Drain { replica } => format!("drain {}", name(replica)),
            Action::Stop { replica } => format!("stop {}", name(replica)),
            Action::Fail { replica } => format!("fail {}", name(replica)),
        })
        .collect();
    let reasons: Vec<String> = plan.reasons.iter().map(|reason| why(reason, view.now)).collect();
    let wake = plan.wake_at.map_or(String::new(), |wake| {
        format!("; look again in {}", wake.since(view.now).0)
    });
    format!(
        "{} [{}] {:?}{wake}",
        phase(&plan),
        actions.join(", "),
        reasons.join(", ")
    )
}

fn phase(plan: &Plan) -> String {
    format!("{:?}", plan.phase).to_lowercase()
}

fn why(reason: &Reason, now: Timestamp) -> String {
    match reason {
        Reason::Queued { replicas } => format!("{replicas} queued"),
        Reason::Starting { replicas } => format!("{replicas} starting"),
        Reason::Rolling { old_ready, new_ready } => format!("rolling {old_ready} old {new_ready} new"),
        Reason::BackingOff { crashes, until } => {
            format!("backing off {} after {crashes}", until.since(now).0)
        }
        Reason::Draining { replicas } => format!("{replicas} draining"),
        Reason::Beside {
            version,
            ready,
            wanted,
        } => format!("{ready} of {wanted} beside of v{version}"),
    }
}

const READY: ReplicaState = ReplicaState::Ready;

fn starting() -> ReplicaState {
    ReplicaState::Starting { since: at(-1_000) }
}

fn draining() -> ReplicaState {
    ReplicaState::Draining { since: at(-1_000) }
}

#[test]
fn a_first_deployment() {
    assert_eq!(
        told(&view(Some((1, 2)), vec![])),
        r#"deploying [start v1, start v1] """#
    );
    let coming = vec![
        replica('a', 1, ReplicaState::Queued, 0),
        replica('b', 1, starting(), 0),
    ];
    assert_eq!(
        told(&view(Some((1, 2)), coming)),
        r#"deploying [] "1 queued, 1 starting"; look again in 599000"#
    );
    let up = vec![replica('a', 1, READY, 3), replica('b', 1, READY, 0)];
    assert_eq!(told(&view(Some((1, 2)), up)), r#"ready [] """#);
}

#[test]
fn a_roll_of_two_replicas() {
    let mut replicas = vec![replica('a', 1, READY, 3), replica('b', 1, READY, 0)];
    let mut tell = |change: &dyn Fn(&mut Vec<Replica>)| {
        change(&mut replicas);
        told(&view(Some((2, 2)), replicas.clone()))
    };
    assert_eq!(tell(&|_| ()), r#"deploying [start v2] "rolling 2 old 0 new""#);
    assert_eq!(
        tell(&|replicas| replicas.push(replica('c', 2, starting(), 0))),
        r#"deploying [] "rolling 2 old 0 new, 1 starting"; look again in 599000"#
    );
    assert_eq!(
        tell(&|replicas| replicas[2].state = READY),
        r#"deploying [drain a] "rolling 2 old 1 new""#
    );
    assert_eq!(
        tell(&|replicas| replicas[0].state = draining()),
        r#"deploying [start v2] "rolling 1 old 1 new"; look again in 29000"#
    );
    assert_eq!(
        tell(&|replicas| {
            replicas[0].in_flight = 0;
            replicas.push(replica('d', 2, READY, 0));
        }),
        r#"deploying [stop a, drain b] "rolling 1 old 2 new""#
    );
    assert_eq!(
        tell(&|replicas| {
            replicas.remove(0);
            replicas[0].state = draining();
        }),
        r#"ready [stop b] """#
    );
}

#[test]
fn crashes_back_off_and_the_old_version_stays() {
    let mut view = view(Some((2, 1)), vec![replica('a', 1, READY, 0)]);
    for (crashes, expected) in [
        (
            1,
            r#"deploying [] "backing off 500 after 1, rolling 1 old 0 new"; look again in 500"#,
        ),
        (
            3,
            r#"deploying [] "backing off 2000 after 3, rolling 1 old 0 new"; look again in 2000"#,
        ),
        (
            5,
            r#"failed [] "backing off 120000 after 5, rolling 1 old 0 new"; look again in 120000"#,
        ),
    ] {
        view.crashes = Crashes {
            in_a_row: crashes,
            last: view.now,
        };
        assert_eq!(told(&view), expected);
    }
    view.crashes.last = at(-120_000);
    assert_eq!(
        told(&view),
        r#"failed [start v2] "rolling 1 old 0 new""#,
        "even a failed one is tried again"
    );
}

#[test]
fn fewer_replicas_and_none() {
    let three = || {
        vec![
            replica('a', 1, READY, 1),
            replica('b', 1, READY, 0),
            replica('c', 1, starting(), 0),
        ]
    };
    assert_eq!(
        told(&view(Some((1, 1)), three())),
        r#"ready [drain b, stop c] "1 starting"; look again in 599000"#
    );
    assert_eq!(
        told(&view(None, three())),
        r#"stopping [drain a, drain b, stop c] "2 draining"; look again in 599000"#
    );
    let late = ReplicaState::Draining { since: at(-30_000) };
    let going = vec![replica('a', 1, late, 7), replica('b', 1, draining(), 1)];
    assert_eq!(
        told(&view(None, going)),
        r#"stopping [stop a] "2 draining"; look again in 29000"#
    );
    assert_eq!(told(&view(None, vec![])), r#"stopped [] """#);
}

#[test]
fn a_version_beside_comes_grows_and_goes() {
    let beside = |replicas, in_a_row| {
        let crashes = Crashes {
            in_a_row,
            last: at(0),
        };
        Some(Beside {
            version: 2,
            replicas,
            crashes,
        })
    };
    let old = || vec![replica('a', 1, READY, 3), replica('b', 1, READY, 0)];
    let tell = |more: Vec<Replica>, beside| {
        let mut view = view(Some((1, 2)), [old(), more].concat());
        view.beside = beside;
        told(&view)
    };
    assert_eq!(
        tell(vec![], beside(2, 0)),
        r#"ready [start v2, start v2] "0 of 2 beside of v2""#
    );
    let coming = vec![replica('c', 2, READY, 0), replica('d', 2, starting(), 0)];
    assert_eq!(
        tell(coming.clone(), beside(2, 0)),
        r#"ready [] "1 of 2 beside of v2"; look again in 599000"#
    );
    // It goes at once, with what still comes; the old one is as it was.
    assert_eq!(
        tell(coming.clone(), beside(0, 0)),
        r#"ready [stop d, drain c] ""; look again in 599000"#
    );
    // A crash makes the next start of it wait, and nobody else's.
    assert_eq!(
        tell(vec![], beside(1, 1)),
        r#"ready [] "0 of 1 beside of v2"; look again in 500"#
    );
    let mut none_else = view(Some((1, 2)), coming);
    none_else.beside = beside(0, 0);
    assert_eq!(
        told(&none_else),
        r#"deploying [start v1, start v1, stop d] ""; look again in 599000"#,
        "the last one that takes requests stays until another one does"
    );
}
