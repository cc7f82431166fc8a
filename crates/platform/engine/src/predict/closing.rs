//! When a batch is closed, and why: a pure function of what waits.

use std::time::{Duration, Instant};

/// How batches are formed.
#[derive(Debug, Clone, Copy)]
pub(super) struct Rules<'a> {
    /// Whether requests can be joined at all.
    pub batchable: bool,
    /// The most rows of one batch.
    pub max_rows: usize,
    /// How long the oldest request of a batch waits for others.
    pub delay: Duration,
    /// Rows at which a batch is closed without waiting for more.
    pub preferred: &'a [usize],
}

/// A request that waits.
#[derive(Debug, Clone, Copy)]
pub(super) struct Waiting {
    pub rows: usize,
    pub arrived: Instant,
    /// When its answer is of no use any more.
    pub deadline: Option<Instant>,
    /// Whether it can be joined with the first.
    pub fits: bool,
}

/// What else is known at this moment.
#[derive(Debug, Clone, Copy)]
pub(super) struct Moment {
    pub now: Instant,
    /// Nothing is being computed, and the last batch was one request.
    pub is_quiet: bool,
    /// Nobody else will come.
    pub is_draining: bool,
    /// How long a run takes, as far as is known.
    pub run: Duration,
}

/// Why a batch was closed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Closed {
    /// It has as many rows as it may, or the next request would make it too large.
    Full,
    /// It has as many rows as somebody prefers.
    Preferred,
    /// The oldest request has waited as long as it should.
    Delay,
    /// Were it closed later, a request would not be answered in time.
    Deadline,
    /// The next request does not fit this one.
    Incompatible,
    /// The model takes no joined requests, or the first request is as large as a batch may be.
    Unbatchable,
    /// Nobody else is there, nor was lately.
    Alone,
    /// The engine ends, and nobody else will come.
    Drained,
}

impl Closed {
    /// As counted.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Full => "full",
            Self::Preferred => "preferred",
            Self::Delay => "delay",
            Self::Deadline => "deadline",
            Self::Incompatible => "incompatible",
            Self::Unbatchable => "unbatchable",
            Self::Alone => "alone",
            Self::Drained => "drained",
        }
    }
}

/// What becomes of the requests that wait.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Decision {
    /// The first so many are a batch.
    Close(Closed, usize),
    /// Look again then, or when something has changed.
    Wait(Instant),
}

/// Decides on a queue, oldest first; nothing if nobody waits.
pub(super) fn decide(
    queue: impl IntoIterator<Item = Waiting>,
    rules: &Rules<'_>,
    moment: &Moment,
) -> Option<Decision> {
    let mut queue = queue.into_iter().peekable();
    let first = *queue.peek()?;
    let close = |why, count| Some(Decision::Close(why, count));
    if !rules.batchable || first.rows >= rules.max_rows {
        return close(Closed::Unbatchable, 1);
    }
    let (mut rows, mut count) = (0, 0);
    let mut preferred = None;
    let mut latest = first.arrived + rules.delay;
    let mut hurried = false;
    let mut stop = None;
    for waiting in queue {
        if rows + waiting.rows > rules.max_rows {
            stop = Some(Closed::Full);
            break;
        }
        if !waiting.fits {
            stop = Some(Closed::Incompatible);
            break;
        }
        rows += waiting.rows;
        count += 1;
        let must_start = waiting
            .deadline
            .map(|at| latest_start(waiting.arrived, at, moment));
        if let Some(must_start) = must_start.filter(|at| *at < latest) {
            (latest, hurried) = (must_start, true);
        }
        if rows == rules.max_rows {
            return close(Closed::Full, count);
        }
        if rules.preferred.contains(&rows) {
            preferred = Some(count);
        }
    }
    if let Some(why) = stop {
        return close(why, count);
    }
    if let Some(count) = preferred {
        return close(Closed::Preferred, count);
    }
    if moment.is_quiet && count == 1 {
        return close(Closed::Alone, 1);
    }
    if moment.is_draining {
        return close(Closed::Drained, count);
    }
    if moment.now >= latest {
        let why = if hurried { Closed::Deadline } else { Closed::Delay };
        return close(why, count);
    }
    Some(Decision::Wait(latest))
}

/// When a request must be started to be answered by its deadline: as much before it as a run takes, and no later than
/// when half of its time is gone, because what a run takes is only known from others.
fn latest_start(arrived: Instant, deadline: Instant, moment: &Moment) -> Instant {
    let half = arrived + deadline.saturating_duration_since(arrived) / 2;
    deadline
        .checked_sub(moment.run)
        .map_or(moment.now, |before| before.min(half))
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: Duration = Duration::from_millis(1);

    struct Case {
        start: Instant,
        rules: Rules<'static>,
        moment: Moment,
    }

    fn case() -> Case {
        let start = Instant::now();
        Case {
            start,
            rules: Rules {
                batchable: true,
                max_rows: 8,
                delay: MS * 10,
                preferred: &[],
            },
            moment: Moment {
                now: start,
                is_quiet: false,
                is_draining: false,
                run: MS * 5,
            },
        }
    }

    impl Case {
        /// Requests of these rows that came one millisecond after another.
        fn of(&self, rows: &[usize]) -> Vec<Waiting> {
            let each = rows.iter().zip(0_u32..);
            each.map(|(rows, at)| Waiting {
                rows: *rows,
                arrived: self.start + MS * at,
                deadline: None,
                fits: true,
            })
            .collect()
        }

        fn decide(&self, queue: Vec<Waiting>) -> Decision {
            decide(queue, &self.rules, &self.moment).unwrap()
        }
    }

    #[test]
    fn nobody_is_no_batch() {
        let case = case();
        assert_eq!(decide(Vec::new(), &case.rules, &case.moment), None);
    }

    #[test]
    fn a_batch_is_full_at_its_bound_or_before_what_is_too_much() {
        let case = case();
        assert_eq!(case.decide(case.of(&[4, 4, 1])), Decision::Close(Closed::Full, 2));
        assert_eq!(case.decide(case.of(&[4, 3, 2])), Decision::Close(Closed::Full, 2));
        assert_eq!(
            case.decide(case.of(&[9, 1])),
            Decision::Close(Closed::Unbatchable, 1)
        );
    }

    #[test]
    fn it_waits_for_others_as_long_as_its_oldest_may() {
        let mut case = case();
        let queue = case.of(&[1, 1]);
        assert_eq!(case.decide(queue.clone()), Decision::Wait(case.start + MS * 10));
        case.moment.now = case.start + MS * 10;
        assert_eq!(case.decide(queue), Decision::Close(Closed::Delay, 2));
    }

    #[test]
    fn the_largest_preferred_size_that_is_there_is_taken_at_once() {
        let mut case = case();
        case.rules.preferred = &[2, 4];
        assert_eq!(
            case.decide(case.of(&[1, 1, 1, 1, 1])),
            Decision::Close(Closed::Preferred, 4)
        );
        assert_eq!(
            case.decide(case.of(&[1, 1, 1])),
            Decision::Close(Closed::Preferred, 2)
        );
        assert_eq!(case.decide(case.of(&[1])), Decision::Wait(case.start + MS * 10));
        assert_eq!(
            case.decide(case.of(&[3, 2])),
            Decision::Wait(case.start + MS * 10),
            "no sum is preferred"
        );
    }

    #[test]
    fn a_deadline_leaves_time_to_compute() {
        let mut case = case();
        let mut queue = case.of(&[1, 1]);
        queue[1].deadline = Some(case.start + MS * 8);
        assert_eq!(case.decide(queue.clone()), Decision::Wait(case.start + MS * 3));
        case.moment.now = case.start + MS * 3;
        assert_eq!(case.decide(queue.clone()), Decision::Close(Closed::Deadline, 2));
        (case.moment.now, case.moment.run) = (case.start, Duration::ZERO);
        assert_eq!(
            case.decide(queue.clone()),
            Decision::Wait(case.start + MS * 9 / 2),
            "nobody knows yet what a run takes"
        );
        queue[1].deadline = Some(case.start + MS * 100);
        assert_eq!(
            case.decide(queue),
            Decision::Wait(case.start + MS * 10),
            "a late one hurries nobody"
        );
    }

    #[test]
    fn what_does_not_fit_closes_the_batch_before_it() {
        let case = case();
        let mut queue = case.of(&[1, 1, 1]);
        queue[2].fits = false;
        assert_eq!(case.decide(queue), Decision::Close(Closed::Incompatible, 2));
    }

    #[test]
    fn one_client_waits_for_nobody_and_neither_does_an_engine_that_ends() {
        let mut case = case();
        case.moment.is_quiet = true;
        assert_eq!(case.decide(case.of(&[1])), Decision::Close(Closed::Alone, 1));
        assert_eq!(
            case.decide(case.of(&[1, 1])),
            Decision::Wait(case.start + MS * 10)
        );
        case.moment.is_draining = true;
        assert_eq!(case.decide(case.of(&[1, 1])), Decision::Close(Closed::Drained, 2));
    }

    #[test]
    fn what_cannot_be_joined_goes_alone() {
        let mut case = case();
        case.rules.batchable = false;
        assert_eq!(
            case.decide(case.of(&[1, 1])),
            Decision::Close(Closed::Unbatchable, 1)
        );
    }
}
