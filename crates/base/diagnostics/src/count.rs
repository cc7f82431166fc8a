//! Counts in sentences: `1 replica`, `2 replicas`.

/// A count and what is counted, in the word for one or the word for any other number.
#[must_use]
pub fn counted(count: impl TryInto<u64>, one: &str, other: &str) -> String {
    // A count too large for 64 bits cannot be; it would not be one.
    match count.try_into().unwrap_or(u64::MAX) {
        1 => format!("1 {one}"),
        count => format!("{count} {other}"),
    }
}

#[cfg(test)]
mod tests {
    use super::counted;

    #[test]
    fn one_is_singular() {
        assert_eq!(counted(1_usize, "entry", "entries"), "1 entry");
        assert_eq!(counted(0_u32, "entry", "entries"), "0 entries");
        assert_eq!(counted(21_u64, "waits", "wait"), "21 wait");
    }
}
