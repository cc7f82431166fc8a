//! A plan's reasons as one sentence.

use corliss_diagnostics::counted;
use corliss_policy_serving::{Phase, Plan, Reason};
use corliss_types::Timestamp;

/// Why an endpoint is not simply ready; nothing if it is. `waits` is why a replica of it is still in the queue.
pub fn sentence(
    plan: &Plan,
    now: Timestamp,
    last_failure: Option<&str>,
    waits: Option<&str>,
) -> Option<String> {
    let mut parts: Vec<String> = plan
        .reasons
        .iter()
        .map(|reason| part(reason, now, waits))
        .collect();
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

fn part(reason: &Reason, now: Timestamp, waits: Option<&str>) -> String {
    match reason {
        Reason::Queued { replicas } => {
            let waiting = counted(*replicas, "replica waits", "replicas wait");
            match waits {
                Some(why) => format!("{waiting}: {why}"),
                None => format!("{waiting} in the queue"),
            }
        }
        Reason::Starting { replicas } => format!(
            "{} the model",
            counted(*replicas, "replica loads", "replicas load")
        ),
        Reason::Rolling { old_ready, new_ready } => {
            format!(
                "{} of the new version ready, {old_ready} of the one before still serving",
                counted(*new_ready, "replica", "replicas")
            )
        }
        Reason::Beside {
            version,
            ready,
            wanted,
        } => format!(
            "{ready} of {} of version {version} ready",
            counted(*wanted, "replica", "replicas")
        ),
        Reason::BackingOff { crashes, until } => {
            // Whole seconds, so that the sentence does not change with every look.
            let seconds = until.since(now).0.div_ceil(1000);
            format!(
                "{} failed in a row, the next is in {seconds} s",
                counted(*crashes, "start", "starts")
            )
        }
        Reason::Draining { replicas } => format!(
            "{} requests",
            counted(*replicas, "replica finishes its", "replicas finish their")
        ),
    }
}
