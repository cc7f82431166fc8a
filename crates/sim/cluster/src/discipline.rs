//! Ways to run a queue that are compared: an order, who may overtake, and whether what runs loses its place.

use std::fmt;

use corliss_policy_scheduling::order::Order;
use corliss_policy_scheduling::queues::{Overtaking, Preempts, Queue};

/// A way to run a queue.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Discipline {
    /// First come, first served, and nobody overtakes.
    Fifo,
    /// First come, first served, and whoever makes nobody wait longer is filled in.
    Backfill,
    /// The same, with users taking turns by what they have had.
    Fair,
    /// An order, filled in; who runs loses its place if the order says so.
    By(Order),
}

impl Discipline {
    /// Every one.
    pub const ALL: [Self; 8] = [
        Self::Fifo,
        Self::Backfill,
        Self::Fair,
        Self::By(Order::Sjf),
        Self::By(Order::Srtf),
        Self::By(Order::Srsf),
        Self::By(Order::Las),
        Self::By(Order::Edf),
    ];

    /// Its name.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Fifo => "fifo",
            Self::Backfill => "backfill",
            Self::Fair => "fair",
            Self::By(order) => order.name(),
        }
    }

    /// A queue of this name that is run that way.
    #[must_use]
    pub fn queue(self, name: &str) -> Queue {
        self.of(Queue::named(name))
    }

    /// This queue run that way; what it has and may borrow stays.
    #[must_use]
    pub fn of(self, queue: Queue) -> Queue {
        let order = match self {
            Self::By(order) => order,
            _ => Order::Fifo,
        };
        Queue {
            order,
            is_fair: self == Self::Fair,
            overtaking: match self {
                Self::Fifo => Overtaking::Never,
                _ => Overtaking::Backfill,
            },
            preempts: Preempts {
                lower: order.preempts() || queue.preempts.lower,
                ..queue.preempts
            },
            ..queue
        }
    }
}

impl fmt::Display for Discipline {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}
