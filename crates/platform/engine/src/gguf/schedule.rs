//! What goes into the next batch, who waits for whom, and who loses a place. Pure: states in, decisions out.
//!
//! Every sequence that is answering gets its one token first. Prompts share what room the iteration has left: those of less
//! priority first, and among equals the one that has the least to come, so that a short prompt does not wait for a long one
//! that came before it. The oldest prompt has a quarter of the room whatever the others are, so it is done at the latest
//! after four times as long as alone. How large the room is follows from how fast this machine computes: an answer waits
//! for its next token, and a new request for its first place, as long as an iteration takes.

use std::time::Duration;

/// Tokens of one batch at most.
pub(super) const BATCH_TOKENS: usize = 512;
/// Prompt tokens of an iteration that nobody else waits for. Fixed: a lone request with a seed is computed in the same
/// pieces when it comes again, and answered alike to the last bit.
const PROMPT_TOKENS_ALONE: usize = 256;
/// Prompt tokens of an iteration beside others, at least and at most.
const PROMPT_TOKENS_BESIDE: std::ops::RangeInclusive<usize> = 64..=256;
/// The same before anything was measured.
const PROMPT_TOKENS_AT_FIRST: usize = 128;
/// What prompts may take of an iteration beside others.
const PROMPT_TIME: Duration = Duration::from_millis(100);
/// Of the room for prompts, the part that is the oldest's: one in so many.
const OLDEST_SHARE: usize = 4;
/// Weight of the newest measurement.
const PACE_WEIGHT: f64 = 0.25;
/// An iteration with fewer prompt tokens says little of what a prompt token takes.
const MEASURED_TOKENS: usize = 16;

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

impl Phase {
    fn waiting(self) -> usize {
        match self {
            Self::Prompt(waiting) | Self::ScoredPrompt(waiting) => waiting,
            Self::Answer => 0,
        }
    }
}

/// How fast prompts are computed here.
#[derive(Debug, Default)]
pub(super) struct Pace {
    token_s: Option<f64>,
}

impl Pace {
    /// Notes what an iteration took, of whose tokens so many were of prompts.
    pub fn note(&mut self, prompt_tokens: usize, tokens: usize, took: Duration) {
        if prompt_tokens < MEASURED_TOKENS {
            return;
        }
        let now = took.as_secs_f64() / tokens.max(1) as f64;
        self.token_s = Some(
            self.token_s
                .map_or(now, |before| before * (1.0 - PACE_WEIGHT) + now * PACE_WEIGHT),
        );
    }

    /// Prompt tokens of an iteration beside others.
    fn room(&self) -> usize {
        let (least, most) = (*PROMPT_TOKENS_BESIDE.start(), *PROMPT_TOKENS_BESIDE.end());
        self.token_s.map_or(PROMPT_TOKENS_AT_FIRST, |token_s| {
            ((PROMPT_TIME.as_secs_f64() / token_s) as usize).clamp(least, most)
        })
    }
}

/// How many tokens each sequence has in the next batch. They are given in order of their turns, each with its priority.
pub(super) fn shares(sequences: &[(i32, Phase)], pace: &Pace) -> Vec<usize> {
    let is_answer = |(_, phase): &&(i32, Phase)| *phase == Phase::Answer;
    let answering = sequences.iter().filter(is_answer).count();
    let room = match sequences {
        [_] => PROMPT_TOKENS_ALONE,
        _ => pace.room(),
    };
    let mut left = room.min(BATCH_TOKENS.saturating_sub(answering));
    let mut scored_left = SCORED_TOKENS;
    let mut shares: Vec<usize> = sequences
        .iter()
        .map(|(_, phase)| usize::from(*phase == Phase::Answer))
        .collect();
    let mut give = |at: usize, most: usize, left: &mut usize| {
        let phase = sequences[at].1;
        let mut share = (phase.waiting() - shares[at]).min(most).min(*left);
        if matches!(phase, Phase::ScoredPrompt(_)) {
            share = share.min(scored_left);
            scored_left -= share;
        }
        shares[at] += share;
        *left -= share;
    };
    let mut prompts: Vec<usize> = (0..sequences.len())
        .filter(|at| sequences[*at].1 != Phase::Answer)
        .collect();
    if let Some(oldest) = prompts.first() {
        give(*oldest, (room / OLDEST_SHARE).max(1), &mut left);
    }
    // Stable: of two with as much to come, the older goes first.
    prompts.sort_by_key(|at| (sequences[*at].0, sequences[*at].1.waiting()));
    for at in prompts {
        give(at, usize::MAX, &mut left);
    }
    shares
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

    fn equals(phases: &[Phase]) -> Vec<(i32, Phase)> {
        phases.iter().map(|phase| (0, *phase)).collect()
    }

    fn of_equals(phases: &[Phase]) -> Vec<usize> {
        shares(&equals(phases), &Pace::default())
    }

    /// A machine that takes so long for a prompt token.
    fn pace(token: Duration) -> Pace {
        let mut pace = Pace::default();
        pace.note(100, 100, token * 100);
        pace
    }

    #[test]
    fn answers_go_first_and_the_shortest_prompt_next() {
        use Phase::{Answer, Prompt};
        assert_eq!(of_equals(&[Prompt(1000)]), [256]);
        assert_eq!(of_equals(&[Answer, Prompt(1000)]), [1, 128]);
        assert_eq!(
            of_equals(&[Answer, Prompt(1000), Answer, Prompt(40)]),
            [1, 88, 1, 40]
        );
        assert_eq!(of_equals(&[Prompt(20), Prompt(1000), Prompt(40)]), [20, 68, 40]);
        assert!(of_equals(&[]).is_empty());
    }

    #[test]
    fn the_oldest_prompt_always_goes_on() {
        use Phase::Prompt;
        assert_eq!(of_equals(&[Prompt(1000), Prompt(900), Prompt(800)]), [32, 0, 96]);
        let urgent = [(-1, Prompt(1000)), (0, Prompt(900)), (0, Prompt(10))];
        assert_eq!(shares(&urgent, &Pace::default()), [128, 0, 0], "less is sooner");
        let late = [(0, Prompt(1000)), (5, Prompt(10))];
        assert_eq!(shares(&late, &Pace::default()), [128, 0]);
    }

    #[test]
    fn prompts_beside_others_have_as_much_room_as_is_computed_in_its_time() {
        use Phase::{Answer, Prompt};
        let sequences = equals(&[Answer, Prompt(1000)]);
        let share = |token| shares(&sequences, &pace(token))[1];
        assert_eq!(share(Duration::from_micros(1_000)), 100);
        assert_eq!(share(Duration::from_micros(10)), 256);
        assert_eq!(share(Duration::from_millis(20)), 64);
        let alone = equals(&[Prompt(1000)]);
        assert_eq!(shares(&alone, &pace(Duration::from_millis(20))), [256]);
        let mut told = pace(Duration::from_micros(1_000));
        told.note(4, 20, Duration::from_secs(1));
        assert_eq!(shares(&sequences, &told)[1], 100, "too few to tell");
    }

    #[test]
    fn scored_prompts_share_a_smaller_part_and_others_fill_the_rest() {
        use Phase::{Answer, Prompt, ScoredPrompt};
        let fast = pace(Duration::from_micros(10));
        let of = |phases: &[Phase]| shares(&equals(phases), &fast);
        assert_eq!(
            of(&[ScoredPrompt(100), ScoredPrompt(100), Prompt(1000)]),
            [100, 28, 128]
        );
        assert_eq!(of(&[ScoredPrompt(1000), ScoredPrompt(5)]), [123, 5]);
        assert_eq!(of(&[Answer, ScoredPrompt(1000), Prompt(5)]), [1, 128, 5]);
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
            prompts in proptest::collection::vec((0_usize..2000, any::<bool>(), -2_i32..3), 1..256),
            token_us in 1_u64..50_000,
        ) {
            let phase = |(waiting, scored, priority): &(usize, bool, i32)| (*priority, match (*waiting, *scored) {
                (0, _) => Phase::Answer,
                (waiting, false) => Phase::Prompt(waiting),
                (waiting, true) => Phase::ScoredPrompt(waiting),
            });
            let phases: Vec<(i32, Phase)> = prompts.iter().map(phase).collect();
            let shares = shares(&phases, &pace(Duration::from_micros(token_us)));
            prop_assert!(shares.iter().sum::<usize>() <= BATCH_TOKENS);
            prop_assert!(shares.iter().sum::<usize>() > 0);
            let mut oldest = true;
            for ((_, phase), share) in phases.iter().zip(&shares) {
                match phase {
                    Phase::Answer => prop_assert_eq!(*share, 1),
                    Phase::Prompt(waiting) | Phase::ScoredPrompt(waiting) => {
                        prop_assert!(share <= waiting);
                        prop_assert!(!oldest || *share > 0);
                        oldest = false;
                    }
                }
            }
        }
    }
}
