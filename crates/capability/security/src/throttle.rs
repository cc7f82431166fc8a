//! Failed attempts per address: a bucket each, and a bound on how many addresses are remembered.

use std::collections::HashMap;
use std::net::IpAddr;
use std::time::Duration;

/// Failures that an address may make at once.
const BURST: u32 = 20;
/// Time after which one more is forgiven.
const REFILL: Duration = Duration::from_secs(3);
const ADDRESSES_MAX: usize = 4096;

/// Counts failures; a caller of ours holds the lock.
#[derive(Debug, Default)]
pub(crate) struct Throttle {
    failures: HashMap<IpAddr, Bucket>,
}

#[derive(Debug, Clone, Copy)]
struct Bucket {
    spent: u32,
    since: Duration,
}

impl Bucket {
    fn refilled(self, now: Duration) -> Self {
        let periods = now.saturating_sub(self.since).as_millis() / REFILL.as_millis();
        let periods = u32::try_from(periods).unwrap_or(u32::MAX);
        Self {
            spent: self.spent.saturating_sub(periods),
            since: self.since + REFILL.saturating_mul(periods),
        }
    }
}

impl Throttle {
    /// Seconds to wait, if this address has failed too often.
    pub(crate) fn wait_s(&self, address: IpAddr, now: Duration) -> Option<u64> {
        let bucket = self.failures.get(&network(address))?.refilled(now);
        (bucket.spent >= BURST).then(|| {
            REFILL
                .saturating_sub(now.saturating_sub(bucket.since))
                .as_secs()
                .max(1)
        })
    }

    /// Counts one failure.
    pub(crate) fn failed(&mut self, address: IpAddr, now: Duration) {
        if self.failures.len() >= ADDRESSES_MAX {
            self.failures.retain(|_, bucket| bucket.refilled(now).spent > 0);
        }
        if self.failures.len() >= ADDRESSES_MAX {
            // All of them misbehave right now. Starting over costs them a burst each, and us no memory.
            self.failures.clear();
        }
        let bucket = self
            .failures
            .entry(network(address))
            .or_insert(Bucket { spent: 0, since: now });
        let current = bucket.refilled(now);
        *bucket = Bucket {
            spent: current.spent.saturating_add(1).min(BURST),
            since: current.since,
        };
    }
}

/// Whoever has one IPv6 address has all 2^64 of its network.
fn network(address: IpAddr) -> IpAddr {
    match address {
        IpAddr::V6(v6) => match v6.to_ipv4_mapped() {
            Some(v4) => IpAddr::V4(v4),
            None => IpAddr::V6((u128::from(v6) >> 64 << 64).into()),
        },
        v4 => v4,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const START: Duration = Duration::from_secs(1000);

    #[test]
    fn a_burst_is_allowed_and_time_forgives() {
        let mut throttle = Throttle::default();
        let address: IpAddr = "10.0.0.1".parse().unwrap();
        for _ in 0..BURST {
            assert_eq!(throttle.wait_s(address, START), None);
            throttle.failed(address, START);
        }
        assert_eq!(throttle.wait_s(address, START), Some(3));
        assert_eq!(throttle.wait_s("10.0.0.2".parse().unwrap(), START), None);
        assert_eq!(throttle.wait_s(address, START + REFILL), None);
    }

    #[test]
    fn an_ipv6_network_counts_as_one_and_memory_is_bounded() {
        let mut throttle = Throttle::default();
        for host in 0..BURST {
            throttle.failed(format!("2001:db8::{host:x}").parse().unwrap(), START);
        }
        assert!(
            throttle
                .wait_s("2001:db8::ffff".parse().unwrap(), START)
                .is_some()
        );
        for net in 0..20_000_u32 {
            throttle.failed(IpAddr::V4(net.into()), START);
        }
        assert!(throttle.failures.len() <= ADDRESSES_MAX);
    }
}
