//! Tickets: addresses that carry their own permission. Clients of MLflow send parts of files, and fetch files, from addresses
//! without any credential, as those of a bucket are. So a ticket says what it is for and how long, under a keyed hash: it
//! opens that one file, or takes that one part, until its time is over, and nothing else.

use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use serde::{Deserialize, Serialize};

use crate::TrackingError;

/// What hashes of tickets are told apart by from others under the same key.
const CONTEXT: &[u8] = b"corliss artifact ticket 1\0";

/// What a ticket is for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "for", rename_all = "lowercase")]
pub(crate) enum Claim {
    /// Reading a file, as long as it is what it was: a download in many ranges never mixes two files.
    Get { path: String, blob: String },
    /// Writing a file.
    Put { path: String },
    /// Writing one part of an upload.
    Part { upload: String, number: i64 },
}

#[derive(Serialize, Deserialize)]
struct Signed {
    #[serde(flatten)]
    claim: Claim,
    /// Unix milliseconds.
    until: i64,
}

/// Makes and reads tickets.
#[derive(Clone)]
pub(crate) struct Tickets {
    key: [u8; 32],
}

impl Tickets {
    pub(crate) const fn new(key: [u8; 32]) -> Self {
        Self { key }
    }

    /// A ticket until then, in Unix milliseconds. It needs no escaping in an address.
    pub(crate) fn make(&self, claim: Claim, until: i64) -> String {
        // It holds texts and numbers, which cannot fail.
        let text = serde_json::to_vec(&Signed { claim, until }).unwrap_or_default();
        let mark = self.mark(&text);
        let encoded = |bytes: &[u8]| BASE64_URL_SAFE_NO_PAD.encode(bytes);
        format!("{}.{}", encoded(&text), encoded(mark.as_bytes()))
    }

    /// What a ticket is for.
    ///
    /// # Errors
    /// It is none of ours, or its time is over.
    pub(crate) fn read(&self, ticket: &str, now_ms: i64) -> Result<Claim, TrackingError> {
        let signed = self.signed(ticket).ok_or(TrackingError::Ticket {
            problem: "was not made by this server",
        })?;
        match now_ms < signed.until {
            true => Ok(signed.claim),
            false => Err(TrackingError::Ticket {
                problem: "was valid for a while, which is over",
            }),
        }
    }

    fn signed(&self, ticket: &str) -> Option<Signed> {
        let (text, mark) = ticket.split_once('.')?;
        let text = BASE64_URL_SAFE_NO_PAD.decode(text).ok()?;
        let mark: [u8; 32] = BASE64_URL_SAFE_NO_PAD.decode(mark).ok()?.try_into().ok()?;
        // Compared in constant time.
        if self.mark(&text) != blake3::Hash::from_bytes(mark) {
            return None;
        }
        serde_json::from_slice(&text).ok()
    }

    fn mark(&self, text: &[u8]) -> blake3::Hash {
        let mut hasher = blake3::Hasher::new_keyed(&self.key);
        hasher.update(CONTEXT).update(text);
        hasher.finalize()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_ticket_is_for_what_it_says_until_then_and_only_here() {
        let tickets = Tickets::new([1; 32]);
        for claim in [
            Claim::Get {
                path: "0/a/artifacts/ü b.txt".into(),
                blob: "b1".into(),
            },
            Claim::Put { path: "0/a".into() },
            Claim::Part {
                upload: "u".into(),
                number: 7,
            },
        ] {
            let ticket = tickets.make(claim.clone(), 1_000);
            assert!(
                ticket
                    .bytes()
                    .all(|byte| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte))
            );
            assert_eq!(tickets.read(&ticket, 999).unwrap(), claim);
            assert!(tickets.read(&ticket, 1_000).is_err());
            assert!(Tickets::new([2; 32]).read(&ticket, 0).is_err());
        }
    }

    #[test]
    fn no_byte_of_a_ticket_can_be_changed() {
        let tickets = Tickets::new([1; 32]);
        let claim = Claim::Put { path: "0/a".into() };
        let ticket = tickets.make(claim, 1_000);
        for index in 0..ticket.len() {
            for other in ["A", "b", ".", "-"] {
                let mut changed = ticket.clone();
                changed.replace_range(index..=index, other);
                // The last character of each half holds bits that mean nothing; base64 refuses them if they are set.
                assert!(
                    changed == ticket || tickets.read(&changed, 0).is_err(),
                    "{changed}"
                );
            }
            assert!(tickets.read(&ticket[..index], 0).is_err());
        }
        for wrong in ["", ".", "a.b", "ü.ü"] {
            assert!(tickets.read(wrong, 0).is_err(), "{wrong}");
        }
    }

    proptest::proptest! {
        #[test]
        fn no_text_is_taken_for_a_ticket(text in ".{0,80}") {
            proptest::prop_assert!(Tickets::new([1; 32]).read(&text, 0).is_err());
        }
    }
}
