//! What goes into the next batch, who waits for whom, and who loses a place. Pure: states in, decisions out.
//!
//! Every sequence that is answering gets its one token first. Prompts share what room the iteration has left: those of less
//! priority first, and among equals the one that has the least to come, so that a short prompt does not wait for a long one
//! that came before it. The oldest prompt has a quarter of the room whatever the others are, so it is done at the latest
//! after four times as long as alone. How large the room is follows from how fast this machine computes: an answer waits
//! for its next token as long as an iteration takes.
//!
//! A prompt is computed in whole tiles, but for its end: attention over a long context takes as long for a part of a tile as
//! for all of it, or longer. The quarter of the oldest is saved up until it makes a tile.

use std::time::Duration;

/// Tokens of one batch at most.
pub(super) const BATCH_TOKENS: usize = 512;
/// Rows of queries that ggml's attention computes together (`GGML_FA_TILE_Q`). With 64 and 128 tokens a pass a prompt of 3,000
/// took as long, with 100 a quarter longer, with 48 nearly twice as long.
const TILE_TOKENS: usize = 64;
/// Prompt tokens of an iteration in which nobody waits for a token of an answer. Fixed: a lone request with a seed is computed
/// in the same pieces when it comes again, and answered alike to the last bit.
const PROMPT_TOKENS_ALONE: usize = 4 * TILE_TOKENS;
/// Prompt tokens of an iteration beside answers, at least and at most.
const PROMPT_TOKENS_BESIDE: std::ops::RangeInclusive<usize> = TILE_TOKENS..=4 * TILE_TOKENS;
/// The same before anything was measured.
const PROMPT_TOKENS_AT_FIRST: usize = 2 * TILE_TOKENS;
/// What prompts may take of an iteration beside answers.
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

/// Divides iterations, by what those before took and had.
#[derive(Debug, Default)]
pub(super) struct Schedule {
    /// Seconds that a prompt token takes here.
    token_s: Option<f64>,
    /// Tokens that the oldest prompt has saved up.
    saved: usize,
}

impl Schedule {
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

    /// How many tokens each sequence has in the next batch. They are given in order of their turns, each with its priority.
    pub fn shares(&mut self, sequences: &[(i32, Phase)]) -> Vec<usize> {
        let is_answer = |(_, phase): &&(i32, Phase)| *phase == Phase::Answer;
        let answering = sequences.iter().filter(is_answer).count();
        let room = self.room(answering);
        let mut left = room.min(BATCH_TOKENS.saturating_sub(answering));
        let mut scored_left = SCORED_TOKENS;
        let mut shares: Vec<usize> = sequences
            .iter()
            .map(|(_, phase)| usize::from(*phase == Phase::Answer))
            .collect();
        let mut give = |at: usize, most: usize, left: &mut usize| {
            let phase = sequences[at].1;
            let most = most.min(*left);
            let scored = matches!(phase, Phase::ScoredPrompt(_));
            let most = if scored { most.min(scored_left) } else { most };
            let share = piece(phase.waiting() - shares[at], most);
            scored_left -= if scored { share } else { 0 };
            shares[at] += share;
            *left -= share;
        };
        let mut prompts: Vec<usize> = (0..sequences.len())
            .filter(|at| sequences[*at].1 != Phase::Answer)
            .collect();
        let oldest = prompts.first().copied();
        if let Some(oldest) = oldest {
            self.saved = (self.saved + room / OLDEST_SHARE).min(room);
            give(oldest, self.saved, &mut left);
        }
        // Stable: of two with as much to come, the older goes first.
        prompts.sort_by_key(|at| (sequences[*at].0, sequences[*at].1.waiting()));
        for at in prompts {
            give(at, usize::MAX, &mut left);
        }
        self.saved = oldest.map_or(0, |oldest| self.saved.saturating_sub(shares[oldest]));
        shares
    }

    /// Prompt tokens of an iteration beside so many answers: whole tiles.
    fn room(&self, answering: usize) -> usize {
        let (least, most) = (*PROMPT_TOKENS_BESIDE.start(), *PROMPT_TOKENS_BESIDE.end());
        match self.token_s {
            _ if answering == 0 => PROMPT_TOKENS_ALONE,
            None => PROMPT_TOKENS_AT_FIRST,
            Some(token_s) => {
                let in_time = (PROMPT_TIME.as_secs_f64() / token_s) as usize;
                in_time.clamp(least, most) / TILE_TOKENS * TILE_TOKENS
            }
        }
    }
}

/// What is computed of a prompt that waits, of `most` tokens: all that is left of it, or whole tiles.
fn piece(waiting: usize, most: usize) -> usize {
    if waiting <= most {
        waiting
    } else {
        most / TILE_TOKENS * TILE_TOKENS
    }
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
        Schedule::default().shares(&equals(phases))
    }

    /// On a machine that takes so long for a prompt token.
    fn measured(token: Duration) -> Schedule {
        let mut schedule = Schedule::default();
        schedule.note(100, 100, token * 100);
        schedule
    }

    #[test]
    fn answers_go_first_and_the_shortest_prompt_next() {
        use Phase::{Answer, Prompt};
        assert_eq!(of_equals(&[Prompt(1000)]), [256]);
        assert_eq!(of_equals(&[Answer, Prompt(1000)]), [1, 128]);
        assert_eq!(
            of_equals(&[Answer, Prompt(1000), Answer, Prompt(40)]),
            [1, 64, 1, 40]
        );
        assert_eq!(
            of_equals(&[Prompt(20), Prompt(1000), Prompt(40)]),
            [20, 192, 40],
            "nobody waits for a token of an answer"
        );
        assert!(of_equals(&[]).is_empty());
    }

    #[test]
    fn prompts_are_computed_in_tiles_and_the_oldest_saves_up_for_one() {
        use Phase::{Answer, Prompt};
        let mut slow = measured(Duration::from_millis(20));
        let beside = equals(&[Prompt(1000), Prompt(900), Answer, Prompt(50)]);
        for turn in 1..4 {
            assert_eq!(slow.shares(&beside), [0, 0, 1, 50], "turn {turn}");
        }
        assert_eq!(slow.shares(&beside), [64, 0, 1, 0], "a quarter, four times");
        assert_eq!(slow.shares(&beside), [0, 0, 1, 50]);
        let last = equals(&[Prompt(10), Prompt(900), Answer]);
        assert_eq!(slow.shares(&last), [10, 0, 1], "its end is no whole tile");
    }

    #[test]
    fn less_priority_goes_first_beside_the_oldest() {
        use Phase::Prompt;
        let of = |sequences: &[(i32, Phase)]| Schedule::default().shares(sequences);
        assert_eq!(
            of(&[(0, Prompt(1000)), (0, Prompt(900)), (0, Prompt(800))]),
            [64, 0, 192]
        );
        let urgent = [(-1, Prompt(1000)), (0, Prompt(900)), (0, Prompt(10))];
        assert_eq!(of(&urgent), [256, 0, 0], "less is sooner");
        assert_eq!(of(&[(0, Prompt(1000)), (5, Prompt(10))]), [256, 0]);
    }

    #[test]
    fn prompts_beside_answers_have_as_much_room_as_is_computed_in_its_time() {
        use Phase::{Answer, Prompt};
        let sequences = equals(&[Answer, Prompt(1000)]);
        let share = |token| measured(token).shares(&sequences)[1];
        assert_eq!(share(Duration::from_micros(700)), 128);
        assert_eq!(share(Duration::from_micros(10)), 256);
        assert_eq!(share(Duration::from_millis(20)), 64);
        let alone = equals(&[Prompt(1000)]);
        assert_eq!(measured(Duration::from_millis(20)).shares(&alone), [256]);
        let mut told = measured(Duration::from_micros(700));
        told.note(4, 20, Duration::from_secs(1));
        assert_eq!(told.shares(&sequences)[1], 128, "too few to tell");
    }

    #[test]
    fn scored_prompts_share_a_smaller_part_and_others_fill_the_rest() {
        use Phase::{Answer, Prompt, ScoredPrompt};
        let fast = |phases: &[Phase]| measured(Duration::from_micros(10)).shares(&equals(phases));
        assert_eq!(
            fast(&[ScoredPrompt(100), ScoredPrompt(28), Prompt(1000)]),
            [100, 28, 128]
        );
        assert_eq!(fast(&[ScoredPrompt(1000), ScoredPrompt(5)]), [64, 5]);
        assert_eq!(fast(&[Answer, ScoredPrompt(1000), Prompt(5)]), [1, 128, 5]);
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
            prompts in proptest::collection::vec((0_usize..2000, any::<bool>(), -2_i32..3), 1..40),
            token_us in 1_u64..50_000,
        ) {
            let phase = |(waiting, scored, priority): &(usize, bool, i32)| (*priority, match (*waiting, *scored) {
                (0, _) => Phase::Answer,
                (waiting, false) => Phase::Prompt(waiting),
                (waiting, true) => Phase::ScoredPrompt(waiting),
            });
            let mut phases: Vec<(i32, Phase)> = prompts.iter().map(phase).collect();
            let mut schedule = measured(Duration::from_micros(token_us));
            let mut turns = 0;
            while let Some(oldest) = phases.iter().position(|(_, phase)| phase.waiting() > 0) {
                let before = phases[oldest].1.waiting();
                let shares = schedule.shares(&phases);
                prop_assert!(shares.iter().sum::<usize>() <= BATCH_TOKENS);
                prop_assert!(shares.iter().sum::<usize>() > 0);
                for ((_, phase), share) in phases.iter_mut().zip(&shares) {
                    *phase = match *phase {
                        Phase::Answer => {
                            prop_assert_eq!(*share, 1);
                            continue;
                        }
                        Phase::Prompt(waiting) | Phase::ScoredPrompt(waiting) if waiting == *share => Phase::Answer,
                        Phase::Prompt(waiting) => Phase::Prompt(waiting - share),
                        Phase::ScoredPrompt(waiting) => Phase::ScoredPrompt(waiting - share),
                    };
                }
                turns = if phases[oldest].1.waiting() < before { 0 } else { turns + 1 };
                prop_assert!(turns < OLDEST_SHARE, "the oldest waits for its quarter only");
            }
        }
    }
}
