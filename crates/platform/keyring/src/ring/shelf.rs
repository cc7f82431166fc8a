//! Where a tenant's wrapped keys lie.

use std::sync::{Mutex, PoisonError};

use async_trait::async_trait;

use crate::KeyError;

/// Where the wrapped keys of one tenant lie.
#[async_trait]
pub trait Shelf: Send + Sync {
    /// What was put last; None before the first time.
    async fn load(&self) -> Result<Option<Vec<u8>>, KeyError>;
    /// Replaces it as a whole; durable when this returns. After an error it may be either.
    async fn save(&self, bytes: Vec<u8>) -> Result<(), KeyError>;
}

/// A shelf in memory, for tests.
#[derive(Debug, Default)]
pub struct MemoryShelf(Mutex<Option<Vec<u8>>>);

#[async_trait]
impl Shelf for MemoryShelf {
    async fn load(&self) -> Result<Option<Vec<u8>>, KeyError> {
        Ok(self.0.lock().unwrap_or_else(PoisonError::into_inner).clone())
    }
    async fn save(&self, bytes: Vec<u8>) -> Result<(), KeyError> {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(bytes);
        Ok(())
    }
}
