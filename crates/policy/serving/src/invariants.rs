//! What every plan must satisfy; used by the property tests and by live assertions.

use std::collections::BTreeSet;

use corliss_types::ReplicaId;

use crate::lifecycle::restart_delay;
use crate::plan::{Action, Plan};
use crate::view::{Crashes, ReplicaState, View};

/// The first rule that the plan breaks, in words; `None` if it keeps them all.
#[must_use]
pub fn check(view: &View, plan: &Plan) -> Option<String> {
    one_action_each(view, plan)
        .or_else(|| enough_stay_ready(view, plan))
        .or_else(|| one_more_than_wanted(view, plan))
        .or_else(|| as_many_beside_as_wanted(view, plan))
        .or_else(|| starts_wait_after_crashes(view, plan))
}

fn target(action: &Action) -> Option<&ReplicaId> {
    match action {
        Action::Start { .. } => None,
        Action::Drain { replica } | Action::Stop { replica } | Action::Fail { replica } => Some(replica),
    }
}

fn one_action_each(view: &View, plan: &Plan) -> Option<String> {
    let known: BTreeSet<&ReplicaId> = view.replicas.iter().map(|replica| &replica.id).collect();
    let mut seen = BTreeSet::new();
    plan.actions.iter().filter_map(target).find_map(|replica| {
        let fine = known.contains(replica) && seen.insert(replica);
        (!fine).then(|| format!("replica {replica} gets two actions or does not exist"))
    })
}

/// The version that stands beside the wanted one, whose replicas are none of the wanted.
fn beside(view: &View) -> Option<u32> {
    let desired = view.desired?;
    let version = view.beside?.version;
    (version != desired.version).then_some(version)
}

fn enough_stay_ready(view: &View, plan: &Plan) -> Option<String> {
    let wanted = view.desired?.replicas as usize;
    let taken: BTreeSet<&ReplicaId> = plan.actions.iter().filter_map(target).collect();
    let all_ready: Vec<_> = view
        .replicas
        .iter()
        .filter(|replica| replica.state == ReplicaState::Ready)
        .collect();
    if !all_ready.is_empty() && all_ready.iter().all(|replica| taken.contains(&replica.id)) {
        return Some("no ready replica stays".to_owned());
    }
    let ready: Vec<_> = all_ready
        .into_iter()
        .filter(|replica| Some(replica.version) != beside(view))
        .collect();
    let staying = ready
        .iter()
        .filter(|replica| !taken.contains(&replica.id))
        .count();
    (staying < wanted.min(ready.len()))
        .then(|| format!("only {staying} of {} ready replicas stay", ready.len()))
}

fn one_more_than_wanted(view: &View, plan: &Plan) -> Option<String> {
    let wanted = view.desired.map_or(0, |desired| desired.replicas as usize);
    let taken: BTreeSet<&ReplicaId> = plan.actions.iter().filter_map(target).collect();
    let lives = view.replicas.iter().filter(|replica| {
        let leaving = matches!(
            replica.state,
            ReplicaState::Draining { .. } | ReplicaState::Stopping
        );
        !leaving && !taken.contains(&replica.id) && Some(replica.version) != beside(view)
    });
    let starts = plan
        .actions
        .iter()
        .filter(|action| matches!(action, Action::Start { version } if Some(*version) != beside(view)))
        .count();
    let total = lives.count() + starts;
    (starts > 0 && total > wanted + 1).then(|| format!("{total} replicas for {wanted} wanted ones"))
}

fn as_many_beside_as_wanted(view: &View, plan: &Plan) -> Option<String> {
    let (version, wanted) = (beside(view)?, view.beside?.replicas as usize);
    let lives = view.replicas.iter().filter(|replica| {
        let leaving = matches!(
            replica.state,
            ReplicaState::Draining { .. } | ReplicaState::Stopping
        );
        !leaving && replica.version == version
    });
    let starts = plan
        .actions
        .iter()
        .filter(|action| matches!(action, Action::Start { version: started } if *started == version))
        .count();
    let total = lives.count() + starts;
    (starts > 0 && total > wanted).then(|| format!("{total} replicas beside, where {wanted} are wanted"))
}

fn starts_wait_after_crashes(view: &View, plan: &Plan) -> Option<String> {
    plan.actions.iter().find_map(|action| {
        let Action::Start { version } = action else {
            return None;
        };
        let crashes = match view.beside {
            Some(beside_it) if beside(view) == Some(*version) => beside_it.crashes,
            _ => view.crashes,
        };
        must_wait(view, crashes).then(|| "a start does not wait after a crash".to_owned())
    })
}

fn must_wait(view: &View, crashes: Crashes) -> bool {
    crashes.in_a_row > 0 && view.now < crashes.last + restart_delay(crashes.in_a_row)
}
