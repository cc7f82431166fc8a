//! Making secrets, and the digests under which they are stored and compared.

use corliss_clock::Entropy;
use subtle::ConstantTimeEq;

/// Every token starts with this, so that scanners and people recognise one that leaked.
const PREFIX: &str = "corliss_";
const DOMAIN: &str = "corliss 2026-11 credential digest v1";
const WORKLOAD_DOMAIN: &str = "corliss 2026-11 workload token v1";

/// A secret in the clear, on its way to the one who asked for it.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Secret(String);

impl Secret {
    /// 256 fresh random bits.
    pub(crate) fn random(entropy: &dyn Entropy) -> Self {
        let mut bytes = [0_u8; 32];
        entropy.fill(&mut bytes);
        Self::of_bytes(&bytes)
    }

    /// The token of one attempt of one step: the same each time it is asked for, so that a server killed
    /// between issuing it and starting the task issues it again instead of leaving a stray one.
    pub(crate) fn of_workload(key: &[u8; 32], run: &str, step: &str, attempt: u32) -> Self {
        let mut hasher = blake3::Hasher::new_keyed(key);
        for part in [WORKLOAD_DOMAIN, run, step, &attempt.to_string()] {
            // Lengths keep ("ab", "c") and ("a", "bc") apart.
            hasher.update(&(part.len() as u64).to_le_bytes());
            hasher.update(part.as_bytes());
        }
        Self::of_bytes(hasher.finalize().as_bytes())
    }

    fn of_bytes(bytes: &[u8; 32]) -> Self {
        Self(format!("{PREFIX}{}", blake3::Hash::from_bytes(*bytes).to_hex()))
    }

    pub(crate) fn into_text(self) -> String {
        self.0
    }

    pub(crate) fn digest(&self) -> Digest {
        Digest::of(&self.0)
    }
}

/// What is stored of a secret. The secrets have 256 random bits, so a fast hash is enough: there is no
/// dictionary to try.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct Digest([u8; 32]);

impl Digest {
    pub(crate) fn of(text: &str) -> Self {
        Self(blake3::derive_key(DOMAIN, text.as_bytes()))
    }

    /// As stored.
    pub(crate) fn hex(&self) -> String {
        blake3::Hash::from_bytes(self.0).to_hex().to_string()
    }

    /// Whether a stored digest is this one, in a time that does not depend on where they differ.
    pub(crate) fn matches(&self, stored: &str) -> bool {
        self.hex().as_bytes().ct_eq(stored.as_bytes()).into()
    }
}

#[cfg(test)]
mod tests {
    use corliss_clock::SeededEntropy;

    use super::*;

    #[test]
    fn workload_tokens_are_stable_and_bound() {
        let token = |run, step, attempt| Secret::of_workload(&[1; 32], run, step, attempt).into_text();
        assert_eq!(token("r", "s", 1), token("r", "s", 1));
        let others = [
            token("r", "s", 2),
            token("r", "t", 1),
            token("rs", "", 1),
            token("", "rs", 1),
        ];
        assert!(others.iter().all(|other| *other != token("r", "s", 1)));
        assert_ne!(token("rs", "", 1), token("", "rs", 1));
        assert_ne!(
            Secret::of_workload(&[2; 32], "r", "s", 1).into_text(),
            token("r", "s", 1)
        );
    }

    #[test]
    fn the_digest_is_not_the_secret() {
        let secret = Secret::random(&SeededEntropy::new(1));
        let digest = secret.digest();
        assert!(digest.matches(&digest.hex()));
        assert!(!digest.matches(""));
        assert!(!secret.clone().into_text().contains(&digest.hex()));
        assert_eq!(secret.into_text().len(), "corliss_".len() + 64);
    }
}
