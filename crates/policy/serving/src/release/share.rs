//! Which requests the new version gets: each has a lot, and those below the version's share are its own. A lot that is
//! drawn from who asks is the same for every request of theirs, on every machine and after every restart.

use crate::router::{mix, stable_hash};

/// How many lots there are: a percent has a hundred.
pub const SHARES: u32 = 10_000;

/// A request's place among all; below [`SHARES`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Lot(u32);

impl Lot {
    /// Of whoever has this key in a release: another release draws anew, so that not the same are always first.
    #[must_use]
    pub fn of(release: &str, key: u64) -> Self {
        Self::drawn(mix(stable_hash(release.as_bytes()) ^ key))
    }

    /// By 64 random bits.
    #[must_use]
    pub fn drawn(random: u64) -> Self {
        let scaled = u128::from(random) * u128::from(SHARES);
        Self(u32::try_from(scaled >> 64).unwrap_or(0))
    }
}

/// Whether the new version takes the request with this lot. Whoever it takes at a percentage it takes at every higher one.
#[must_use]
pub const fn takes(percent: u32, lot: Lot) -> bool {
    lot.0 < percent.saturating_mul(SHARES / 100)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lots_are_even_and_never_change() {
        // A changed lot moves callers to the other version when the server is updated.
        assert_eq!(Lot::of("rel_1", stable_hash(b"ana")), Lot(4_760));
        let taken = (0..10_000_u32)
            .filter(|number| takes(30, Lot::of("rel_1", stable_hash(&number.to_le_bytes()))))
            .count();
        assert!((2_800..3_200).contains(&taken), "{taken}");
        assert_eq!((Lot::drawn(0), Lot::drawn(u64::MAX)), (Lot(0), Lot(SHARES - 1)));
        assert!(!takes(0, Lot(0)) && takes(100, Lot(SHARES - 1)));
    }
}
