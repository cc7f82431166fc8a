//! How long a request would wait for its place, told by how fast those before it were answered, and whether that is too long.
//!
//! A line that is bounded by its length alone is emptied, after too much arrived, only after a length's worth of answers,
//! which are seconds of one model and many minutes of another. Until then everybody waits who comes. So a line is bounded by
//! its time as well; but callers that ask again only once they are answered never overload anybody, so as many as the engine
//! computes at once, twice, may always wait.

use std::time::Duration;

/// How long a request may expect to wait.
const WAIT_MAX: Duration = Duration::from_secs(20);
/// Requests that may always wait, by how many are computed at once.
const ALWAYS_WAIT: usize = 2;
/// Work after which what was measured counts for a third.
const FORGET: Duration = Duration::from_secs(30);
/// Fewer answers than this tell nothing.
const ANSWERS_MIN: f64 = 4.0;

/// What an engine answered of late, and the time it worked for that.
#[derive(Debug)]
pub(super) struct Wait {
    always: usize,
    answers: f64,
    work_s: f64,
}

impl Wait {
    /// Of an engine that computes so many requests at once.
    pub fn new(at_once: usize) -> Self {
        Self {
            always: at_once.saturating_mul(ALWAYS_WAIT),
            answers: 0.0,
            work_s: 0.0,
        }
    }

    /// Notes a stretch of work, and how many requests it ended.
    pub fn worked(&mut self, took: Duration, answered: usize) {
        let kept = (-took.as_secs_f64() / FORGET.as_secs_f64()).exp();
        self.answers = self.answers * kept + answered as f64;
        self.work_s = self.work_s * kept + took.as_secs_f64();
    }

    /// How much too long one would wait behind so many others; nothing if that is fine.
    pub fn excess(&self, before: usize) -> Option<Duration> {
        if before < self.always || self.answers < ANSWERS_MIN || self.work_s <= 0.0 {
            return None;
        }
        let wait_s = before as f64 * self.work_s / self.answers;
        let excess_s = wait_s - WAIT_MAX.as_secs_f64();
        (excess_s > 0.0).then(|| Duration::try_from_secs_f64(excess_s).unwrap_or(Duration::MAX))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// It computes 16 at once, and answered so many in each of 60 seconds.
    fn answering(in_a_second: usize) -> Wait {
        let mut wait = Wait::new(16);
        for _ in 0..60 {
            wait.worked(Duration::from_secs(1), in_a_second);
        }
        wait
    }

    #[test]
    fn a_line_is_as_long_as_is_answered_in_its_time() {
        let wait = answering(5);
        assert_eq!(wait.excess(99), None);
        let excess = wait.excess(150).unwrap();
        assert!((9.5..10.5).contains(&excess.as_secs_f64()), "{excess:?}");
    }

    #[test]
    fn as_many_as_are_computed_at_once_may_always_wait_twice() {
        let mut slow = Wait::new(16);
        slow.worked(Duration::from_secs(10), 5);
        assert_eq!(slow.excess(31), None);
        assert!(slow.excess(32).is_some());
    }

    #[test]
    fn nothing_is_refused_before_something_was_answered() {
        let mut new = Wait::new(1);
        assert_eq!(new.excess(1000), None);
        new.worked(Duration::from_secs(100), 3);
        assert_eq!(new.excess(1000), None);
    }

    #[test]
    fn what_was_long_ago_is_forgotten() {
        let mut wait = answering(100);
        assert_eq!(wait.excess(100), None);
        for _ in 0..120 {
            wait.worked(Duration::from_secs(1), 1);
        }
        assert!(wait.excess(100).is_some(), "{wait:?}");
    }
}
