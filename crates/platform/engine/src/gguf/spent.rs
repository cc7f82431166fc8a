//! What a generation took: how long it waited, its prompt and its answer, and with how many others it was computed.

use std::time::{Duration, Instant};

use crate::protocol::Timing;

/// Of one request, from its arrival on; a place that it lost is part of what follows.
#[derive(Debug)]
pub(super) struct Spent {
    arrived: Instant,
    placed: Option<Instant>,
    first: Option<Instant>,
    /// When its newest token came.
    newest: Option<Instant>,
    /// Batches in which it had a token of its answer.
    batches: u64,
    /// Sequences in these, itself included.
    members: u64,
}

impl Spent {
    /// It arrives.
    pub fn new() -> Self {
        Self {
            arrived: Instant::now(),
            placed: None,
            first: None,
            newest: None,
            batches: 0,
            members: 0,
        }
    }

    /// It is given a place.
    pub fn placed(&mut self) {
        self.placed.get_or_insert_with(Instant::now);
    }

    /// A token of its answer comes out of a batch of so many sequences; answers how long after the one before.
    pub fn answered(&mut self, at: Instant, members: usize) -> Option<Duration> {
        self.first.get_or_insert(at);
        self.batches += 1;
        self.members += members as u64;
        let before = self.newest.replace(at)?;
        Some(at.duration_since(before))
    }

    /// What it took until now.
    pub fn told(&self) -> Timing {
        let now = Instant::now();
        let placed = self.placed.unwrap_or(now);
        let first = self.first.unwrap_or(now);
        Timing {
            queue_us: micros(placed.duration_since(self.arrived)),
            prefill_us: micros(first.saturating_duration_since(placed)),
            decode_us: micros(now.duration_since(first)),
            batch_mean: mean(self.members, self.batches),
        }
    }
}

#[allow(clippy::cast_precision_loss, reason = "a mean of batch sizes, for people")]
fn mean(sum: u64, count: u64) -> f32 {
    if count == 0 {
        return 0.0;
    }
    sum as f32 / count as f32
}

fn micros(duration: Duration) -> u64 {
    u64::try_from(duration.as_micros()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_parts_follow_each_other() {
        let pause = || std::thread::sleep(Duration::from_millis(3));
        let mut spent = Spent::new();
        pause();
        spent.placed();
        pause();
        assert_eq!(
            spent.answered(Instant::now(), 1),
            None,
            "nothing is before the first"
        );
        pause();
        // It lost its place and was given another.
        spent.placed();
        let gap = spent.answered(Instant::now(), 4).unwrap();
        assert!(gap >= Duration::from_millis(3));
        let told = spent.told();
        for part in [told.queue_us, told.prefill_us, told.decode_us] {
            assert!(part >= 3_000, "{told:?}");
        }
        assert!((told.batch_mean - 2.5).abs() < 1e-6);
        let never = Spent::new().told();
        assert!((never.prefill_us, never.decode_us) == (0, 0) && never.batch_mean == 0.0);
    }
}
