//! The randomness port: the kernel's, and a seeded stream that replays.

use std::fs::File;
use std::io::Read;
use std::sync::Mutex;

/// Where random bytes come from.
pub trait Entropy: Send + Sync {
    /// Fills the buffer with random bytes, fit for secrets if the source is [`SystemEntropy`].
    fn fill(&self, buffer: &mut [u8]);
}

/// The kernel's random source.
///
/// Without it no id, token or key can be made safely, so a machine that cannot open `/dev/urandom` stops
/// the process instead of going on with something weaker.
#[derive(Debug, Default)]
pub struct SystemEntropy {
    source: Mutex<Option<File>>,
}

impl SystemEntropy {
    /// Opens the source at first use.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    fn read(&self, buffer: &mut [u8]) -> std::io::Result<()> {
        let mut source = self
            .source
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner);
        let file = match source.as_mut() {
            Some(file) => file,
            None => source.insert(File::open("/dev/urandom")?),
        };
        file.read_exact(buffer)
    }
}

impl Entropy for SystemEntropy {
    fn fill(&self, buffer: &mut [u8]) {
        if let Err(error) = self.read(buffer) {
            eprintln!("corliss: cannot read /dev/urandom: {error}");
            std::process::abort();
        }
    }
}

/// A SplitMix64 stream: for tests and simulations only, never for secrets.
#[derive(Debug)]
pub struct SeededEntropy {
    state: Mutex<u64>,
}

impl SeededEntropy {
    /// The stream of this seed.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        Self {
            state: Mutex::new(seed),
        }
    }
}

impl Entropy for SeededEntropy {
    fn fill(&self, buffer: &mut [u8]) {
        let mut state = self
            .state
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner);
        for chunk in buffer.chunks_mut(8) {
            *state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
            let mut word = *state;
            word = (word ^ (word >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
            word = (word ^ (word >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
            chunk.copy_from_slice(&(word ^ (word >> 31)).to_le_bytes()[..chunk.len()]);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seed_replays() {
        let (mut first, mut second) = ([0; 20], [0; 20]);
        SeededEntropy::new(7).fill(&mut first);
        SeededEntropy::new(7).fill(&mut second);
        assert_eq!(first, second);
        SeededEntropy::new(8).fill(&mut second);
        assert_ne!(first, second);
    }
}
