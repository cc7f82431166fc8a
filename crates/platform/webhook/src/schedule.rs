//! When a request that failed is sent again: a pure function of how often it was tried and how old it is.

use std::time::Duration;

/// How much longer each pause is than the one before.
const FACTOR: u32 = 3;

/// How often and for how long a request is tried.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Schedule {
    /// The pause after the first try.
    pub first: Duration,
    /// The longest pause, and the longest that a receiver may ask for.
    pub longest: Duration,
    /// Tries altogether.
    pub tries: u32,
    /// What is older is not tried again.
    pub age: Duration,
}

impl Default for Schedule {
    /// 5 s, 15 s, 45 s, … up to 6 h, for three days: a receiver may be down over a weekend.
    fn default() -> Self {
        Self {
            first: Duration::from_secs(5),
            longest: Duration::from_hours(6),
            tries: 20,
            age: Duration::from_hours(72),
        }
    }
}

impl Schedule {
    /// The pause before the next try of a request that was tried `tried` times and whose event is `age` old; None
    /// gives it up. Pauses differ by a quarter to either side, by `seed`, so that what failed together does not come
    /// back together. A receiver that asks for a longer pause gets it, up to the longest one.
    #[must_use]
    pub fn next(
        &self,
        tried: u32,
        age: Duration,
        retry_after: Option<Duration>,
        seed: u64,
    ) -> Option<Duration> {
        if tried >= self.tries {
            return None;
        }
        let steps = tried.saturating_sub(1).min(16);
        let even = self.first.saturating_mul(FACTOR.pow(steps)).min(self.longest);
        let pause = jittered(even, mixed(seed, tried));
        let pause = pause.max(retry_after.unwrap_or_default().min(self.longest));
        (age.saturating_add(pause) <= self.age).then_some(pause)
    }
}

/// Between three and five quarters of a pause.
fn jittered(pause: Duration, random: u64) -> Duration {
    let millis = u64::try_from(pause.as_millis()).unwrap_or(u64::MAX);
    let spread = random % (millis / 2 + 1);
    Duration::from_millis((millis - millis / 4).saturating_add(spread))
}

/// The finaliser of SplitMix64: every bit of the input reaches every bit of the output.
const fn mixed(seed: u64, tried: u32) -> u64 {
    let mut bits = seed.wrapping_add((tried as u64 + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15));
    bits = (bits ^ (bits >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    bits ^ (bits >> 31)
}

/// A seed from an id (FNV-1a), so that the schedule of a request is the same wherever it is computed.
#[must_use]
pub fn seed(id: &str) -> u64 {
    id.bytes().fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const NEW: Duration = Duration::ZERO;

    #[test]
    fn pauses_grow_up_to_a_bound_and_never_leave_their_quarter() {
        let schedule = Schedule::default();
        for id in ["a", "b", "msg_01", "msg_02"] {
            for (tried, even_s) in [
                (0, 5),
                (1, 5),
                (2, 15),
                (3, 45),
                (4, 135),
                (9, 21_600),
                (19, 21_600),
            ] {
                let pause = schedule.next(tried, NEW, None, seed(id)).unwrap();
                let even = Duration::from_secs(even_s);
                assert!(
                    pause >= even * 3 / 4 && pause <= even * 5 / 4,
                    "{id} {tried} {pause:?}"
                );
            }
        }
    }

    #[test]
    fn the_same_seed_gives_the_same_pauses_and_others_spread() {
        let schedule = Schedule::default();
        let pause = |id: &str| schedule.next(5, NEW, None, seed(id)).unwrap();
        assert_eq!(pause("x"), pause("x"));
        let distinct: std::collections::BTreeSet<Duration> =
            (0..100).map(|number| pause(&format!("msg_{number}"))).collect();
        assert!(distinct.len() > 90, "{}", distinct.len());
    }

    #[test]
    fn tries_and_age_have_an_end() {
        let schedule = Schedule::default();
        assert!(schedule.next(19, NEW, None, 1).is_some());
        assert_eq!(schedule.next(20, NEW, None, 1), None);
        assert_eq!(schedule.next(u32::MAX, NEW, None, 1), None);
        assert!(
            schedule
                .next(1, schedule.age - Duration::from_secs(7), None, 1)
                .is_some()
        );
        assert_eq!(schedule.next(1, schedule.age, None, 1), None);
        assert_eq!(schedule.next(1, Duration::MAX, None, 1), None);
    }

    #[test]
    fn a_receiver_may_ask_for_longer_but_not_for_ever() {
        let schedule = Schedule::default();
        let asked = |seconds| {
            schedule
                .next(1, NEW, Some(Duration::from_secs(seconds)), 1)
                .unwrap()
        };
        assert_eq!(asked(0), schedule.next(1, NEW, None, 1).unwrap());
        assert_eq!(asked(3_600), Duration::from_secs(3_600));
        assert_eq!(asked(u64::MAX), schedule.longest);
    }
}
