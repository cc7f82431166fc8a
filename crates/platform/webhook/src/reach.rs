//! Which addresses a request may reach: those of the public internet, and what the administrator allows.
//!
//! Whoever sets a webhook makes this server send from inside its network. So the rule is a list of what is public, not
//! of what is known to be dangerous: an address is judged by the number that is connected to, and whatever IANA's
//! registries do not give to the public internet is refused.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use crate::WebhookError;

/// Which addresses may be reached.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Reach {
    networks: Vec<Network>,
    names: Vec<Name>,
}

/// The addresses that share their first bits, as IPv6 ones: those of IPv4 are mapped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Network {
    bits: u128,
    mask: u128,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Name {
    Exactly(String),
    /// With the full stop before it.
    Below(String),
}

/// IPv4 networks that are not of the public internet.
const CLOSED_V4: [(Ipv4Addr, u32); 15] = [
    (Ipv4Addr::new(0, 0, 0, 0), 8),       // this network
    (Ipv4Addr::new(10, 0, 0, 0), 8),      // private
    (Ipv4Addr::new(100, 64, 0, 0), 10),   // carrier-grade NAT
    (Ipv4Addr::new(127, 0, 0, 0), 8),     // loopback
    (Ipv4Addr::new(169, 254, 0, 0), 16),  // link-local: metadata services of clouds
    (Ipv4Addr::new(172, 16, 0, 0), 12),   // private
    (Ipv4Addr::new(192, 0, 0, 0), 24),    // protocol assignments
    (Ipv4Addr::new(192, 0, 2, 0), 24),    // documentation
    (Ipv4Addr::new(192, 88, 99, 0), 24),  // 6to4 relays
    (Ipv4Addr::new(192, 168, 0, 0), 16),  // private
    (Ipv4Addr::new(198, 18, 0, 0), 15),   // benchmarks
    (Ipv4Addr::new(198, 51, 100, 0), 24), // documentation
    (Ipv4Addr::new(203, 0, 113, 0), 24),  // documentation
    (Ipv4Addr::new(224, 0, 0, 0), 4),     // multicast
    (Ipv4Addr::new(240, 0, 0, 0), 4),     // reserved, broadcast
];

/// The IPv6 network that the public internet is in, and what in it is not public.
const GLOBAL_V6: (Ipv6Addr, u32) = (Ipv6Addr::new(0x2000, 0, 0, 0, 0, 0, 0, 0), 3);
const CLOSED_V6: [(Ipv6Addr, u32); 4] = [
    (Ipv6Addr::new(0x2001, 0, 0, 0, 0, 0, 0, 0), 23), // protocol assignments, Teredo with its IPv4 address
    (Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 0), 32), // documentation
    (Ipv6Addr::new(0x2002, 0, 0, 0, 0, 0, 0, 0), 16), // 6to4, which holds an IPv4 address
    (Ipv6Addr::new(0x3fff, 0, 0, 0, 0, 0, 0, 0), 20), // documentation
];
/// Networks without IPv4 reach it through this one; the last 32 bits are the IPv4 address.
const NAT64: (Ipv6Addr, u32) = (Ipv6Addr::new(0x64, 0xff9b, 0, 0, 0, 0, 0, 0), 96);

impl Reach {
    /// The public internet and these: IP addresses, networks such as `10.0.0.0/8`, host names, and `*.internal` for
    /// all names below one. A name that is allowed may lead anywhere.
    ///
    /// # Errors
    /// An entry is none of these.
    pub fn with<'a>(entries: impl IntoIterator<Item = &'a str>) -> Result<Self, WebhookError> {
        let mut reach = Self::default();
        for entry in entries {
            let entry = entry.trim();
            if let Some(network) = network(entry) {
                reach.networks.push(network);
            } else if let Some(name) = name(entry) {
                reach.names.push(name);
            } else {
                let entry = entry.chars().take(120).collect();
                return Err(WebhookError::BadAllow { entry });
            }
        }
        Ok(reach)
    }

    /// Whether a request to this host may connect to this address, which its name leads to now.
    #[must_use]
    pub fn permits(&self, host: &str, address: IpAddr) -> bool {
        is_public(address) || self.names(host, Some(address))
    }

    /// Whether this host or address is among what was added to the public internet.
    pub(crate) fn names(&self, host: &str, address: Option<IpAddr>) -> bool {
        let bits = address.map(mapped);
        bits.is_some_and(|bits| self.networks.iter().any(|network| network.has(bits)))
            || self.names.iter().any(|name| name.is(host))
    }
}

impl Network {
    const fn has(&self, bits: u128) -> bool {
        bits & self.mask == self.bits & self.mask
    }
}

impl Name {
    fn is(&self, host: &str) -> bool {
        let host = host.trim_end_matches('.').to_ascii_lowercase();
        match self {
            Self::Exactly(name) => host == *name,
            Self::Below(ending) => host.len() > ending.len() && host.ends_with(ending.as_str()),
        }
    }
}

fn network(entry: &str) -> Option<Network> {
    let (address, prefix) = match entry.split_once('/') {
        Some((address, prefix)) => (address, Some(prefix.parse::<u32>().ok()?)),
        None => (entry, None),
    };
    let address: IpAddr = address.trim_matches(['[', ']']).parse().ok()?;
    let of_family = if address.is_ipv4() { 32 } else { 128 };
    let prefix = prefix.unwrap_or(of_family);
    (prefix <= of_family).then(|| Network {
        bits: mapped(address),
        mask: mask(prefix + 128 - of_family),
    })
}

fn name(entry: &str) -> Option<Name> {
    let (is_below, name) = match entry.strip_prefix("*.") {
        Some(name) => (true, name),
        None => (false, entry),
    };
    let name = name.trim_end_matches('.').to_ascii_lowercase();
    let is_label = |label: &str| {
        let letters = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_');
        !label.is_empty() && label.chars().all(letters)
    };
    let labels: Vec<&str> = name.split('.').collect();
    // What ends in a number is a mistyped address, as no top-level domain does.
    let is_numeric = labels
        .last()
        .is_some_and(|label| label.bytes().all(|byte| byte.is_ascii_digit()));
    if name.len() > 253 || is_numeric || !labels.iter().all(|label| is_label(label)) {
        return None;
    }
    Some(match is_below {
        true => Name::Below(format!(".{name}")),
        false => Name::Exactly(name),
    })
}

fn mapped(address: IpAddr) -> u128 {
    match address {
        IpAddr::V4(v4) => v4.to_ipv6_mapped().to_bits(),
        IpAddr::V6(v6) => v6.to_bits(),
    }
}

/// The first `prefix` of 128 bits.
fn mask(prefix: u32) -> u128 {
    u128::MAX.checked_shl(128_u32.saturating_sub(prefix)).unwrap_or(0)
}

fn is_in(bits: u128, (network, prefix): (Ipv6Addr, u32)) -> bool {
    let mask = mask(prefix);
    bits & mask == network.to_bits() & mask
}

/// Whether an address is of the public internet. One that holds an IPv4 address is judged by that.
fn is_public(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(v4) => {
            let bits = v4.to_ipv6_mapped().to_bits();
            let is_closed =
                |(network, prefix): &(Ipv4Addr, u32)| is_in(bits, (network.to_ipv6_mapped(), prefix + 96));
            !CLOSED_V4.iter().any(is_closed)
        }
        IpAddr::V6(v6) => {
            let bits = v6.to_bits();
            if let Some(v4) = v6.to_ipv4_mapped() {
                return is_public(IpAddr::V4(v4));
            }
            if is_in(bits, NAT64) {
                let [.., a, b, c, d] = v6.octets();
                return is_public(IpAddr::V4(Ipv4Addr::new(a, b, c, d)));
            }
            is_in(bits, GLOBAL_V6) && !CLOSED_V6.iter().any(|network| is_in(bits, *network))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ip(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    #[test]
    fn only_the_public_internet_is_open() {
        let reach = Reach::default();
        for open in [
            "1.1.1.1",
            "100.63.255.255",
            "100.128.0.0",
            "172.15.0.1",
            "172.32.0.1",
            "192.0.1.1",
            "192.167.1.1",
            "198.17.0.1",
            "223.255.255.255",
            "2606:4700:4700::1111",
            "2a00:1450:4001::1",
            "::ffff:1.1.1.1",
            "64:ff9b::1.1.1.1",
        ] {
            assert!(reach.permits("x", ip(open)), "{open}");
        }
        for closed in [
            "0.0.0.0",
            "0.1.2.3",
            "10.0.0.1",
            "100.64.0.1",
            "100.127.255.255",
            "127.0.0.1",
            "127.255.255.254",
            "169.254.169.254",
            "172.16.0.1",
            "172.31.255.255",
            "192.0.0.8",
            "192.0.2.1",
            "192.88.99.1",
            "192.168.0.1",
            "198.18.0.1",
            "198.19.255.255",
            "198.51.100.1",
            "203.0.113.1",
            "224.0.0.1",
            "239.255.255.255",
            "240.0.0.1",
            "255.255.255.255",
            "::",
            "::1",
            "::127.0.0.1",
            "::ffff:127.0.0.1",
            "::ffff:10.0.0.1",
            "::ffff:169.254.169.254",
            "::ffff:0:127.0.0.1",
            "64:ff9b::7f00:1",
            "64:ff9b::10.0.0.1",
            "64:ff9b:1::1",
            "100::1",
            "2001::1",
            "2001:0:4136:e378:8000:63bf:3fff:fdd2",
            "2001:db8::1",
            "2002:7f00:1::1",
            "3fff::1",
            "4000::1",
            "fc00::1",
            "fd00:ec2::254",
            "fe80::1",
            "fec0::1",
            "ff02::1",
        ] {
            assert!(!reach.permits("x", ip(closed)), "{closed}");
        }
    }

    #[test]
    fn what_is_allowed_is_open_and_nothing_beside_it() {
        let reach = Reach::with([
            "127.0.0.1",
            " 10.1.0.0/16",
            "fd00::/8",
            "[::1]",
            "hooks.internal",
            "*.Corp",
        ]);
        let reach = reach.unwrap();
        for (host, address) in [
            ("x", "127.0.0.1"),
            ("x", "::ffff:127.0.0.1"),
            ("x", "10.1.255.1"),
            ("x", "fd12::1"),
            ("x", "::1"),
            ("hooks.internal", "10.0.0.1"),
            ("HOOKS.internal.", "192.168.0.1"),
            ("a.b.corp", "10.0.0.1"),
        ] {
            assert!(reach.permits(host, ip(address)), "{host} {address}");
        }
        for (host, address) in [
            ("x", "127.0.0.2"),
            ("x", "10.2.0.1"),
            ("x", "fe80::1"),
            ("a.hooks.internal", "10.0.0.1"),
            ("nothooks.internal", "10.0.0.1"),
            ("corp", "10.0.0.1"),
            ("notcorp", "10.0.0.1"),
        ] {
            assert!(!reach.permits(host, ip(address)), "{host} {address}");
        }
        let all = Reach::with(["0.0.0.0/0"]).unwrap();
        assert!(all.permits("x", ip("127.0.0.1")) && !all.permits("x", ip("::1")));
    }

    #[test]
    fn what_is_no_entry_is_refused() {
        for wrong in [
            "",
            "10.0.0.0/33",
            "::/129",
            "10.0.0",
            "300.1.1.1",
            "a b",
            "http://x",
            "*",
            "*.",
            "a..b",
        ] {
            assert!(Reach::with([wrong]).is_err(), "{wrong}");
        }
    }
}
