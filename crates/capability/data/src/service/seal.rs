//! Secrets that are kept: sealed with the key that the tenant's data is sealed with, so that who destroys that key destroys
//! them too. Other rooms that keep secrets seal them here.

use corliss_blobstore::BlobError;
use corliss_webhook::Secret;

use super::DataService;
use crate::DataError;

impl DataService {
    /// Seals a secret; it opens for the same context only. Answers the number of the key and the sealed bytes.
    ///
    /// # Errors
    /// The keyring failed, or the tenant's keys were destroyed.
    pub async fn seal(&self, context: &[u8], secret: &Secret) -> Result<(u32, Vec<u8>), DataError> {
        let keyring = self.blobs.keyring();
        let (key, seal) = keyring.current(1).map_err(BlobError::from)?;
        let mut bytes = Vec::new();
        seal.seal(context, secret.key(), &mut bytes)
            .map_err(BlobError::from)?;
        keyring.settle().await.map_err(BlobError::from)?;
        Ok((key, bytes))
    }

    /// Opens a sealed secret; none if it was not sealed with this key for this context.
    ///
    /// # Errors
    /// There is no such key, or the tenant's keys were destroyed.
    pub fn unseal(&self, context: &[u8], key: u32, sealed: &[u8]) -> Result<Option<Secret>, DataError> {
        let seal = self.blobs.keyring().get(key).map_err(BlobError::from)?;
        let mut bytes = sealed.to_vec();
        let opened = seal.open(context, &mut bytes).map(|key| Secret::from_key(key));
        // The buffer held the secret in the clear.
        bytes.fill(0);
        Ok(opened)
    }
}
