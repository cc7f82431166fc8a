//! Time and randomness behind two traits, so that everything above can be replayed.
//!
//! Services take a [`Clock`] and an [`Entropy`]; policies take neither: `now` is an argument there.

mod entropy;
mod time;

use std::sync::Arc;

use corliss_types::IdSeed;

pub use entropy::{Entropy, SeededEntropy, SystemEntropy};
pub use time::{Clock, ManualClock, SystemClock};

/// The two sources of non-determinism that a service may use, as one cheap-to-clone handle.
#[derive(Clone)]
pub struct Sources {
    /// Wall and monotonic time.
    pub clock: Arc<dyn Clock>,
    /// Random bytes.
    pub entropy: Arc<dyn Entropy>,
}

impl Sources {
    /// The machine's own clock and randomness.
    #[must_use]
    pub fn system() -> Self {
        Self {
            clock: Arc::new(SystemClock::new()),
            entropy: Arc::new(SystemEntropy::new()),
        }
    }

    /// A clock that stands still until moved, and a seeded stream: for tests that must replay.
    #[must_use]
    pub fn replayable(clock: Arc<ManualClock>, seed: u64) -> Self {
        Self {
            clock,
            entropy: Arc::new(SeededEntropy::new(seed)),
        }
    }

    /// What a new id is made of, now.
    #[must_use]
    pub fn id_seed(&self) -> IdSeed {
        let mut random = [0_u8; 10];
        self.entropy.fill(&mut random);
        IdSeed {
            at: self.clock.now(),
            random,
        }
    }
}
