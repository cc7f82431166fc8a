//! The name of a blob: a BLAKE3 digest, of its bytes or of the node that lists its pieces.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// A BLAKE3 digest; 64 lower-case hex digits as text.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct BlobId([u8; 32]);

impl BlobId {
    /// The digest of these bytes: the id of a blob of at most [`crate::CHUNK_MAX`] bytes.
    #[must_use]
    pub fn of(bytes: &[u8]) -> Self {
        Self(*blake3::hash(bytes).as_bytes())
    }

    /// A digest that was computed elsewhere.
    #[must_use]
    pub const fn from_digest(digest: [u8; 32]) -> Self {
        Self(digest)
    }

    /// The digest itself.
    #[must_use]
    pub const fn digest(&self) -> [u8; 32] {
        self.0
    }
}

impl fmt::Display for BlobId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&blake3::Hash::from_bytes(self.0).to_hex())
    }
}

impl fmt::Debug for BlobId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "BlobId({self})")
    }
}

/// Why a text is not a blob id.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a blob id is 64 lower-case hex digits")]
pub struct BlobIdError;

impl FromStr for BlobId {
    type Err = BlobIdError;
    fn from_str(text: &str) -> Result<Self, BlobIdError> {
        // The library also takes upper case; one blob must not have two names.
        if text.bytes().any(|byte| byte.is_ascii_uppercase()) {
            return Err(BlobIdError);
        }
        blake3::Hash::from_hex(text)
            .map(|hash| Self(*hash.as_bytes()))
            .map_err(|_| BlobIdError)
    }
}

impl Serialize for BlobId {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for BlobId {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_have_one_text_form() {
        let id = BlobId::of(b"");
        // The empty digest of the BLAKE3 paper's test vectors.
        assert_eq!(
            id.to_string(),
            "af1349b9f5f9a1a6a0404dea36dcc9499bcb25c9adc112b7cc9a93cae41f3262"
        );
        assert_eq!(id.to_string().parse(), Ok(id));
        assert_eq!(id.to_string().to_uppercase().parse::<BlobId>(), Err(BlobIdError));
        for bad in [
            "",
            "abc",
            "../../../../etc/passwd",
            &"g".repeat(64),
            &"a".repeat(65),
        ] {
            assert!(bad.parse::<BlobId>().is_err(), "{bad}");
        }
    }
}
