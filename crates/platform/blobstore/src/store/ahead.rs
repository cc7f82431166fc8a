//! Reading a blob ahead of whoever uses it: while one window is written or sent, the next are read and opened.

use std::collections::VecDeque;

use bytes::Bytes;
use tokio_util::task::AbortOnDropHandle;

use super::BlobStore;
use super::read::Walk;
use crate::BlobError;

/// Windows under way beside the one in use: one comes from the disk while one is opened.
const AHEAD: usize = 2;

/// The windows of a blob, in order.
pub(super) struct ReadAhead {
    store: BlobStore,
    walk: Walk,
    under_way: VecDeque<AbortOnDropHandle<Result<Vec<Bytes>, BlobError>>>,
}

impl ReadAhead {
    /// What is left of a walk.
    pub fn of(store: BlobStore, walk: Walk) -> Self {
        Self {
            store,
            walk,
            under_way: VecDeque::new(),
        }
    }

    /// The next window; None at the end.
    pub async fn next(&mut self) -> Result<Option<Vec<Bytes>>, BlobError> {
        while self.under_way.len() <= AHEAD && !self.walk.is_done() {
            let window = self.walk.find_window(&self.store).await?;
            let store = self.store.clone();
            let reading = tokio::spawn(async move { window.read(&store).await });
            self.under_way.push_back(AbortOnDropHandle::new(reading));
        }
        let Some(reading) = self.under_way.pop_front() else {
            return Ok(None);
        };
        let window = reading.await.map_err(|error| BlobError::Io {
            action: "finish work on",
            path: "a blob being read".to_owned(),
            message: error.to_string(),
        })?;
        window.map(Some)
    }
}
