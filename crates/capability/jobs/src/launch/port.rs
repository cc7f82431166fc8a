//! A free port for a gang to meet on.

use std::net::{Ipv4Addr, TcpListener};

use crate::JobsError;

/// Below the ports that the kernel hands out by itself (32768 and up), so that a connection somebody opens
/// between this look and the gang's own bind does not take it.
const RANGE: std::ops::Range<u16> = 20_000..32_000;
const TRIES: u16 = 500;

/// Looks from a place that depends on `seed`, so that gangs that start together look in different places.
pub(super) fn free_port(seed: &str) -> Result<u16, JobsError> {
    let width = RANGE.end - RANGE.start;
    let mixed = seed.bytes().fold(0_u32, |mix, byte| {
        mix.wrapping_mul(31).wrapping_add(u32::from(byte))
    });
    let first = u16::try_from(mixed % u32::from(width)).unwrap_or(0);
    (0..TRIES)
        .map(|step| RANGE.start + (first + step) % width)
        .find(|port| TcpListener::bind((Ipv4Addr::LOCALHOST, *port)).is_ok())
        .ok_or(JobsError::NoFreePort)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_port_in_use_is_passed_over() {
        let port = free_port("job_a").unwrap();
        let _held = TcpListener::bind((Ipv4Addr::LOCALHOST, port)).unwrap();
        assert_ne!(free_port("job_a").unwrap(), port);
        assert!(RANGE.contains(&port));
    }
}
