//! Who goes first: the order in which gangs are given places.

use std::fmt;

/// What decides who goes first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Order {
    /// First come, first served, and nobody overtakes.
    #[default]
    Fifo,
    /// The shortest first, among those that wait; what runs goes on.
    Sjf,
    /// The least time that is left first, what runs included.
    Srtf,
    /// The least service that is left first, which is time × accelerators; what runs included.
    Srsf,
    /// The least service so far first, what runs included (Tiresias, NSDI 2019). Services of which one is less than twice
    /// the other are alike, so that gangs do not take each other's places in turns.
    Las,
    /// The earliest deadline first; who can no longer keep it, or has none, comes after all that can.
    Edf,
}

/// What is known of a gang's work. Times are in one unit, whatever it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Work {
    /// When it came.
    pub submitted: u64,
    /// How long it takes in all.
    pub total: u64,
    /// How long it still takes.
    pub remaining: u64,
    /// How long it has run.
    pub served: u64,
    /// When it has to be done; none where it need not, or cannot any more.
    pub deadline: Option<u64>,
    /// Accelerators that it holds while it runs.
    pub accelerators: u32,
}

impl Order {
    /// Every order.
    pub const ALL: [Self; 6] = [
        Self::Fifo,
        Self::Sjf,
        Self::Srtf,
        Self::Srsf,
        Self::Las,
        Self::Edf,
    ];

    /// Its name.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Fifo => "fifo",
            Self::Sjf => "sjf",
            Self::Srtf => "srtf",
            Self::Srsf => "srsf",
            Self::Las => "las",
            Self::Edf => "edf",
        }
    }

    /// Whether a gang that runs loses its place to one that goes before it.
    #[must_use]
    pub const fn preempts(self) -> bool {
        matches!(self, Self::Srtf | Self::Srsf | Self::Las)
    }

    /// Whether those behind a gang that does not fit may go before it.
    #[must_use]
    pub const fn overtakes(self) -> bool {
        !matches!(self, Self::Fifo)
    }

    /// The gang's turn: less is sooner. Among equals whoever came first is first.
    #[must_use]
    pub const fn turn(self, work: &Work) -> u128 {
        match self {
            Self::Fifo => work.submitted as u128,
            Self::Sjf => work.total as u128,
            Self::Srtf => work.remaining as u128,
            Self::Srsf => work.remaining as u128 * work.accelerators as u128,
            Self::Las => {
                let service = work.served as u128 * work.accelerators as u128;
                (u128::BITS - service.leading_zeros()) as u128
            }
            Self::Edf => match work.deadline {
                Some(deadline) => deadline as u128,
                None => u128::MAX,
            },
        }
    }
}

impl fmt::Display for Order {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_order_puts_another_gang_first() {
        let work = |submitted, total, remaining, accelerators, deadline| Work {
            submitted,
            total,
            remaining,
            served: total - remaining,
            accelerators,
            deadline,
        };
        let gangs = [
            work(1, 100, 90, 8, None),
            work(2, 10, 9, 8, None),
            work(3, 99, 8, 8, Some(300)),
            work(4, 95, 60, 1, None),
            work(5, 200, 200, 8, None),
            work(6, 300, 100, 8, Some(200)),
        ];
        let first = |order: Order| {
            let turns = gangs.iter().map(|gang| order.turn(gang));
            turns
                .enumerate()
                .min_by_key(|(_, turn)| *turn)
                .map(|(index, _)| index)
        };
        assert_eq!(Order::ALL.map(first), [0, 1, 2, 3, 4, 5].map(Some));
    }
}
