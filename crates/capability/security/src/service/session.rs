//! Console sessions: opened with a token, closed by signing out, by time, or with the token.

use std::net::IpAddr;

use corliss_http::{AuthFailure, Credential};
use corliss_types::DurationMs;

use crate::secret::{Digest, Secret};
use crate::store::sessions;
use crate::types::NewSession;
use crate::{Security, SecurityError};

const LIFETIME: DurationMs = DurationMs::from_secs(12 * 3600);
/// Open sessions per token; a new one beyond that closes the oldest.
const PER_TOKEN_MAX: u32 = 32;

impl Security {
    /// Signs in with a token.
    ///
    /// # Errors
    /// Outer: the store failed. Inner: the token is not valid.
    pub(crate) async fn sign_in(
        &self,
        token: String,
        peer: Option<IpAddr>,
    ) -> Result<Result<NewSession, AuthFailure>, SecurityError> {
        let found = match self.identify(&Credential::Token(token), peer).await {
            Ok(found) => found,
            Err(failure) => return Ok(Err(failure)),
        };
        let now = self.sources.clock.now();
        let expires = found
            .expires
            .map_or(now + LIFETIME, |expires| expires.min(now + LIFETIME));
        let secret = Secret::random(self.sources.entropy.as_ref());
        let (digest, token) = (secret.digest().hex(), found.token);
        self.store
            .write::<_, SecurityError, _>(move |tx| {
                Ok(sessions::open(tx, &digest, &token, now, expires, PER_TOKEN_MAX)?)
            })
            .await?;
        // The sessions that this one displaced must not live on in the cache.
        self.cache().clear();
        Ok(Ok(NewSession {
            secret: secret.into_text(),
            principal: found.principal,
            lifetime: expires.since(now),
        }))
    }

    /// Signs out.
    ///
    /// # Errors
    /// If the store fails.
    pub(crate) async fn sign_out(&self, session: &str) -> Result<(), SecurityError> {
        let digest = Digest::of(session).hex();
        self.store
            .write::<_, SecurityError, _>(move |tx| Ok(sessions::close(tx, &digest)?))
            .await?;
        self.cache().clear();
        Ok(())
    }
}
