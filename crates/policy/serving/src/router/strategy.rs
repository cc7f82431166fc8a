//! By what a replica is chosen, and the numbers that bound the choice.

use std::fmt;
use std::str::FromStr;

use corliss_types::DurationMs;
use serde::{Deserialize, Serialize};

use super::breaker::BreakerLimits;
use super::ejection::EjectionLimits;

/// By what the replica of a request is chosen.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Strategy {
    /// One after the other.
    RoundRobin,
    /// In proportion to weights, interleaved.
    Weighted,
    /// The fewest requests in flight; what an endpoint has unless it says otherwise.
    #[default]
    LeastConnections,
    /// The faster of two drawn at random.
    LeastResponseTime,
    /// The fewest tokens still to be computed.
    LeastTokens,
    /// Where the beginning of the prompt is cached, unless that replica has too much to do.
    PrefixAware,
    /// The same replica for the same session.
    SessionAffinity,
}

impl Strategy {
    /// Every strategy, in the order in which tables show them.
    pub const ALL: [Self; 7] = [
        Self::RoundRobin,
        Self::Weighted,
        Self::LeastConnections,
        Self::LeastResponseTime,
        Self::LeastTokens,
        Self::PrefixAware,
        Self::SessionAffinity,
    ];

    /// Its name in settings and on the command line.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::RoundRobin => "round_robin",
            Self::Weighted => "weighted",
            Self::LeastConnections => "least_connections",
            Self::LeastResponseTime => "least_response_time",
            Self::LeastTokens => "least_tokens",
            Self::PrefixAware => "prefix_aware",
            Self::SessionAffinity => "session_affinity",
        }
    }
}

impl fmt::Display for Strategy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// A text that names no strategy.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UnknownStrategy;

impl fmt::Display for UnknownStrategy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names = Strategy::ALL.map(Strategy::name).join(", ");
        write!(f, "not one of {names}")
    }
}

impl std::error::Error for UnknownStrategy {}

impl FromStr for Strategy {
    type Err = UnknownStrategy;
    fn from_str(text: &str) -> Result<Self, UnknownStrategy> {
        let named = Self::ALL.into_iter().find(|strategy| strategy.name() == text);
        named.ok_or(UnknownStrategy)
    }
}

/// What bounds the choice, whatever the strategy.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Settings {
    /// How far affinity to a cached prefix may go.
    pub prefix: PrefixLimits,
    /// After how long a measured latency counts half.
    pub latency_half_life: DurationMs,
    /// When a replica rests, and how it is tried again.
    pub breaker: BreakerLimits,
    /// When a replica that is worse than its peers is ejected.
    pub ejection: EjectionLimits,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            prefix: PrefixLimits::default(),
            latency_half_life: DurationMs::from_secs(10),
            breaker: BreakerLimits::default(),
            ejection: EjectionLimits::default(),
        }
    }
}

/// How far affinity to a cached prefix may go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PrefixLimits {
    /// A replica may have so many outstanding tokens more than the least busy one and still be preferred:
    /// what it computes in the seconds that a cached prompt may wait. The default is right for some thousand
    /// tokens a second; `corliss simulate` compares others.
    pub slack_tokens: u64,
    /// Or so many more, in percent of what the least busy one has, if that is more.
    pub slack_percent: u64,
    /// A shorter hit, in percent of the prompt's blocks, is none: a system prompt that all requests share
    /// would send all of them to one replica.
    pub least_hit_percent: u64,
    /// How many tokens a block of the prompt stands for; a replica may have as many more outstanding as its hit
    /// saves. With 0 only the slack counts.
    pub block_tokens: u64,
    /// How many blocks of each replica are remembered, the oldest forgotten first: as many as its memory
    /// holds. Whoever remembers more sends requests after blocks that are gone.
    pub blocks_per_replica: usize,
}

impl Default for PrefixLimits {
    fn default() -> Self {
        Self {
            slack_tokens: 65_536,
            slack_percent: 50,
            least_hit_percent: 10,
            block_tokens: 0,
            blocks_per_replica: 1_024,
        }
    }
}

impl PrefixLimits {
    /// The tokens that a hit of so many blocks saves.
    #[must_use]
    pub const fn saved(&self, blocks: usize) -> u64 {
        (blocks as u64).saturating_mul(self.block_tokens)
    }

    /// The most outstanding tokens that a preferred replica may have where the least busy one has `least`.
    #[must_use]
    pub const fn bound(&self, least: u64) -> u64 {
        let share = (least / 100).saturating_mul(self.slack_percent);
        let slack = if share > self.slack_tokens {
            share
        } else {
            self.slack_tokens
        };
        least.saturating_add(slack)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_strategy_is_found_by_its_name() {
        for strategy in Strategy::ALL {
            assert_eq!(strategy.name().parse(), Ok(strategy));
        }
        assert_eq!("fastest".parse::<Strategy>(), Err(UnknownStrategy));
        assert!(UnknownStrategy.to_string().contains("least_tokens"));
    }

    #[test]
    fn the_bound_is_the_larger_of_two() {
        let limits = PrefixLimits {
            slack_tokens: 100,
            slack_percent: 50,
            ..PrefixLimits::default()
        };
        assert_eq!(
            [0, 100, 1_000].map(|least| limits.bound(least)),
            [100, 200, 1_500]
        );
        assert_eq!(limits.bound(u64::MAX), u64::MAX);
    }
}
