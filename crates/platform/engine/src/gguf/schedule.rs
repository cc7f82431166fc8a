//! What goes into the next batch. Pure: states in, shares out.
//!
//! Every sequence that is answering gets its one token first, so that a long prompt never stalls running
//! answers for longer than one bounded share; prompts fill what is left, oldest first.

/// Tokens of one batch at most.
pub(super) const BATCH_TOKENS: usize = 512;
/// Prompt tokens that are mixed into a batch while others are answering: what a running answer waits for
/// between two of its tokens is bounded by this.
const PROMPT_TOKENS_BESIDE_ANSWERS: usize = 128;

/// One running sequence, as the schedule sees it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Phase {
    /// So many prompt tokens are not computed yet (at least one).
    Prompt(usize),
    /// One token was sampled and is to be computed.
    Answer,
}

/// How many tokens each sequence, given oldest first, has in the next batch.
pub(super) fn shares(phases: &[Phase]) -> Vec<usize> {
    let answering = phases.iter().filter(|phase| **phase == Phase::Answer).count();
    let room = BATCH_TOKENS.saturating_sub(answering);
    let mut left = if answering > 0 {
        room.min(PROMPT_TOKENS_BESIDE_ANSWERS)
    } else {
        room
    };
    phases
        .iter()
        .map(|phase| match phase {
            Phase::Answer => 1,
            Phase::Prompt(waiting) => {
                let share = (*waiting).min(left);
                left -= share;
                share
            }
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn answers_go_first_and_prompts_share_the_rest_in_order() {
        use Phase::{Answer, Prompt};
        assert_eq!(shares(&[Prompt(1000)]), [512]);
        assert_eq!(shares(&[Prompt(100), Prompt(1000)]), [100, 412]);
        assert_eq!(
            shares(&[Answer, Prompt(100), Answer, Prompt(1000)]),
            [1, 100, 1, 28]
        );
        assert_eq!(shares(&[Answer, Prompt(1000), Prompt(5)]), [1, 128, 0]);
        assert!(shares(&[]).is_empty());
    }

    proptest! {
        #[test]
        fn a_batch_is_bounded_and_never_idle(prompts in proptest::collection::vec(0_usize..2000, 1..256)) {
            let phases: Vec<Phase> =
                prompts.iter().map(|waiting| if *waiting == 0 { Phase::Answer } else { Phase::Prompt(*waiting) }).collect();
            let shares = shares(&phases);
            prop_assert!(shares.iter().sum::<usize>() <= BATCH_TOKENS);
            prop_assert!(shares.iter().sum::<usize>() > 0);
            for (phase, share) in phases.iter().zip(&shares) {
                match phase {
                    Phase::Answer => prop_assert_eq!(*share, 1),
                    Phase::Prompt(waiting) => prop_assert!(share <= waiting),
                }
            }
        }
    }
}
