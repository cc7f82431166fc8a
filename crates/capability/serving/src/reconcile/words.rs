//! A plan's reasons as one sentence.

use corliss_diagnostics::counted;
use corliss_policy_serving::{Phase, Plan, Reason};
use corliss_types::Timestamp;

use crate::store::Failure;

/// Why an endpoint is not simply ready; nothing if it is. `waits` is why a replica of it is still in the queue.
pub fn sentence(
    plan: &Plan,
    now: Timestamp,
    last_failure: Option<&Failure>,
    waits: Option<&str>,
) -> Option<String> {
    let mut parts: Vec<String> = plan
        .reasons
        .iter()
        .map(|reason| part(reason, now, last_failure, waits))
        .collect();
    if matches!(plan.phase, Phase::Failed | Phase::Degraded | Phase::Deploying)
        && plan
            .reasons
            .iter()
            .any(|reason| matches!(reason, Reason::BackingOff { .. }))
        && let Some(failure) = last_failure
    {
        parts.insert(0, failure.reason.clone());
    }
    (!parts.is_empty()).then(|| parts.join("; "))
}

fn part(reason: &Reason, now: Timestamp, last: Option<&Failure>, waits: Option<&str>) -> String {
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
            let ended = if last.is_some_and(|last| last.was_ready) {
                counted(
                    *crashes,
                    "replica ended by itself",
                    "replicas ended by themselves in a row",
                )
            } else {
                counted(*crashes, "start failed", "starts failed in a row")
            };
            format!("{ended}, the next is in {seconds} s")
        }
        Reason::Draining { replicas } => format!(
            "{} requests",
            counted(*replicas, "replica finishes its", "replicas finish their")
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_replica_that_was_killed_is_no_start_that_failed() {
        let told = |crashes, was_ready| {
            let until = Timestamp::from_millis(2_000);
            let plan = Plan {
                actions: Vec::new(),
                phase: Phase::Degraded,
                reasons: vec![Reason::BackingOff { crashes, until }],
                wake_at: None,
            };
            let failure = Failure {
                reason: "it was killed by signal 9".to_owned(),
                was_ready,
            };
            sentence(&plan, Timestamp::from_millis(0), Some(&failure), None).unwrap()
        };
        assert_eq!(
            told(1, true),
            "it was killed by signal 9; 1 replica ended by itself, the next is in 2 s"
        );
        assert!(told(2, true).contains("2 replicas ended by themselves in a row"));
        assert!(told(1, false).contains("1 start failed, the next"));
        assert!(told(2, false).contains("2 starts failed in a row, the next"));
    }
}
