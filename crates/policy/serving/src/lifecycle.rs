//! How crashes are counted and how long the next start waits after them.

use corliss_types::DurationMs;

/// A replica that was ready this long has proven its model; a crash after it is the first again.
pub const STABLE_AFTER: DurationMs = DurationMs::from_secs(60);
/// This many crashes in a row make an endpoint failed.
pub const CRASHES_UNTIL_FAILED: u32 = 5;

const FIRST_DELAY_MS: u64 = 500;
const LONGEST_DELAY: DurationMs = DurationMs::from_secs(120);

/// The count after one more replica ended by itself, having been ready for `ready_for` (not at all if zero).
#[must_use]
pub fn crashes_in_a_row(before: u32, ready_for: DurationMs) -> u32 {
    if ready_for >= STABLE_AFTER {
        1
    } else {
        before.saturating_add(1)
    }
}

/// How long the next start waits after so many crashes in a row.
#[must_use]
pub fn restart_delay(crashes: u32) -> DurationMs {
    match crashes {
        0 => DurationMs(0),
        CRASHES_UNTIL_FAILED.. => LONGEST_DELAY,
        _ => DurationMs(FIRST_DELAY_MS << (crashes - 1)),
    }
}
