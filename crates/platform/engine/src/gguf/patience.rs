//! How long compute threads should wait for each other before they sleep, found out by trying. Pure: how long turns took
//! goes in, which way to wait comes out.
//!
//! Alone on its CPUs a thread had better wait awake: the other is there in microseconds, and to sleep and wake up again
//! takes longer. Beside other busy processes the other often has no CPU, and whoever waits awake burns the time in which
//! it could have run: with three of them on two CPUs 12 tokens a second were decoded instead of 45. Nothing that can be
//! read beforehand tells which it is, so now and then both ways take turns for some iterations, and the faster one stays.
//! What is tried costs more the worse it is, so what stays is tried again ever more rarely.

use std::time::Duration;

/// A way to wait.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Patience {
    /// For some milliseconds, which is libgomp's default.
    Awake,
    /// For some microseconds.
    Asleep,
}

impl Patience {
    /// Turns of libgomp's waiting loop before a thread sleeps.
    pub fn spins(self) -> u64 {
        match self {
            Self::Awake => 300_000,
            Self::Asleep => 300,
        }
    }

    fn other(self) -> Self {
        match self {
            Self::Awake => Self::Asleep,
            Self::Asleep => Self::Awake,
        }
    }
}

/// Iterations from one trial to the next, at least and at most.
const REST: std::ops::RangeInclusive<u32> = 64..=2048;
/// Iterations of each way in a trial.
const TRIED: u32 = 8;
/// Iterations that a trial may take, since only those with as many sequences are compared.
const TRIAL_MAX: u32 = 64;
/// How much less time the other way must take, so that chance alone changes nothing: a 32nd.
const WORTH: u32 = 32;

/// Chooses the way to wait.
#[derive(Debug)]
pub(super) struct Chooser {
    chosen: Patience,
    rest: u32,
    doing: Doing,
}

#[derive(Debug)]
enum Doing {
    Resting {
        left: u32,
    },
    Trying {
        left: u32,
        /// Sequences of the iterations that are compared.
        sequences: usize,
        chosen: (u32, Duration),
        other: (u32, Duration),
    },
}

impl Chooser {
    pub fn new() -> Self {
        Self {
            chosen: Patience::Awake,
            rest: *REST.start(),
            doing: Doing::Resting { left: *REST.start() },
        }
    }

    /// How to wait in the next iteration.
    pub fn now(&self) -> Patience {
        match &self.doing {
            Doing::Trying { chosen, other, .. } if other.0 < chosen.0 => self.chosen.other(),
            _ => self.chosen,
        }
    }

    /// Takes note of an iteration in which each of so many sequences had one token, and nothing else was computed.
    pub fn took(&mut self, sequences: usize, time: Duration) {
        let tried = self.now();
        match &mut self.doing {
            Doing::Resting { left } => {
                *left -= 1;
                if *left == 0 {
                    self.doing = Doing::Trying {
                        left: TRIAL_MAX,
                        sequences,
                        chosen: (0, Duration::ZERO),
                        other: (0, Duration::ZERO),
                    };
                }
            }
            Doing::Trying {
                left,
                sequences: compared,
                chosen,
                other,
            } => {
                *left -= 1;
                if *compared != sequences {
                    *compared = sequences;
                    (*chosen, *other) = Default::default();
                } else {
                    let sum = if tried == self.chosen {
                        &mut *chosen
                    } else {
                        &mut *other
                    };
                    *sum = (sum.0 + 1, sum.1 + time);
                }
                let (chosen, other, left) = (*chosen, *other, *left);
                if chosen.0 == TRIED && other.0 == TRIED {
                    self.decide(other.1 + other.1 / WORTH < chosen.1);
                } else if left == 0 {
                    self.decide(false);
                }
            }
        }
    }

    fn decide(&mut self, changes: bool) {
        if changes {
            self.chosen = self.chosen.other();
            self.rest = *REST.start();
        } else {
            self.rest = self.rest.saturating_mul(2).min(*REST.end());
        }
        self.doing = Doing::Resting { left: self.rest };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: Duration = Duration::from_millis(1);

    /// Runs iterations that take so long awake and asleep; answers how many were of the dearer way.
    fn run(chooser: &mut Chooser, iterations: u32, awake: Duration, asleep: Duration) -> u32 {
        let mut dearer = 0;
        for _ in 0..iterations {
            let time = match chooser.now() {
                Patience::Awake => awake,
                Patience::Asleep => asleep,
            };
            dearer += u32::from(time > awake.min(asleep));
            chooser.took(8, time);
        }
        dearer
    }

    #[test]
    fn the_faster_way_stays_and_a_change_is_noticed() {
        let mut chooser = Chooser::new();
        run(&mut chooser, 500, 10 * MS, 12 * MS);
        assert_eq!(chooser.chosen, Patience::Awake);
        // Other processes came: whoever waits awake takes four times as long.
        run(&mut chooser, 2500, 48 * MS, 12 * MS);
        assert_eq!(chooser.chosen, Patience::Asleep);
        run(&mut chooser, 2500, 10 * MS, 12 * MS);
        assert_eq!(chooser.chosen, Patience::Awake);
    }

    #[test]
    fn the_dearer_way_is_tried_ever_more_rarely() {
        let mut chooser = Chooser::new();
        run(&mut chooser, 4000, 10 * MS, 40 * MS);
        let dearer = run(&mut chooser, 20_000, 10 * MS, 40 * MS);
        assert!((8..=100).contains(&dearer), "{dearer}");
    }

    #[test]
    fn what_differs_little_changes_nothing() {
        let mut chooser = Chooser::new();
        run(&mut chooser, 5000, 100 * MS, 98 * MS);
        assert_eq!(chooser.chosen, Patience::Awake);
    }

    #[test]
    fn iterations_of_different_size_are_not_compared() {
        let mut chooser = Chooser::new();
        // Awake the sequences are always many, asleep always few.
        for _ in 0..5000 {
            match chooser.now() {
                Patience::Awake => chooser.took(16, 20 * MS),
                Patience::Asleep => chooser.took(1, 5 * MS),
            }
        }
        assert_eq!(chooser.chosen, Patience::Awake);
    }
}
