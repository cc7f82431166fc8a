//! Whose fault a failed attempt is, and how long to wait before the next one.

use corliss_types::DurationMs;
use serde::{Deserialize, Serialize};

/// Whose fault: each class has a retry budget of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FailureClass {
    /// The machine's: a lost process, a signal from outside. Trying again may well succeed.
    Infrastructure,
    /// The step's own: it would most likely fail again.
    User,
    /// Nobody's: it made room for another. No budget is taken from.
    Preempted,
}

impl FailureClass {
    /// The name as stored and sent.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Infrastructure => "infrastructure",
            Self::User => "user",
            Self::Preempted => "preempted",
        }
    }

    /// The class of this name.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        [Self::Infrastructure, Self::User, Self::Preempted]
            .into_iter()
            .find(|class| class.as_str() == name)
    }
}

/// How the task that brought an attempt down ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ending {
    /// By itself, with this code.
    Exited(i32),
    /// By a signal that nobody in Corliss sent.
    Signaled(i32),
    /// It used more memory than it asked for.
    OutOfMemory,
    /// It ran longer than its time-out.
    TimedOut,
    /// It, or its shim, is gone without a trace of why.
    Lost,
    /// It was stopped to make room for another.
    Preempted,
}

/// Whose fault an ending is.
///
/// SIGHUP, SIGINT, SIGKILL and SIGTERM come from outside: an operator, the kernel, a machine going down.
/// Faults such as SIGSEGV are the program's own. A shell reports a killed child as 128 + signal, so such
/// codes count as the signal.
#[must_use]
pub const fn classify(ending: Ending) -> FailureClass {
    match ending {
        Ending::Preempted => FailureClass::Preempted,
        Ending::Lost => FailureClass::Infrastructure,
        Ending::Signaled(signal) if is_outside(signal) => FailureClass::Infrastructure,
        Ending::Exited(code) if code > 128 && is_outside(code - 128) => FailureClass::Infrastructure,
        Ending::Exited(_) | Ending::Signaled(_) | Ending::OutOfMemory | Ending::TimedOut => {
            FailureClass::User
        }
    }
}

const fn is_outside(signal: i32) -> bool {
    const SIGHUP: i32 = 1;
    const SIGINT: i32 = 2;
    const SIGKILL: i32 = 9;
    const SIGTERM: i32 = 15;
    matches!(signal, SIGHUP | SIGINT | SIGKILL | SIGTERM)
}

/// How long to wait after the n-th failure of a class (n from 1) before trying again.
///
/// The first infrastructure failure is tried again at once, since a killed worker is the common case and
/// its replacement resumes from a checkpoint; after that the delay doubles from one second to a minute.
/// No jitter: one machine has no herd.
#[must_use]
pub fn retry_delay(class: FailureClass, nth: u32) -> DurationMs {
    const LONGEST: DurationMs = DurationMs(60_000);
    let doublings = match class {
        // It waits in the queue for its turn.
        FailureClass::Preempted => return DurationMs(0),
        FailureClass::Infrastructure if nth <= 1 => return DurationMs(0),
        FailureClass::Infrastructure => nth - 2,
        FailureClass::User => nth.saturating_sub(1),
    };
    DurationMs(1_000_u64.checked_shl(doublings.min(30)).unwrap_or(u64::MAX)).min(LONGEST)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_killed_worker_is_the_machines_fault_however_it_is_told() {
        for ending in [
            Ending::Lost,
            Ending::Signaled(9),
            Ending::Signaled(15),
            Ending::Exited(137),
        ] {
            assert_eq!(classify(ending), FailureClass::Infrastructure, "{ending:?}");
        }
        let own = [
            Ending::Exited(1),
            Ending::Exited(127),
            Ending::Exited(128),
            Ending::Exited(139),
            Ending::Signaled(11),
            Ending::OutOfMemory,
            Ending::TimedOut,
        ];
        for ending in own {
            assert_eq!(classify(ending), FailureClass::User, "{ending:?}");
        }
    }

    #[test]
    fn delays_double_up_to_a_minute() {
        let delays = |class| (1..=9).map(|nth| retry_delay(class, nth).0).collect::<Vec<_>>();
        assert_eq!(
            delays(FailureClass::Infrastructure),
            [0, 1_000, 2_000, 4_000, 8_000, 16_000, 32_000, 60_000, 60_000]
        );
        assert_eq!(
            delays(FailureClass::User),
            [1_000, 2_000, 4_000, 8_000, 16_000, 32_000, 60_000, 60_000, 60_000]
        );
        assert_eq!(retry_delay(FailureClass::User, u32::MAX).0, 60_000);
        assert_eq!(retry_delay(FailureClass::Preempted, 9).0, 0);
    }
}
