//! How long the calling thread has stood in line for a CPU, as the kernel counts it: the second number of `schedstat`
//! (Linux, Documentation/scheduler/sched-stats.rst).

use std::fs::File;
use std::os::unix::fs::FileExt;
use std::time::Duration;

/// Reads it anew each time; of a kernel that does not count it, nothing.
pub(super) struct RunQueue {
    counts: Option<File>,
    last: Option<Duration>,
}

impl RunQueue {
    /// Of the thread that calls this.
    pub fn of_this_thread() -> Self {
        let mut queue = Self {
            counts: File::open("/proc/thread-self/schedstat").ok(),
            last: None,
        };
        queue.last = queue.read();
        queue
    }

    /// Since this was asked last.
    pub fn since(&mut self) -> Option<Duration> {
        let now = self.read();
        let since = now.zip(self.last).map(|(now, last)| now.saturating_sub(last));
        self.last = now;
        since
    }

    fn read(&self) -> Option<Duration> {
        let mut text = [0; 96];
        let length = self.counts.as_ref()?.read_at(&mut text, 0).ok()?;
        let mut numbers = std::str::from_utf8(&text[..length]).ok()?.split_whitespace();
        let nanos = numbers.nth(1)?.parse().ok()?;
        Some(Duration::from_nanos(nanos))
    }
}
