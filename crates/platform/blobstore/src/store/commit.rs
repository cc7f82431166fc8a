//! Group commit: whatever waits when a pack can be written goes into it together.
//!
//! A lone small put is one small pack, at once; a thousand clients share packs, and their syncs.

use std::sync::Arc;

use corliss_keyring::Keyring;
use tokio::sync::{Semaphore, mpsc, oneshot};

use crate::backend::Backend;
use crate::index::Index;
use crate::pack::{PACK_BYTES, SealedBatch, pack};
use crate::{BlobError, blocking};

/// Batches that wait for a pack; whoever brings one more waits before that.
const WAITING: usize = 8;
/// Packs on their way at once: one that is written while the next is laid out.
const WRITERS: usize = 2;

struct Waiting {
    batch: SealedBatch,
    done: oneshot::Sender<Result<(), BlobError>>,
}

/// The line to the task that writes packs.
pub(super) struct Committer(mpsc::Sender<Waiting>);

impl Committer {
    /// Starts the task; it ends when the committer is dropped.
    pub fn start(backend: Arc<dyn Backend>, keyring: Arc<Keyring>, index: Arc<Index>) -> Self {
        let (sender, line) = mpsc::channel(WAITING);
        tokio::spawn(run(backend, keyring, index, line));
        Self(sender)
    }

    /// Waits until the batch is durable and known to the index.
    pub async fn commit(&self, batch: SealedBatch) -> Result<(), BlobError> {
        let stopped = || BlobError::Io {
            action: "write",
            path: "a pack".to_owned(),
            message: "the blob store is stopping".to_owned(),
        };
        let (done, is_done) = oneshot::channel();
        let waiting = Waiting { batch, done };
        self.0.send(waiting).await.map_err(|_| stopped())?;
        is_done.await.map_err(|_| stopped())?
    }
}

async fn run(
    backend: Arc<dyn Backend>,
    keyring: Arc<Keyring>,
    index: Arc<Index>,
    mut line: mpsc::Receiver<Waiting>,
) {
    let writers = Arc::new(Semaphore::new(WRITERS));
    while let Some(first) = line.recv().await {
        let Ok(writer) = Arc::clone(&writers).acquire_owned().await else {
            return;
        };
        let mut bytes = first.batch.bytes.len();
        let mut together = vec![first];
        while bytes < PACK_BYTES
            && let Ok(next) = line.try_recv()
        {
            bytes += next.batch.bytes.len();
            together.push(next);
        }
        let (backend, keyring, index) = (Arc::clone(&backend), Arc::clone(&keyring), Arc::clone(&index));
        tokio::spawn(async move {
            let (batches, waiting): (Vec<_>, Vec<_>) =
                together.into_iter().map(|one| (one.batch, one.done)).unzip();
            let written = write(backend.as_ref(), &keyring, index, batches).await;
            if let Err(error) = &written {
                tracing::error!(%error, "a pack could not be written");
            }
            for done in waiting {
                // Whoever asked may have gone.
                let _ = done.send(written.clone());
            }
            drop(writer);
        });
    }
}

/// The pack first, the index after it: what the index knows is durable.
async fn write(
    backend: &dyn Backend,
    keyring: &Keyring,
    index: Arc<Index>,
    batches: Vec<SealedBatch>,
) -> Result<(), BlobError> {
    keyring.settle().await?;
    let (key, seal) = keyring.current(1)?;
    let mut packed = blocking(move || pack(batches, key, &seal)).await?;
    let parts = std::mem::take(&mut packed.parts);
    backend.put(&packed.id.object(), parts).await?;
    blocking(move || index.add(packed.id, packed.bytes, &packed.rows)).await
}
