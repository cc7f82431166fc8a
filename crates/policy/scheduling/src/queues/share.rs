//! What queues and users have had: their share of the whole over time, of which the older counts for less.
//!
//! Half of what was had counts after one half-life. So that nothing has to be computed anew as time passes, what is had later
//! counts for more instead (forward decay: Cormode, Shkapenyuk, Srivastava, Xu, ICDE 2009): usage is weighed by
//! `2^(time / half-life)`, and only ratios are ever looked at.

/// How fast what was had is forgotten.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Decay {
    /// Milliseconds after which it counts half. None: only what is held now counts.
    pub half_life_ms: Option<u64>,
    /// Who holds something is charged for so many milliseconds ahead, so that not all is given to whoever has had the least.
    pub ahead_ms: u64,
    /// The time at which weights are 1.
    pub since_ms: i64,
}

/// What one has had.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Used {
    /// Of what is held no more, less what is held weighed at its beginning.
    settled: f64,
    /// What is held, in parts of 2^32 of the whole.
    held: u64,
}

impl Used {
    pub(super) fn begin(&mut self, parts: u64, decay: &Decay, now_ms: i64) {
        self.settled -= decay.weighed(parts, now_ms);
        self.held = self.held.saturating_add(parts);
    }

    pub(super) fn end(&mut self, parts: u64, decay: &Decay, now_ms: i64) {
        self.settled += decay.weighed(parts, now_ms);
        self.held = self.held.saturating_sub(parts);
    }

    pub(super) const fn held(&self) -> u64 {
        self.held
    }

    pub(super) fn charged(&self, decay: &Decay, now_ms: i64) -> f64 {
        let ahead = i64::try_from(decay.ahead_ms).unwrap_or(i64::MAX);
        match decay.half_life_ms {
            None => parts(self.held),
            Some(_) => (self.settled + decay.weighed(self.held, now_ms.saturating_add(ahead))).max(0.0),
        }
    }
}

impl Decay {
    fn weighed(&self, held: u64, at_ms: i64) -> f64 {
        match self.half_life_ms {
            None => 0.0,
            Some(half_life_ms) => {
                parts(held) * power_of_two(at_ms.saturating_sub(self.since_ms), half_life_ms)
            }
        }
    }
}

#[expect(clippy::cast_precision_loss, reason = "parts of 2^32 are exact in a double")]
const fn parts(held: u64) -> f64 {
    held as f64
}

/// `2^(time / half_life)`, to 12 digits, and the same on every machine: the standard library's is not.
fn power_of_two(time_ms: i64, half_life_ms: u64) -> f64 {
    let half_life = i64::try_from(half_life_ms.max(1)).unwrap_or(i64::MAX);
    let (whole, rest) = (time_ms.div_euclid(half_life), time_ms.rem_euclid(half_life));
    #[expect(clippy::cast_precision_loss, reason = "a ratio below 1")]
    let exponent = std::f64::consts::LN_2 * (rest as f64 / half_life as f64);
    let mut sum = 1.0;
    for divisor in (1..=14_u8).rev() {
        sum = 1.0 + exponent / f64::from(divisor) * sum;
    }
    // Beyond that a double ends; who runs for a thousand half-lives starts anew before.
    let whole = whole.clamp(-1_000, 1_000);
    let bits = u64::try_from(whole + 1_023).unwrap_or(0) << 52;
    f64::from_bits(bits) * sum
}

#[cfg(test)]
mod tests {
    use super::*;

    const DAY: i64 = 86_400_000;
    const WEEK: Decay = Decay {
        half_life_ms: Some(7 * 86_400_000),
        ahead_ms: 0,
        since_ms: 0,
    };

    #[test]
    fn powers_are_powers() {
        for (time, half_life, expected) in [
            (0, 10, 1.0),
            (10, 10, 2.0),
            (5, 10, 2.0_f64.sqrt()),
            (-10, 10, 0.5),
        ] {
            let power = power_of_two(time, half_life);
            assert!((power - expected).abs() < 1e-12, "{time}: {power}");
        }
    }

    #[test]
    fn what_was_had_a_half_life_ago_counts_half() {
        let mut earlier = Used::default();
        earlier.begin(100, &WEEK, 0);
        earlier.end(100, &WEEK, DAY);
        let mut later = Used::default();
        later.begin(100, &WEEK, 7 * DAY);
        later.end(100, &WEEK, 8 * DAY);
        let ratio = later.charged(&WEEK, 30 * DAY) / earlier.charged(&WEEK, 30 * DAY);
        assert!((ratio - 2.0).abs() < 1e-9, "{ratio}");
    }

    #[test]
    fn it_is_the_same_whether_it_was_looked_at_or_not() {
        let mut once = Used::default();
        once.begin(7, &WEEK, DAY);
        let mut looked_at = once;
        for hour in 25..48 {
            assert!(looked_at.charged(&WEEK, hour * DAY / 24) > 0.0);
        }
        once.end(7, &WEEK, 3 * DAY);
        looked_at.end(7, &WEEK, 3 * DAY);
        assert!((once.charged(&WEEK, 3 * DAY) - looked_at.charged(&WEEK, 3 * DAY)).abs() < f64::EPSILON);
    }
}
