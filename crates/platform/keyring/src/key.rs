//! AES-256-GCM with random nonces (NIST SP 800-38D, 8.2.2): one key, sealed bytes that stand alone.

use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use zeroize::Zeroizing;

use crate::KeyError;

/// Bytes of a key.
pub(crate) const KEY_BYTES: usize = 32;

/// A key in the clear; wiped from memory when dropped.
pub type KeyBytes = Zeroizing<[u8; KEY_BYTES]>;

/// A new key.
pub(crate) fn random_key() -> Result<KeyBytes, KeyError> {
    let mut key = Zeroizing::new([0; KEY_BYTES]);
    fill(key.as_mut())?;
    Ok(key)
}

/// Random bytes from the system.
pub(crate) fn fill(bytes: &mut [u8]) -> Result<(), KeyError> {
    aws_lc_rs::rand::fill(bytes).map_err(|_| KeyError::NoRandomness)
}

/// A key that seals and opens bytes.
///
/// Sealed bytes are a 12-byte nonce, the ciphertext and a 16-byte tag. A key may seal 2^32 times before
/// random nonces are likely to meet; [`crate::Keyring`] changes it well before.
pub struct SealKey(LessSafeKey);

impl std::fmt::Debug for SealKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("SealKey")
    }
}

impl SealKey {
    /// What sealing puts before the ciphertext.
    pub const NONCE_BYTES: usize = NONCE_LEN;
    /// What sealing adds.
    pub const OVERHEAD_BYTES: usize = NONCE_LEN + 16;

    pub(crate) fn new(key: &KeyBytes) -> Result<Self, KeyError> {
        UnboundKey::new(&AES_256_GCM, key.as_ref())
            .map(|key| Self(LessSafeKey::new(key)))
            .map_err(|_| KeyError::Sealed {
                what: "a key of the wrong length".to_owned(),
            })
    }

    /// Appends the sealed bytes to `out`. Opening needs the same `context`, which is not kept.
    ///
    /// # Errors
    /// The system gave no randomness.
    pub fn seal(&self, context: &[u8], plain: &[u8], out: &mut Vec<u8>) -> Result<(), KeyError> {
        let mut nonce = [0; NONCE_LEN];
        fill(&mut nonce)?;
        out.extend_from_slice(&nonce);
        let start = out.len();
        out.extend_from_slice(plain);
        let nonce = Nonce::assume_unique_for_key(nonce);
        let sealed = self
            .0
            .seal_in_place_separate_tag(nonce, Aad::from(context), &mut out[start..]);
        // Refuses only more than 64 GiB at once.
        let tag = sealed.map_err(|_| KeyError::Sealed {
            what: "a piece of more than 64 GiB".to_owned(),
        })?;
        out.extend_from_slice(tag.as_ref());
        Ok(())
    }

    /// Opens sealed bytes in their own memory; answers what was sealed, or None if it is not that.
    #[must_use]
    pub fn open<'bytes>(&self, context: &[u8], sealed: &'bytes mut [u8]) -> Option<&'bytes mut [u8]> {
        let (nonce, rest) = sealed.split_first_chunk_mut::<NONCE_LEN>()?;
        let nonce = Nonce::assume_unique_for_key(*nonce);
        self.0.open_in_place(nonce, Aad::from(context), rest).ok()
    }
}

/// A key sealed under another, in base64.
pub(crate) fn seal_key(by: &SealKey, context: &str, key: &KeyBytes) -> Result<String, KeyError> {
    let mut sealed = Vec::new();
    by.seal(context.as_bytes(), key.as_ref(), &mut sealed)?;
    Ok(BASE64_STANDARD.encode(sealed))
}

/// A key that was sealed under another.
pub(crate) fn open_key(by: &SealKey, context: &str, sealed: &str) -> Result<KeyBytes, KeyError> {
    let wrong = || KeyError::Sealed {
        what: context.to_owned(),
    };
    let mut sealed = Zeroizing::new(BASE64_STANDARD.decode(sealed).map_err(|_| wrong())?);
    let plain = by.open(context.as_bytes(), &mut sealed).ok_or_else(wrong)?;
    let mut key = Zeroizing::new([0; KEY_BYTES]);
    if plain.len() != key.len() {
        return Err(wrong());
    }
    key.copy_from_slice(plain);
    Ok(key)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_sealed_opens_with_its_context_only_and_any_flipped_bit_shows() {
        let key = SealKey::new(&random_key().unwrap()).unwrap();
        for plain in [&b""[..], b"x", &[7; 100_000]] {
            let mut sealed = Vec::new();
            key.seal(b"here", plain, &mut sealed).unwrap();
            assert_eq!(sealed.len(), plain.len() + SealKey::OVERHEAD_BYTES);
            assert_eq!(key.open(b"here", &mut sealed.clone()).unwrap(), plain);
            assert!(key.open(b"there", &mut sealed.clone()).is_none());
            for at in [0, 11, 12, sealed.len() - 1] {
                let mut flipped = sealed.clone();
                flipped[at] ^= 1;
                assert!(key.open(b"here", &mut flipped).is_none());
            }
        }
        assert!(key.open(b"here", &mut [0; 27]).is_none());
        let other = SealKey::new(&random_key().unwrap()).unwrap();
        let mut sealed = Vec::new();
        key.seal(b"", b"secret", &mut sealed).unwrap();
        assert!(other.open(b"", &mut sealed).is_none());
    }
}
