//! A plan's reasons as one sentence.

use corliss_policy_serving::{Phase, Plan, Reason};
use corliss_types::Timestamp;

/// Why an endpoint is not simply ready; nothing if it is.
pub fn sentence(plan: &Plan, now: Timestamp, last_failure: Option<&str>) -> Option<String> {
    let mut parts: Vec<String> = plan.reasons.iter().map(|reason| part(reason, now)).collect();
    if matches!(plan.phase, Phase::Failed | Phase::Degraded | Phase::Deploying)
        && plan
            .reasons
            .iter()
            .any(|reason| matches!(reason, Reason::BackingOff { .. }))
        && let Some(failure) = last_failure
    {
        parts.insert(0, failure.to_owned());
    }
    (!parts.is_empty()).then(|| parts.join("; "))
}

fn part(reason: &Reason, now: Timestamp) -> String {
    match reason {
        Reason::Queued { replicas } => format!("{replicas} replica(s) wait in the queue"),
        Reason::Starting { replicas } => format!("{replicas} replica(s) load the model"),
        Reason::Rolling { old_ready, new_ready } => {
            format!("{old_ready} replica(s) of the version before still serve, {new_ready} of the new one")
        }
        Reason::BackingOff { crashes, until } => {
            // Whole seconds, so that the sentence does not change with every look.
            let seconds = until.since(now).0.div_ceil(1000);
            format!("{crashes} start(s) failed in a row, the next is in {seconds} s")
        }
        Reason::Draining { replicas } => format!("{replicas} replica(s) finish their requests"),
    }
}
