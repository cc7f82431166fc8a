//! What goes into the next batch, who waits for whom, and who loses a place. Pure: states in, decisions out.
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

/// Tokens of a prompt that are worth waiting for: that others compute them costs turns, and to compute them costs them all.
const WORTH_WAITING: usize = 32;

/// Whether a prompt, of which the first `reusable` tokens may be taken over, had better wait: another that begins alike is
/// being computed, and has more of it to come than there is now. `others` are prompts and how much of each is computed.
pub(super) fn waits_for_twin<'p, T: PartialEq + 'p>(
    prompt: &[T],
    reusable: usize,
    others: impl Iterator<Item = (&'p [T], usize)>,
) -> bool {
    let wanted = prompt.get(..reusable).unwrap_or(prompt);
    let (mut there, mut to_come) = (0, 0);
    for (other, computed) in others {
        let alike = wanted
            .iter()
            .zip(other)
            .take_while(|(one, other)| one == other)
            .count();
        there = there.max(alike.min(computed));
        if computed < other.len() {
            to_come = to_come.max(alike);
        }
    }
    to_come >= there + WORTH_WAITING
}

/// Who loses a place to a request whose turn is `turn`: of those that can, and come later, the last. Each has its turn and
/// whether it can.
pub(super) fn victim<Turn: Ord + Copy>(
    running: impl Iterator<Item = (usize, Turn, bool)>,
    turn: Turn,
) -> Option<usize> {
    running
        .filter(|(_, other, can)| *can && *other > turn)
        .max_by_key(|(_, other, _)| *other)
        .map(|(at, _, _)| at)
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

    #[test]
    fn a_twin_is_waited_for_while_it_has_more_to_come() {
        let prompt: Vec<u32> = (0..100).collect();
        let waits =
            |reusable, others: &[(&[u32], usize)]| waits_for_twin(&prompt, reusable, others.iter().copied());
        let twin = &prompt[..];
        assert!(waits(99, &[(twin, 0)]));
        assert!(waits(99, &[(twin, 60)]));
        assert!(!waits(99, &[(twin, 80)]), "the rest is computed as soon");
        assert!(!waits(99, &[(twin, 100)]), "all of it is there");
        assert!(
            !waits(0, &[(twin, 0)]),
            "whoever takes nothing over waits for nothing"
        );
        assert!(!waits(99, &[(twin, 0), (twin, 100)]), "another has it already");
        let other: Vec<u32> = (0..20).chain(500..600).collect();
        assert!(!waits(99, &[(&other, 0)]), "too little is alike");
        assert!(!waits(99, &[]));
    }

    #[test]
    fn the_last_of_those_that_come_later_loses_its_place() {
        let running = [
            (0, (0, 3), true),
            (1, (5, 1), true),
            (2, (5, 2), false),
            (3, (-1, 9), true),
        ];
        assert_eq!(victim(running.into_iter(), (0, 4)), Some(1));
        assert_eq!(victim(running.into_iter(), (0, 1)), Some(1));
        assert_eq!(victim(running[..1].iter().copied(), (0, 1)), Some(0));
        assert_eq!(victim(running.into_iter(), (7, 0)), None);
        assert_eq!(
            victim(running[2..3].iter().copied(), (0, 0)),
            None,
            "it cannot go back"
        );
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
