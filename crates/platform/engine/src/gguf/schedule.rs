//! What goes into the next batch. Pure: states in, shares out.
//!
//! Every sequence that is answering gets its one token first, so that a long prompt never stalls running
//! answers for longer than one bounded share; prompts fill what is left, oldest first.

/// Tokens of one batch at most.
pub(super) const BATCH_TOKENS: usize = 512;
/// Prompt tokens that are mixed into a batch while others are answering: what a running answer waits for
/// between two of its tokens is bounded by this.
const PROMPT_TOKENS_BESIDE_ANSWERS: usize = 128;

/// Prompt tokens of one batch that are all scored, at most: llama.cpp keeps a score for every token of the
/// vocabulary behind each of them, and reading those takes the time of some answers.
const SCORED_TOKENS: usize = 128;

/// One running sequence, as the schedule sees it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Phase {
    /// So many prompt tokens are not computed yet (at least one).
    Prompt(usize),
    /// The same, and each is scored.
    ScoredPrompt(usize),
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
    let mut scored_left = SCORED_TOKENS;
    phases
        .iter()
        .map(|phase| match phase {
            Phase::Answer => 1,
            Phase::Prompt(waiting) => {
                let share = (*waiting).min(left);
                left -= share;
                share
            }
            Phase::ScoredPrompt(waiting) => {
                let share = (*waiting).min(left).min(scored_left);
                (left, scored_left) = (left - share, scored_left - share);
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

    #[test]
    fn scored_prompts_share_a_smaller_part_and_others_fill_the_rest() {
        use Phase::{Answer, Prompt, ScoredPrompt};
        assert_eq!(
            shares(&[ScoredPrompt(100), ScoredPrompt(100), Prompt(1000)]),
            [100, 28, 384]
        );
        assert_eq!(shares(&[ScoredPrompt(1000), ScoredPrompt(5)]), [128, 0]);
        assert_eq!(shares(&[Answer, ScoredPrompt(1000), Prompt(5)]), [1, 128, 0]);
    }

    proptest! {
        #[test]
        fn a_batch_is_bounded_and_never_idle(
            prompts in proptest::collection::vec((0_usize..2000, any::<bool>()), 1..256),
        ) {
            let phase = |(waiting, scored): &(usize, bool)| match (*waiting, *scored) {
                (0, _) => Phase::Answer,
                (waiting, false) => Phase::Prompt(waiting),
                (waiting, true) => Phase::ScoredPrompt(waiting),
            };
            let phases: Vec<Phase> = prompts.iter().map(phase).collect();
            let shares = shares(&phases);
            prop_assert!(shares.iter().sum::<usize>() <= BATCH_TOKENS);
            prop_assert!(shares.iter().sum::<usize>() > 0);
            for (phase, share) in phases.iter().zip(&shares) {
                match phase {
                    Phase::Answer => prop_assert_eq!(*share, 1),
                    Phase::Prompt(waiting) | Phase::ScoredPrompt(waiting) => prop_assert!(share <= waiting),
                }
            }
        }
    }
}
