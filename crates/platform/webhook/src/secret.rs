//! Secrets that requests are signed with, and the signature.

use std::fmt;
use std::str::FromStr;

use aws_lc_rs::hmac;
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use corliss_metastore::{Row, StoreError};
use corliss_types::Timestamp;
use zeroize::Zeroizing;

use crate::WebhookError;

/// What the text form of a symmetric secret begins with.
const PREFIX: &str = "whsec_";
/// Bytes of a secret that is made here.
const NEW_BYTES: usize = 32;
/// Bytes that the specification allows.
const BYTES: std::ops::RangeInclusive<usize> = 24..=64;

/// A key that sender and receiver share; wiped from memory when dropped.
#[derive(Clone)]
pub struct Secret(Zeroizing<Vec<u8>>);

/// A secret as it is kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SealedSecret {
    /// Which key opens it.
    pub key: u32,
    /// What it is when it is sealed.
    pub bytes: Vec<u8>,
}

impl SealedSecret {
    /// From the columns `secret` and `secret_key`; none if they are empty.
    ///
    /// # Errors
    /// The number of the key is none.
    pub fn of_row(row: &Row) -> Result<Option<Self>, StoreError> {
        let Some(key) = row.opt_unsigned("secret_key")? else {
            return Ok(None);
        };
        let key = u32::try_from(key).map_err(|error| StoreError::Malformed {
            column: "secret_key".to_owned(),
            message: error.to_string(),
        })?;
        let bytes = row.blob("secret")?;
        Ok(Some(Self { key, bytes }))
    }
}

impl Secret {
    /// A new one.
    ///
    /// # Errors
    /// The system gave no random bytes.
    pub fn generate() -> Result<Self, WebhookError> {
        let mut bytes = Zeroizing::new(vec![0; NEW_BYTES]);
        aws_lc_rs::rand::fill(&mut bytes).map_err(|_| WebhookError::NoRandomness)?;
        Ok(Self(bytes))
    }

    /// One of any form: for what was kept, and for protocols whose secrets are plain text.
    #[must_use]
    pub fn from_key(key: &[u8]) -> Self {
        Self(Zeroizing::new(key.to_vec()))
    }

    /// The key itself, to be kept sealed.
    #[must_use]
    pub fn key(&self) -> &[u8] {
        &self.0
    }

    /// The text form, to be shown once to whoever sets the receiver up.
    #[must_use]
    pub fn expose(&self) -> String {
        format!("{PREFIX}{}", BASE64_STANDARD.encode(self.0.as_slice()))
    }

    /// The signature of a request: `v1,` and the HMAC-SHA256 of id, whole seconds and body, joined by full stops, in
    /// base64. The seconds are in it, so that a receiver can refuse what somebody recorded and sends again.
    #[must_use]
    pub fn sign(&self, id: &str, at: Timestamp, body: &[u8]) -> String {
        let key = hmac::Key::new(hmac::HMAC_SHA256, &self.0);
        let mut context = hmac::Context::with_key(&key);
        context.update(id.as_bytes());
        context.update(format!(".{}.", seconds(at)).as_bytes());
        context.update(body);
        format!("v1,{}", BASE64_STANDARD.encode(context.sign()))
    }
}

/// Whole seconds since the Unix epoch.
pub(crate) const fn seconds(at: Timestamp) -> i64 {
    at.as_millis().div_euclid(1000)
}

impl FromStr for Secret {
    type Err = WebhookError;
    fn from_str(text: &str) -> Result<Self, WebhookError> {
        let wrong = |problem| WebhookError::BadSecret { problem };
        let text = text.strip_prefix(PREFIX);
        let text = text.ok_or_else(|| wrong("does not begin with whsec_"))?;
        let bytes = BASE64_STANDARD.decode(text).map(Zeroizing::new);
        let bytes = bytes.map_err(|_| wrong("is not base64 after whsec_"))?;
        match BYTES.contains(&bytes.len()) {
            true => Ok(Self(bytes)),
            false => Err(wrong("must have 24 to 64 bytes")),
        }
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const GIVEN: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";

    /// The vector by which the specification's reference libraries check each other.
    #[test]
    fn the_signature_is_that_of_the_specification() {
        let secret: Secret = GIVEN.parse().unwrap();
        let body = br#"{"test": 2432232314}"#;
        for millis in [1_614_265_330_000, 1_614_265_330_999] {
            let at = Timestamp::from_millis(millis);
            assert_eq!(
                secret.sign("msg_p5jXN8AQM9LWM0D4loKWxJek", at, body),
                "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="
            );
        }
    }

    #[test]
    fn whatever_is_signed_changes_the_signature() {
        let secret: Secret = GIVEN.parse().unwrap();
        let at = Timestamp::from_millis(5_000);
        let all = [
            secret.sign("a", at, b"body"),
            secret.sign("b", at, b"body"),
            secret.sign("a", Timestamp::from_millis(6_000), b"body"),
            secret.sign("a", at, b"bodY"),
            Secret::generate().unwrap().sign("a", at, b"body"),
        ];
        let distinct: std::collections::BTreeSet<&String> = all.iter().collect();
        assert_eq!(distinct.len(), all.len());
    }

    #[test]
    fn secrets_keep_their_form_and_are_not_printed() {
        let made = Secret::generate().unwrap();
        let again: Secret = made.expose().parse().unwrap();
        assert_eq!(made.key(), again.key());
        assert_eq!(Secret::from_key(made.key()).expose(), made.expose());
        let given: Secret = GIVEN.parse().unwrap();
        assert_eq!((given.expose().as_str(), given.key().len()), (GIVEN, 24));
        assert_eq!(format!("{given:?}"), "Secret");
        let short = format!("whsec_{}", BASE64_STANDARD.encode([7; 23]));
        let long = format!("whsec_{}", BASE64_STANDARD.encode([7; 65]));
        for wrong in ["", "hunter2", "whsec_", "whsec_not base64", &short, &long] {
            let error = wrong.parse::<Secret>().unwrap_err();
            assert!(!error.to_string().contains("hunter2"), "{wrong}");
        }
    }
}
