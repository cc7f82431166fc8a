//! How long compute threads should wait for each other before they sleep. Pure: how long turns took, and how much of it
//! their thread stood in line for a CPU, goes in; which way to wait comes out.
//!
//! Alone on its CPUs a thread had better wait awake: the other is there in microseconds, and to sleep and wake up again
//! takes longer, a fifth of the tokens a second. Beside other busy processes the other often has no CPU, and whoever
//! waits awake burns the time in which it could have run: there a token may take seconds instead of a hundredth of one.
//! So threads sleep until the machine has shown for a while that nobody else wants its CPUs, and at the first turn that
//! says otherwise they sleep again, each time for longer.

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
}

/// For how long the machine must be quiet before threads wait awake: after the first disturbance, and at most.
const QUIET: Duration = Duration::from_secs(1);
const QUIET_MAX: Duration = Duration::from_secs(64);
/// Of a turn's time, the share in line for a CPU that is no sign of anybody else: one in so many.
const CALM: u32 = 50;
/// As much is a sign, if it is more than a scheduler's tick.
const BUSY: u32 = 10;
const TICK: Duration = Duration::from_millis(4);

/// Chooses the way to wait.
#[derive(Debug)]
pub(super) struct Chooser {
    now: Patience,
    /// How long the machine must be quiet before the next try.
    needed: Duration,
    /// Time of turns, and of it in line, since the last sign of others.
    quiet: (Duration, Duration),
}

impl Chooser {
    pub fn new() -> Self {
        Self {
            now: Patience::Asleep,
            needed: QUIET,
            quiet: Default::default(),
        }
    }

    /// How to wait in the next turn.
    pub fn now(&self) -> Patience {
        self.now
    }

    /// Takes note of a turn that took so long, of which its thread stood in line for so long; none if that is not known,
    /// and then nobody waits awake.
    pub fn took(&mut self, time: Duration, in_line: Option<Duration>) {
        let Some(in_line) = in_line else {
            self.now = Patience::Asleep;
            return;
        };
        let disturbed = in_line > TICK && in_line > time / BUSY;
        self.quiet = (self.quiet.0 + time, self.quiet.1 + in_line);
        match self.now {
            Patience::Awake if disturbed => {
                self.now = Patience::Asleep;
                self.needed = (self.needed * 2).min(QUIET_MAX);
                self.quiet = Default::default();
            }
            // It has gone well for long: the next disturbance is the first one again.
            Patience::Awake if self.quiet.0 > QUIET_MAX => self.needed = QUIET,
            Patience::Asleep if disturbed => self.quiet = Default::default(),
            Patience::Asleep if self.quiet.0 >= self.needed => {
                if self.quiet.1 < self.quiet.0 / CALM {
                    self.now = Patience::Awake;
                }
                self.quiet = Default::default();
            }
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: Duration = Duration::from_millis(1);

    /// So many turns of 10 ms, of which each stood in line for so long.
    fn run(chooser: &mut Chooser, turns: u32, in_line: Duration) {
        for _ in 0..turns {
            chooser.took(10 * MS + in_line, Some(in_line));
        }
    }

    #[test]
    fn threads_wait_awake_once_the_machine_was_quiet() {
        let mut chooser = Chooser::new();
        assert_eq!(chooser.now(), Patience::Asleep);
        run(&mut chooser, 90, MS / 10);
        assert_eq!(chooser.now(), Patience::Asleep);
        run(&mut chooser, 20, MS / 10);
        assert_eq!(chooser.now(), Patience::Awake);
    }

    #[test]
    fn one_turn_in_line_is_enough_to_sleep_and_the_next_try_takes_longer() {
        let mut chooser = Chooser::new();
        for seconds in [1, 2, 4, 8, 16, 32, 64, 64] {
            run(&mut chooser, seconds * 100 - 10, Duration::ZERO);
            assert_eq!(chooser.now(), Patience::Asleep, "{seconds}");
            run(&mut chooser, 20, Duration::ZERO);
            assert_eq!(chooser.now(), Patience::Awake, "{seconds}");
            run(&mut chooser, 1, 40 * MS);
            assert_eq!(chooser.now(), Patience::Asleep, "{seconds}");
        }
        run(&mut chooser, 20_000, Duration::ZERO);
        run(&mut chooser, 1, 40 * MS);
        run(&mut chooser, 210, Duration::ZERO);
        assert_eq!(chooser.now(), Patience::Awake);
    }

    #[test]
    fn beside_others_nobody_waits_awake() {
        for in_line in [MS, 5 * MS, 500 * MS] {
            let mut chooser = Chooser::new();
            run(&mut chooser, 5000, in_line);
            assert_eq!(chooser.now(), Patience::Asleep, "{in_line:?}");
        }
        let mut chooser = Chooser::new();
        for _ in 0..5000 {
            chooser.took(10 * MS, None);
        }
        assert_eq!(chooser.now(), Patience::Asleep);
    }
}
