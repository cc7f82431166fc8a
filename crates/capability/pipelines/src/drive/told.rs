//! Reasons as people read them.

use corliss_policy_pipeline::{FailureClass, Reason};

use crate::project_file::ProjectFile;

fn name(spec: &ProjectFile, step: usize) -> &str {
    spec.steps.get(step).map_or("?", |step| step.name.as_str())
}

/// Why a step waits.
pub(crate) fn waiting_reason(spec: &ProjectFile, reason: &Reason) -> String {
    match reason {
        Reason::WaitsFor { step } => format!("waits for step '{}'", name(spec, *step)),
        Reason::RetriesAt { class, failures, .. } => {
            format!("is tried again soon: {} failure {failures}", fault(*class))
        }
        Reason::LiveLimit { limit } => {
            format!("waits for its turn: {limit} steps of this run are in progress")
        }
        other => ended_reason(spec, other, None),
    }
}

/// Why a step ended without success; `last` is how its newest attempt failed.
pub(super) fn ended_reason(spec: &ProjectFile, reason: &Reason, last: Option<&str>) -> String {
    match reason {
        Reason::RetriesSpent { class, budget } => {
            let last = last.unwrap_or("the last attempt failed");
            match budget {
                0 => last.to_owned(),
                1 => format!("{last} (after 1 {} retry)", fault(*class)),
                count => format!("{last} (after {count} {} retries)", fault(*class)),
            }
        }
        Reason::UpstreamFailed { step } => format!("step '{}' did not succeed", name(spec, *step)),
        Reason::RunStopped { step } => {
            let step = name(spec, *step);
            match last {
                Some(last) => format!("{last} (not tried again: step '{step}' did not succeed)"),
                None => format!("nothing starts after step '{step}' did not succeed"),
            }
        }
        Reason::CancelRequested => "the run was cancelled".to_owned(),
        Reason::JobCancelled => "its job was cancelled".to_owned(),
        waiting => waiting_reason(spec, waiting),
    }
}

fn fault(class: FailureClass) -> &'static str {
    class.as_str()
}

/// Why the run ended, if a step decided it.
pub(super) fn run_reason(spec: &ProjectFile, because: Option<usize>, why: Option<&str>) -> Option<String> {
    let step = name(spec, because?);
    Some(match why {
        Some(why) => format!("step '{step}': {why}"),
        None => format!("step '{step}' did not succeed"),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_ran_and_who_never_started_are_told_apart() {
        let text = "project: p\nsteps:\n  a: {run: x}\n  b: {run: y}\n";
        let spec = crate::project_file::parse(text, None).unwrap();
        let reason = Reason::RunStopped { step: 1 };
        assert_eq!(
            ended_reason(&spec, &reason, Some("worker 0 was lost")),
            "worker 0 was lost (not tried again: step 'b' did not succeed)"
        );
        assert_eq!(
            ended_reason(&spec, &reason, None),
            "nothing starts after step 'b' did not succeed"
        );
    }
}
