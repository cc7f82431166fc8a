//! Which steps of an ended run a rerun keeps and which it carries out again.

use crate::StepState;

/// What becomes of a step in the rerun.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fate {
    /// Its recorded outputs are taken over.
    Keep,
    /// It is decided anew; an earlier result with equal inputs may stand in.
    Again,
    /// It was asked for by name: it runs, whatever results there are.
    Force,
}

/// Why a rerun makes no sense.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RerunError {
    /// Every step is done already, and none was named.
    NothingToDo,
    /// The step named, or one that it needs, has no such index.
    UnknownStep,
}

/// The fate of each step: done steps are kept, except `from` and all that follow from it.
///
/// `steps` are the recorded states and needs; `order` has every step after its needs.
///
/// # Errors
/// If the step named does not exist, or there is nothing to do.
pub fn rerun(
    steps: &[(StepState, &[usize])],
    order: &[usize],
    from: Option<usize>,
) -> Result<Vec<Fate>, RerunError> {
    if from.is_some_and(|from| from >= steps.len()) {
        return Err(RerunError::UnknownStep);
    }
    let mut fates = vec![Fate::Again; steps.len()];
    for index in order {
        let Some((state, needs)) = steps.get(*index) else {
            return Err(RerunError::UnknownStep);
        };
        let follows = needs.iter().any(|need| fates.get(*need) != Some(&Fate::Keep));
        fates[*index] = if from == Some(*index) {
            Fate::Force
        } else if follows || !state.is_done() {
            Fate::Again
        } else {
            Fate::Keep
        };
    }
    if fates.iter().all(|fate| *fate == Fate::Keep) {
        return Err(RerunError::NothingToDo);
    }
    Ok(fates)
}

#[cfg(test)]
mod tests {
    use super::*;
    use StepState::{Failed, Reused, Skipped, Succeeded};

    #[test]
    fn done_steps_are_kept_and_the_rest_runs_again() {
        let steps: [(StepState, &[usize]); 4] =
            [(Succeeded, &[]), (Reused, &[0]), (Failed, &[1]), (Skipped, &[2])];
        let fates = rerun(&steps, &[0, 1, 2, 3], None).unwrap();
        assert_eq!(fates, [Fate::Keep, Fate::Keep, Fate::Again, Fate::Again]);
    }

    #[test]
    fn the_step_named_is_forced_and_its_followers_decide_anew() {
        let steps: [(StepState, &[usize]); 4] = [
            (Succeeded, &[]),
            (Succeeded, &[0]),
            (Succeeded, &[0]),
            (Succeeded, &[1, 2]),
        ];
        let fates = rerun(&steps, &[0, 1, 2, 3], Some(1)).unwrap();
        assert_eq!(fates, [Fate::Keep, Fate::Force, Fate::Keep, Fate::Again]);
        assert_eq!(rerun(&steps, &[0, 1, 2, 3], None), Err(RerunError::NothingToDo));
        assert_eq!(
            rerun(&steps, &[0, 1, 2, 3], Some(4)),
            Err(RerunError::UnknownStep)
        );
    }
}
