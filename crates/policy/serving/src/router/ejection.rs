//! Outlier ejection: a replica that does worse than its peers is left out for a while.
//!
//! Problem: n replicas of one endpoint. Some are sick: they answer, but with errors. A breaker sees each for
//! itself and tries it again within seconds; ejection compares. If *all* fail, the trouble is elsewhere, in
//! the model or in the requests, and ejecting would only take capacity away.
//!
//! 1. So many failures in a row eject a replica.
//! 2. At the end of each window, so does a share of successes that lies clearly below that of its peers,
//!    where both have seen enough requests.
//! 3. Never more than a share of all replicas at once, and never the last one.
//! 4. Each ejection of the same replica lasts twice as long; a window without a failure takes one back.

use corliss_types::{DurationMs, Timestamp};

use super::slot::Slot;

/// When replicas are ejected, how many and for how long.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct EjectionLimits {
    /// Failures in a row that eject. More than open a breaker: so its probes have failed, too.
    pub consecutive: u32,
    /// How long successes are counted before they are compared.
    pub window: DurationMs,
    /// With fewer requests than these in a window, a replica is not compared.
    pub least_requests: u32,
    /// How far below its peers, in thousandths of all requests, is too far.
    pub margin_permille: u32,
    /// First ejection.
    pub base: DurationMs,
    /// Longest ejection.
    pub longest: DurationMs,
    /// At most this share of the replicas at once, in percent; one of several may always be.
    pub most_percent: u32,
}

impl Default for EjectionLimits {
    fn default() -> Self {
        Self {
            consecutive: 8,
            window: DurationMs::from_secs(10),
            least_requests: 20,
            margin_permille: 200,
            base: DurationMs::from_secs(30),
            longest: DurationMs::from_secs(300),
            most_percent: 50,
        }
    }
}

impl EjectionLimits {
    /// How many of so many replicas may be ejected at once.
    #[must_use]
    pub fn most(&self, replicas: usize) -> usize {
        let share = replicas.saturating_mul(self.most_percent.min(100) as usize) / 100;
        share.max(1).min(replicas.saturating_sub(1))
    }
}

/// What is known of one replica.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Outlier {
    /// Failures in a row.
    consecutive: u32,
    /// Answers and failures in this window.
    answered: u32,
    failed: u32,
    until: Option<Timestamp>,
    /// How often it was ejected, less the clean windows since.
    times: u32,
}

impl Outlier {
    /// Until when it is ejected, if it is.
    pub(super) fn ejected_until(&self, now: Timestamp) -> Option<Timestamp> {
        self.until.filter(|until| *until > now)
    }

    pub(super) fn answered(&mut self) {
        self.consecutive = 0;
        self.answered = self.answered.saturating_add(1);
    }

    pub(super) fn failed(&mut self) {
        self.consecutive = self.consecutive.saturating_add(1);
        self.failed = self.failed.saturating_add(1);
    }

    /// Thousandths of requests that were answered well, if there were enough.
    fn success_permille(&self, limits: &EjectionLimits) -> Option<u32> {
        let total = u64::from(self.answered) + u64::from(self.failed);
        let enough = total >= u64::from(limits.least_requests.max(1));
        enough.then(|| u32::try_from(u64::from(self.answered) * 1000 / total).unwrap_or(1000))
    }

    fn eject(&mut self, now: Timestamp, limits: &EjectionLimits) {
        let length = limits.base.0.saturating_mul(1_u64 << self.times.min(32));
        *self = Self {
            until: Some(now + DurationMs(length.min(limits.longest.0))),
            times: self.times.saturating_add(1),
            ..Self::default()
        };
    }

    fn end_window(&mut self) {
        if self.answered > 0 && self.failed == 0 {
            self.times = self.times.saturating_sub(1);
        }
        (self.answered, self.failed) = (0, 0);
    }
}

fn ejected(slots: &[Slot], now: Timestamp) -> usize {
    let gone = slots
        .iter()
        .filter(|slot| slot.outlier.ejected_until(now).is_some());
    gone.count()
}

/// Ejects the replica if it has failed too often in a row and there is room.
pub(super) fn after_failure(slots: &mut [Slot], index: usize, now: Timestamp, limits: &EjectionLimits) {
    let room = ejected(slots, now) < limits.most(slots.len());
    if let Some(slot) = slots.get_mut(index)
        && room
        && slot.outlier.consecutive >= limits.consecutive
        && slot.outlier.ejected_until(now).is_none()
    {
        slot.outlier.eject(now, limits);
    }
}

/// Ends a window: compares, ejects the worst first, and begins to count anew.
pub(super) fn end_window(slots: &mut [Slot], now: Timestamp, limits: &EjectionLimits) {
    let rates = slots.iter().enumerate().filter_map(|(index, slot)| {
        let in_service = slot.outlier.ejected_until(now).is_none();
        let rate = slot.outlier.success_permille(limits).filter(|_| in_service)?;
        Some((rate, index))
    });
    let mut rates: Vec<(u32, usize)> = rates.collect();
    rates.sort_unstable();
    let sum: u64 = rates.iter().map(|(rate, _)| u64::from(*rate)).sum();
    let peers = rates.len().saturating_sub(1) as u64;
    let mut room = limits.most(slots.len()).saturating_sub(ejected(slots, now));
    let mut worse = Vec::new();
    for (rate, index) in rates {
        // Compared by products: the mean of the others is not a whole number.
        let lag = u64::from(rate) + u64::from(limits.margin_permille);
        if room > 0 && peers > 0 && lag * peers < sum - u64::from(rate) {
            worse.push(index);
            room -= 1;
        }
    }
    for slot in slots.iter_mut() {
        slot.outlier.end_window();
    }
    for index in worse {
        slots[index].outlier.eject(now, limits);
    }
}

/// Lets back in those that would return first, where too many of fewer replicas are ejected.
pub(super) fn keep_bound(slots: &mut [Slot], limits: &EjectionLimits) {
    let mut gone: Vec<(Timestamp, usize)> = slots
        .iter()
        .enumerate()
        .filter_map(|(index, slot)| Some((slot.outlier.until?, index)))
        .collect();
    gone.sort_unstable();
    let excess = gone.len().saturating_sub(limits.most(slots.len()));
    for (_, index) in gone.into_iter().take(excess) {
        slots[index].outlier.until = None;
    }
}
