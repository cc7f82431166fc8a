//! What changes a tenant's keys: rotating, rewrapping, counting their use, destroying.

use std::sync::PoisonError;
use std::sync::atomic::Ordering;

use super::destroyed::destroy;
use super::kept::{self, Content};
use super::keys::Keys;
use super::{COUNTED_AT_ONCE, Destroyed, Keyring, SEALS_PER_KEY, Summary};
use crate::KeyError;

impl Keyring {
    /// Gives the tenant a new key, and wraps all data keys and one more under it; from now on that one
    /// seals. A root key that is newer than the last time is taken as well. Touches no data.
    ///
    /// # Errors
    /// The keys cannot be wrapped or kept, or were destroyed; then the old ones go on being used.
    pub async fn rotate(&self) -> Result<Summary, KeyError> {
        let _one_at_a_time = self.changing.lock().await;
        self.rotate_alone().await
    }

    /// Wraps the tenant's key with the newest root key, whoever keeps that one now; no other key changes, and
    /// no data is touched. None if the newest has wrapped it already.
    ///
    /// # Errors
    /// The key cannot be unwrapped, wrapped or kept, or was destroyed; then nothing has changed.
    pub async fn rewrap(&self) -> Result<Option<Summary>, KeyError> {
        let _one_at_a_time = self.changing.lock().await;
        let kept = self.with(|keys| Ok(keys.kept.clone()))?;
        let Some(rewrapped) = Keys::rewrapped(kept, self.root.as_ref()).await? else {
            return Ok(None);
        };
        self.replace(rewrapped).await?;
        self.summary().map(Some)
    }

    /// Keeps count of how often the current data key has sealed, and rotates before that is too often. To be
    /// called before what was sealed is made durable; only now and then it does anything.
    ///
    /// # Errors
    /// As [`Self::rotate`].
    pub async fn settle(&self) -> Result<(), KeyError> {
        let counted = |keys: &Keys| Ok(keys.kept.newest().map_or(0, |newest| newest.uses));
        if self.seals.load(Ordering::Relaxed) <= self.with(counted)? {
            return Ok(());
        }
        let _one_at_a_time = self.changing.lock().await;
        let seals = self.seals.load(Ordering::Relaxed);
        if seals >= SEALS_PER_KEY {
            return self.rotate_alone().await.map(drop);
        }
        if seals > self.with(counted)? {
            let kept = self.with(|keys| Ok(keys.kept.with_uses(seals + COUNTED_AT_ONCE)))?;
            self.save(&kept).await?;
            let mut keys = self.keys.write().unwrap_or_else(PoisonError::into_inner);
            if let Ok(keys) = keys.as_mut() {
                keys.kept = kept;
            }
        }
        Ok(())
    }

    /// Destroys the tenant's keys, here and where they lie: see [`destroy`]. Idempotent.
    ///
    /// # Errors
    /// The shelf failed; then destroy again.
    pub async fn destroy(&self, by: &str) -> Result<Destroyed, KeyError> {
        let _one_at_a_time = self.changing.lock().await;
        let destroyed = destroy(&self.tenant, self.shelf.as_ref(), by, self.clock.now()).await?;
        let mut keys = self.keys.write().unwrap_or_else(PoisonError::into_inner);
        *keys = Err(destroyed.clone());
        Ok(destroyed)
    }

    async fn rotate_alone(&self) -> Result<Summary, KeyError> {
        let kept = self.with(|keys| Ok(keys.kept.clone()))?;
        let now = self.clock.now();
        // No lock is held over what waits for the keeper of the root key, hence its own copy of the keys.
        let keys = Keys::open(kept, self.root.as_ref()).await?;
        let renewed = keys.renewed(self.root.as_ref(), now).await?;
        // What replaces the only copy of the keys must open.
        let renewed = Keys::open(renewed.kept, self.root.as_ref()).await?;
        self.replace(renewed).await?;
        self.seals.store(0, Ordering::Relaxed);
        self.summary()
    }

    async fn replace(&self, with: Keys) -> Result<(), KeyError> {
        self.save(&with.kept).await?;
        let mut keys = self.keys.write().unwrap_or_else(PoisonError::into_inner);
        *keys = Ok(with);
        Ok(())
    }

    /// Never over a tombstone that somebody else has put there: that would bring the keys back.
    async fn save(&self, kept: &kept::Kept) -> Result<(), KeyError> {
        if let Some(bytes) = self.shelf.load().await?
            && let Ok(Content::Destroyed(destroyed)) = kept::read(&self.tenant, &bytes)
        {
            let mut keys = self.keys.write().unwrap_or_else(PoisonError::into_inner);
            *keys = Err(destroyed.clone());
            return Err(KeyError::Destroyed(destroyed));
        }
        self.shelf.save(kept.to_bytes()?).await
    }
}
