//! How many requests a replica can line up, learnt from its refusals.
//!
//! Problem: a replica whose line is full refuses what comes, and to ask it and be refused takes time of the CPU with which
//! it could answer. Under five times as many requests as it can answer that is a third of what it has.
//!
//! What it had in flight when it refused one more is what it holds. More is let through as time goes by, a sixteenth each
//! step, since a line may be bounded by other things than a number: by tokens, or by time.

use corliss_types::{DurationMs, Timestamp};

/// After so long without a refusal a little more is tried.
const STEP: DurationMs = DurationMs(250);
/// What is tried in each step, as a part of what was held: one in so many.
const PART: u64 = 16;

/// What a replica holds, as far as it ever refused.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Room(Option<Refused>);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Refused {
    /// What it held.
    held: u64,
    at: Timestamp,
}

impl Room {
    /// It refused one more than these.
    pub(super) fn refused(&mut self, held: u64, now: Timestamp) {
        // Of those that are refused together the last has the fewest beside it.
        let held = if self.is_for(held, now) {
            held
        } else {
            self.most(now).unwrap_or(held)
        };
        self.0 = Some(Refused { held, at: now });
    }

    /// Whether one more may be sent to a replica that has these.
    pub(super) fn is_for(&self, in_flight: u64, now: Timestamp) -> bool {
        self.most(now).is_none_or(|most| in_flight < most)
    }

    fn most(&self, now: Timestamp) -> Option<u64> {
        let Refused { held, at } = self.0?;
        let steps = now.since(at).0 / STEP.0;
        let part = (held / PART).max(1);
        Some(held.max(1).saturating_add(part.saturating_mul(steps)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp::from_millis(1_000_000);

    #[test]
    fn a_replica_is_full_with_what_it_held_when_it_refused() {
        let mut room = Room::default();
        assert!(room.is_for(1_000, NOW));
        room.refused(160, NOW);
        assert!(room.is_for(159, NOW) && !room.is_for(160, NOW));
    }

    #[test]
    fn more_is_tried_step_by_step() {
        let mut room = Room::default();
        room.refused(160, NOW);
        let later = NOW + STEP;
        assert!(room.is_for(169, later) && !room.is_for(170, later));
        room.refused(165, later);
        assert!(room.is_for(164, later) && !room.is_for(165, later));
        let much_later = NOW + DurationMs(3_600_000);
        assert!(room.is_for(10_000, much_later));
    }

    #[test]
    fn of_those_refused_together_the_fewest_count() {
        let mut room = Room::default();
        room.refused(300, NOW);
        room.refused(257, NOW);
        room.refused(290, NOW);
        assert!(room.is_for(256, NOW) && !room.is_for(257, NOW));
    }

    #[test]
    fn one_that_holds_nothing_is_asked_once_in_a_while() {
        let mut room = Room::default();
        room.refused(0, NOW);
        assert!(room.is_for(0, NOW) && !room.is_for(1, NOW));
    }
}
