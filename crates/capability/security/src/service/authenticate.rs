//! From a credential to a principal, without asking the database for one that was seen a moment ago.

use std::collections::BTreeMap;
use std::net::IpAddr;

use corliss_diagnostics::ErrorReport;
use corliss_http::{AuthFailure, Credential};
use corliss_metastore::StoreError;
use corliss_types::{Timestamp, TokenId};

use crate::Security;
use crate::cache::Known;
use crate::secret::Digest;
use crate::store::{sessions, tokens};
use crate::types::{AuditRecord, Found};

/// How far `last_used_ms` may lag behind.
const USED_EVERY_MS: u64 = 5 * 60 * 1000;

/// What waits to be written down by the keeper; both parts are bounded.
#[derive(Default)]
pub(crate) struct Pending {
    /// Last use by token; as many as there are tokens in the cache, at most.
    pub(crate) used: BTreeMap<TokenId, Timestamp>,
    /// Refusals and changes of data.
    pub(crate) records: Vec<AuditRecord>,
    /// Records lost because they came faster than they could be written.
    pub(crate) lost: u64,
}

#[derive(Clone, Copy)]
enum Place {
    Tokens,
    Sessions,
}

impl Security {
    /// Who presented this.
    ///
    /// # Errors
    /// If nobody did, or the store cannot be asked.
    pub(crate) async fn identify(
        &self,
        presented: &Credential,
        peer: Option<IpAddr>,
    ) -> Result<Found, AuthFailure> {
        let (text, place) = match presented {
            Credential::None => return Err(AuthFailure::Missing),
            Credential::Token(text) => (text, Place::Tokens),
            Credential::Session(text) => (text, Place::Sessions),
        };
        let digest = placed(text, place);
        let now = self.sources.clock.monotonic();
        let known = self.cache().get(&digest, now);
        let found = match known {
            Some(Known::Valid(found)) => found,
            // Asking with the same wrong secret again costs us nothing, so it is not counted again.
            Some(Known::Unknown) => return Err(AuthFailure::Unknown),
            None => self.look_up(digest, Digest::of(text), place, peer).await?,
        };
        self.still_valid(digest, found)
    }

    async fn look_up(
        &self,
        cached_as: Digest,
        digest: Digest,
        place: Place,
        peer: Option<IpAddr>,
    ) -> Result<Found, AuthFailure> {
        let now = self.sources.clock.monotonic();
        if let Some(retry_after_s) = peer.and_then(|peer| self.throttle().wait_s(peer, now)) {
            return Err(AuthFailure::Throttled { retry_after_s });
        }
        let epoch = self.cache().epoch();
        let found = self
            .store
            .read(move |tx| match place {
                Place::Tokens => tokens::find(tx, &digest),
                Place::Sessions => sessions::find(tx, &digest),
            })
            .await
            .map_err(|error: StoreError| AuthFailure::Unavailable(ErrorReport::of(&error)))?;
        let known = found.clone().map_or(Known::Unknown, Known::Valid);
        self.cache().put(cached_as, known, now, epoch);
        if found.is_none()
            && let Some(peer) = peer
        {
            self.throttle().failed(peer, now);
        }
        found.ok_or(AuthFailure::Unknown)
    }

    fn still_valid(&self, digest: Digest, found: Found) -> Result<Found, AuthFailure> {
        let now = self.sources.clock.now();
        if found.expires.is_some_and(|expires| expires <= now) {
            return Err(AuthFailure::Expired);
        }
        if found
            .last_used
            .is_none_or(|used| now.since(used).0 >= USED_EVERY_MS)
        {
            self.cache().used(&digest, now);
            self.pending().used.insert(found.token.clone(), now);
            self.wake.signal();
        }
        Ok(found)
    }
}

/// Tokens and sessions share the cache, but a cookie must never pass for a token or the other way round.
fn placed(text: &str, place: Place) -> Digest {
    match place {
        Place::Tokens => Digest::of(text),
        Place::Sessions => Digest::of(&format!("session:{text}")),
    }
}
