//! Hashing that is the same on every machine and in every version: a session finds its replica again after
//! a restart, and a draw of the caller becomes as many as a choice needs.

/// A well-mixed number from any number (the finaliser of SplitMix64).
#[must_use]
pub const fn mix(value: u64) -> u64 {
    let value = value.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let value = (value ^ (value >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let value = (value ^ (value >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    value ^ (value >> 31)
}

/// The hash of a text, such as a session's key: FNV-1a, mixed. Not for secrets: whoever chooses the text can
/// choose the hash.
#[must_use]
pub fn stable_hash(bytes: &[u8]) -> u64 {
    let hash = bytes.iter().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01b3)
    });
    mix(hash)
}

/// A number below `bound` from 32 random bits; 0 if the bound is 0.
#[must_use]
pub(super) fn below(random: u32, bound: usize) -> usize {
    let scaled = u128::from(random) * (bound as u128);
    usize::try_from(scaled >> 32).unwrap_or(0)
}

/// Two different places of a list of `count`, each pair as likely as any other, in random order. The same
/// place twice where there is only one.
#[must_use]
pub(super) fn two_of(count: usize, random: u64) -> (usize, usize) {
    let bits = random.to_le_bytes();
    let half = |at: usize| u32::from_le_bytes([bits[at], bits[at + 1], bits[at + 2], bits[at + 3]]);
    let first = below(half(0), count);
    if count < 2 {
        return (first, first);
    }
    let second = below(half(4), count - 1);
    (first, if second >= first { second + 1 } else { second })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hashes_never_change() {
        // A changed hash moves every session to another replica when the server is updated.
        assert_eq!(stable_hash(b"session-1"), 0xdf01_6efc_657a_36d2);
        assert_eq!(mix(0), 0xe220_a839_7b1d_cdaf);
    }

    #[test]
    fn two_are_different_and_every_pair_is_drawn() {
        let mut drawn = [[0_u32; 4]; 4];
        for seed in 0..4_000 {
            let (first, second) = two_of(4, mix(seed));
            drawn[first][second] += 1;
        }
        for (first, row) in drawn.iter().enumerate() {
            for (second, count) in row.iter().enumerate() {
                assert_eq!(*count == 0, first == second);
                assert!(first == second || (200..500).contains(count), "{drawn:?}");
            }
        }
        assert_eq!(two_of(1, u64::MAX), (0, 0));
    }
}
